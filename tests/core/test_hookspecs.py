"""A hook's specification, its documentation, its test and a plugin that uses it are one unit."""

from __future__ import annotations

import ast
import inspect
from functools import cache
from pathlib import Path

import pytest

from nexus_connector import hookspecs
from nexus_connector.plugins import new_registry

ROOT = Path(__file__).parents[2]
SPECS = sorted(name for name in vars(new_registry().hook) if not name.startswith("_"))
IN_CALLS = [name for name in SPECS if next(iter(inspect.signature(getattr(hookspecs, name)).parameters)) == "call"]
UNUSED: dict[str, str] = {}
"""Hooks outside of calls that no shipped plugin uses, and why they are there all the same."""

specs = pytest.mark.parametrize("name", SPECS)


@cache
def functions(pattern: str) -> dict[str, bool]:
    """Names of functions and methods in files of this repository, and whether ``hookimpl`` decorates one of them."""
    found: dict[str, bool] = {}
    for file in sorted(ROOT.glob(pattern)):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                decorated = any("hookimpl" in ast.unparse(decorator) for decorator in node.decorator_list)
                found[node.name] = decorated or found.get(node.name, False)
    return found


def test_every_specification_is_registered() -> None:
    """A function of the module that forgot its decorator would be no hook."""
    public = [name for name, value in inspect.getmembers(hookspecs, inspect.isfunction) if not name.startswith("_")]
    own = [name for name in public if inspect.getmodule(getattr(hookspecs, name)) is hookspecs]
    assert own == SPECS
    assert len(SPECS) == 13


@specs
def test_a_specification_is_documented_with_its_signature(name: str) -> None:
    """docs/reference/hooks.md has a heading with the hook's name and exact arguments."""
    arguments = ", ".join(inspect.signature(getattr(hookspecs, name)).parameters)
    headings = (ROOT / "docs/reference/hooks.md").read_text(encoding="utf-8").splitlines()
    assert f"### {name}({arguments})" in [heading.replace("`", "").strip() for heading in headings]


def test_no_hook_is_documented_that_does_not_exist() -> None:
    """What was renamed or removed leaves the docs too."""
    text = (ROOT / "docs/reference/hooks.md").read_text(encoding="utf-8")
    headings = [line.removeprefix("### ").replace("`", "") for line in text.splitlines() if line.startswith("### ")]
    assert {heading.partition("(")[0] for heading in headings if "(" in heading} == set(SPECS)


@specs
def test_a_specification_has_a_test_of_its_name(name: str) -> None:
    """Somewhere under tests/ or in a plugin's tests there is a ``test_hook_NAME``."""
    assert f"test_hook_{name}" in {*functions("tests/**/test_*.py"), *functions("plugins/*/tests/**/*.py")}


@pytest.mark.parametrize("name", [name for name in SPECS if name not in IN_CALLS])
def test_a_hook_outside_of_calls_is_used_by_a_shipped_plugin(name: str) -> None:
    """A build or sink hook without a user is a guess: each has a plugin of ours behind it, or a reason to wait."""
    used = functions("plugins/*/src/**/*.py").get(name, False)
    assert used is not (name in UNUSED), UNUSED.get(name)


@specs
def test_a_specification_says_all_it_has_to(name: str) -> None:
    """When it fires, its arguments, what the return and None mean, which errors may leave it, which thread calls it."""
    text = inspect.getdoc(getattr(hookspecs, name)) or ""
    starts = [line.partition(":")[0] for line in text.splitlines() if ":" in line and not line.startswith(" ")]
    assert [start for start in starts if start in {"Fires", "Arguments", "Returns", "Errors", "Threads"}] == [
        "Fires",
        "Arguments",
        "Returns",
        "Errors",
        "Threads",
    ]
    for argument in set(inspect.signature(getattr(hookspecs, name)).parameters) - {"call"}:  # the same one everywhere
        assert f"``{argument}``" in text


@specs
def test_a_specification_is_typed_and_may_be_declined(name: str) -> None:
    """Every argument has a type and no default; whatever a hook returns, ``None`` is allowed: "not mine"."""
    signature = inspect.signature(getattr(hookspecs, name))
    for parameter in signature.parameters.values():
        assert parameter.annotation is not inspect.Parameter.empty
        assert parameter.default is inspect.Parameter.empty
    assert str(signature.return_annotation).endswith("None")
