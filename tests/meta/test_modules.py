"""House rules that hold for every module: what it says, how long it is, and what stands behind its public names."""

from __future__ import annotations

import ast
import importlib
import inspect
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LONGEST = 300
SHIPPED = [
    file
    for pattern in ("nexus_connector/**/*.py", "plugins/*/src/**/*.py", "contrib/*/src/**/*.py")
    for file in sorted(ROOT.glob(pattern))
]
TESTS = [
    file
    for pattern in ("tests/**/test_*.py", "plugins/*/tests/**/test_*.py", "contrib/*/tests/**/test_*.py")
    for file in sorted(ROOT.glob(pattern))
]


def parse(file: Path) -> ast.Module:
    """The syntax tree of a file."""
    return ast.parse(file.read_text(encoding="utf-8"))


def relative(files: list[Path]) -> list[str]:
    """Files as they are called in reports."""
    return [str(file.relative_to(ROOT)) for file in files]


shipped = pytest.mark.parametrize("file", SHIPPED, ids=relative(SHIPPED))


@shipped
def test_a_module_says_what_it_owns(file: Path) -> None:
    """The first line of its docstring, a sentence."""
    first = (ast.get_docstring(parse(file)) or "").partition("\n")[0]
    assert first.endswith((".", ":"))


@shipped
def test_a_module_is_short(file: Path) -> None:
    """One noun fits into fewer than 300 lines."""
    assert len(file.read_text(encoding="utf-8").splitlines()) < LONGEST


def module_name(file: Path) -> str:
    """The name under which a shipped file is imported."""
    parts = file.relative_to(ROOT).with_suffix("").parts
    parts = parts[parts.index("src") + 1 :] if "src" in parts else parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def assigned_with_text(file: Path) -> set[str]:
    """Names of a module that are assigned and explained by a text right below."""
    body = parse(file).body
    found: set[str] = set()
    for node, following in zip(body, [*body[1:], ast.Pass()], strict=True):
        is_text = isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant)
        if is_text and isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found |= {target.id for target in targets if isinstance(target, ast.Name)}
    return found


WITH_ALL = [file for file in SHIPPED if "__all__" in file.read_text(encoding="utf-8")]


@pytest.mark.parametrize("file", WITH_ALL, ids=relative(WITH_ALL))
def test_public_names_are_documented(file: Path) -> None:
    """Every name in ``__all__`` exists and has a docstring; a constant or alias has its text right below."""
    module = importlib.import_module(module_name(file))
    near = [each for each in SHIPPED if file.parent in each.parents]
    explained = {name for each in near for name in assigned_with_text(each)}
    silent: list[str] = []
    for name in module.__all__:
        value = getattr(module, name)
        is_object = inspect.isclass(value) or inspect.isfunction(value)
        if not (inspect.getdoc(value) if is_object else inspect.ismodule(value) or name in explained):
            silent.append(name)
    assert silent == []


@pytest.mark.parametrize("file", TESTS, ids=relative(TESTS))
def test_a_test_states_its_rule(file: Path) -> None:
    """Every test has a docstring, and it is the rule that the test holds."""
    nodes = [node for node in ast.walk(parse(file)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    silent = [node.name for node in nodes if node.name.startswith("test_") and not ast.get_docstring(node)]
    assert silent == []
