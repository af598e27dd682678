"""Sphinx configuration; ``nox -s docs`` builds with every warning an error."""

from __future__ import annotations

from importlib import metadata

project = "nexus-connector"
author = "nexus-connector contributors"
copyright = f"2026, {author}"
release = metadata.version(project)
version = ".".join(release.split(".")[:2])

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.doctest",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"{project} {version}"
html_static_path = ["_static"]
html_css_files = ["pages.css"]

autodoc_class_signature = "separated"
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented_params"
# The examples of docstrings run in their own modules, as tests.
doctest_test_doctest_blocks = ""
copybutton_exclude = ".linenos, .gp, .go"
myst_enable_extensions = ["attrs_block", "colon_fence", "deflist"]
myst_heading_anchors = 3
napoleon_numpy_docstring = False

# Every reference to a public name of this project must resolve; without the network nothing is known about the others.
nitpick_ignore_regex = [
    ("py:.*", r"(?!nexus_connector\b).*"),
    ("py:class", r"nexus_connector(\.\w+)*\.[A-Z]"),  # type variables
    ("py:class", r"nexus_connector(\.\w+)*\._\w+(\.\w+)*"),  # private modules
    ("py:class", r"nexus_connector\.(body\.Source|errors\.\w+|stream\.StreamBody)"),  # described in words
]
