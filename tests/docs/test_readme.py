"""The README and the links of all pages fit what is in this repository."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

from nexus_connector.plugins import PLUGIN_GROUP, VENDOR_GROUP

if TYPE_CHECKING:
    from conftest import Docs


def test_the_plugins_of_the_readme(docs: Docs) -> None:
    """The README's table has a row for every plugin and vendor adapter of this repository, linked to its README."""
    text = docs.sections((docs.root / "README.md").read_text("utf-8"), 2)["Plugins and vendor adapters"]
    folders = [
        folder
        for kind in ("plugins", "contrib")
        for folder in sorted((docs.root / kind).iterdir())
        if (folder / "pyproject.toml").exists()
    ]
    expected = {
        f"[`{tomllib.loads((folder / 'pyproject.toml').read_text('utf-8'))['project']['name']}`]"
        f"({folder.relative_to(docs.root).as_posix()}/README.md)"
        for folder in folders
    }
    assert {row[0] for row in docs.rows(text)} == expected
    installed = {entry.name for group in (PLUGIN_GROUP, VENDOR_GROUP) for entry in entry_points(group=group)}
    assert {folder.name for folder in folders} == installed


def test_links_lead_somewhere(docs: Docs) -> None:
    """Every relative link of the pages and of the notes beside the README leads to a file that exists."""
    for page in [*docs.pages, *(docs.root / name for name in ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"))]:
        prose = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
        targets = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", prose)
        assert [target for target in targets if not (page.parent / target).exists()] == [], page


def test_the_two_commands(docs: Docs) -> None:
    """The README gives the two commands by which a stranger, and CI, runs this repository, in these words."""
    lines = (docs.root / "README.md").read_text("utf-8").splitlines()
    assert '$ pip install "nox[uv]" && nox -s demo' in lines
    assert "$ nox -s tests" in lines
