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


def test_links_lead_somewhere() -> None:
    """Every relative link of README, changelog, security note and pages leads to a file that exists."""
    top = [docs.root / name for name in ("README.md", "CHANGELOG.md", "SECURITY.md")]
    broken = []
    for each in [*top, *(file for file in (docs.root / "docs").rglob("*.md") if "_build" not in file.parts)]:
        prose = re.sub(r"^```.*?^```", "", each.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", prose):
            if not (each.parent / target).exists():
                broken.append(f"{each.relative_to(docs.root)}: {target}")
    assert broken == []
