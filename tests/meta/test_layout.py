"""The layout: adding a plugin or vendor is adding one folder, and the root's lists follow the folders."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
CORE = "nexus-connector"


def read(file: Path) -> dict[str, Any]:
    """A TOML file."""
    return tomllib.loads(file.read_text(encoding="utf-8"))


PROJECT = read(ROOT / "pyproject.toml")
MEMBERS = {
    file.parent.name: file.parent
    for pattern in PROJECT["tool"]["uv"]["workspace"]["members"]
    for file in sorted(ROOT.glob(f"{pattern}/pyproject.toml"))
}
PACKAGES = {name: f"nexus_connector_{name.replace('-', '_')}" for name in MEMBERS}
GROUPS = {"plugins": "nexus_connector.plugins", "contrib": "nexus_connector.vendors"}

members = pytest.mark.parametrize("name", MEMBERS)


def own_files() -> Iterator[Path]:
    """Python files of this repository; folders of tools, which may change meanwhile, are not even looked into."""
    for folder, inside, files in os.walk(ROOT):
        inside[:] = [name for name in inside if not name.startswith(".")]
        yield from (Path(folder, name) for name in files if name.endswith(".py"))


@members
def test_a_member_is_complete(name: str) -> None:
    """Named after its folder, typed, documented and tested, with an entry point of its own name."""
    folder, package = MEMBERS[name], PACKAGES[name]
    project = read(folder / "pyproject.toml")["project"]
    assert project["name"] == f"{CORE}-{name}"
    assert list(project["entry-points"][GROUPS[folder.parent.name]]) == [name]
    assert (folder / "src" / package / "py.typed").is_file()
    assert project["readme"] == "README.md"
    assert len((folder / "README.md").read_text(encoding="utf-8").splitlines()) > 10
    assert list((folder / "tests").glob("test_*.py")), "no tests"
    assert f"{CORE}>={PROJECT['project']['version'].rpartition('.')[0]}" in "".join(project["dependencies"])


@members
def test_a_member_passes_the_kits_suite(name: str) -> None:
    """A vendor's tests derive from AdapterContract, a plugin's with stages or gates from theirs."""
    folder = MEMBERS[name]
    sources = "".join(file.read_text(encoding="utf-8") for file in folder.glob("src/*/*.py"))
    tests = "".join(file.read_text(encoding="utf-8") for file in folder.glob("tests/*.py"))
    wanted = {"def stages(self": "(StageContract)", "def gates(self": "(GateContract)"}
    missing = [suite for hook, suite in wanted.items() if hook in sources and suite not in tests]
    if folder.parent.name == "contrib" and "(AdapterContract)" not in tests:
        missing.append("(AdapterContract)")
    assert missing == []


def test_the_core_is_complete() -> None:
    """The core is typed and documented too."""
    assert (ROOT / "nexus_connector/py.typed").is_file()
    assert (ROOT / "README.md").is_file()


def test_every_folder_is_a_member() -> None:
    """A folder without a pyproject.toml would be left out without a word."""
    folders = {each.name for group in GROUPS for each in (ROOT / group).iterdir() if each.is_dir()}
    assert folders == set(MEMBERS)


@members
def test_nothing_outside_names_a_member(name: str) -> None:
    """No Python file outside of its own folder knows a plugin or vendor: core and tests find it by its entry point."""
    words = (PACKAGES[name], f"{CORE}-{name}")
    own = [file for file in own_files() if MEMBERS[name] not in file.parents]
    naming = [str(file.relative_to(ROOT)) for file in own if any(word in file.read_text("utf-8") for word in words)]
    assert naming == []


def test_the_workspace_takes_every_member_from_its_folder() -> None:
    """``[tool.uv.sources]``: no member is fetched from an index."""
    sources = PROJECT["tool"]["uv"]["sources"]
    assert set(sources) == {CORE, *(f"{CORE}-{name}" for name in MEMBERS)}
    assert all(source == {"workspace": True} for source in sources.values())


def test_the_extras_name_every_member() -> None:
    """``[all]`` installs everything there is, in the versions that belong together."""
    extras = PROJECT["project"]["optional-dependencies"]
    named = {line for extra in extras.values() for line in extra if not line.startswith(f"{CORE}[")}
    version = PROJECT["project"]["version"].split(".")
    fitting = f">={version[0]}.{version[1]},<{version[0]}.{int(version[1]) + 1}"
    assert named == {f"{CORE}-{name}{fitting}" for name in MEMBERS}
    whole = {*extras["all"], *(extras["standard"] if f"{CORE}[standard]" in extras["all"] else ())}
    assert named <= whole


def test_coverage_measures_every_member() -> None:
    """Sources and path map: one entry for each, its folder and its place in site-packages."""
    coverage = PROJECT["tool"]["coverage"]
    assert set(coverage["run"]["source_pkgs"]) == {"nexus_connector", *PACKAGES.values()}
    expected = {"nexus_connector": ["nexus_connector", "*/site-packages/nexus_connector"]}
    for name, package in PACKAGES.items():
        folder = MEMBERS[name].relative_to(ROOT)
        expected[package] = [f"{folder}/src/{package}", f"*/site-packages/{package}"]
    assert coverage["paths"] == expected


@members
def test_a_member_shares_the_roots_settings(name: str) -> None:
    """Tools are configured once: a member's file describes the member only."""
    assert set(read(MEMBERS[name] / "pyproject.toml").get("tool", {})) <= {"hatch"}
