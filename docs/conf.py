"""Sphinx configuration; ``nox -s docs`` builds with every warning an error."""

from __future__ import annotations

import sys
from importlib import metadata
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "nexus-connector"
author = "nexus-connector contributors"
copyright = f"2026, {author}"
release = metadata.version(project)
version = ".".join(release.split(".")[:2])

extensions = [
    "myst_parser",
    "reference_pages",
    "sphinx.ext.autodoc",
    "sphinx.ext.doctest",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
]
exclude_patterns = ["_build", "_ext", "_tables", "changes"]
html_theme = "furo"
pygments_dark_style = "a11y-high-contrast-dark"
html_title = f"{project} {version}"
html_static_path = ["_static"]
html_css_files = ["pages.css"]
html_copy_source = False
html_domain_indices = False
# Read from a folder there is no server to fetch the pages from: the results show titles and headings alone.
html_show_search_summary = False
html_theme_options = {
    "top_of_page_buttons": [],  # the source of a page leaves to the code what the page shows
}

autodoc_class_signature = "separated"
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented_params"
# The examples of docstrings run in their own modules, as tests.
doctest_test_doctest_blocks = ""
copybutton_exclude = ".linenos, .gp, .go"
myst_enable_extensions = ["attrs_block", "colon_fence", "deflist"]
myst_heading_anchors = 4
napoleon_numpy_docstring = False

# Every reference to a public name of this project must resolve; without the network nothing is known about the others.
nitpick_ignore_regex = [
    ("py:.*", r"(?!nexus_connector\b).*"),
    ("py:class", r"nexus_connector(\.\w+)*\.[A-Z]"),  # type variables
    ("py:class", r"nexus_connector(\.\w+)*\._\w+(\.\w+)*"),  # private modules
    ("py:class", r"nexus_connector\.(body\.Source|errors\.\w+|stream\.StreamBody)"),  # described in words
]
