"""Sources: which shipped parts implement a hook, tell an event or make an error."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Final, TypeAlias

ROOT: Final = Path(__file__).parents[3]
"""The repository."""

_ASKS: Final = {"isinstance", "issubclass", "on", "want", "wants"}
"""Functions that are given a class to ask about it, or to hear of it."""

Look: TypeAlias = Callable[[ast.Module], set[str]]


@cache
def makers() -> Mapping[str, Sequence[str]]:
    """Return the parts that make an instance of a class or hand it on to be made, by the name of the class."""
    return _by_name(_made)


@cache
def implementers() -> Mapping[str, Sequence[str]]:
    """Return the parts that implement a hook, by its name."""
    return _by_name(_implemented)


def told_by(names: Sequence[str], verb: str) -> str:
    """Say in a sentence who does something.

    >>> told_by(["the core", "`nexus-connector-x`"], "Told")
    'Told by the core, `nexus-connector-x`.'
    """
    return f"{verb} by {', '.join(names) or 'no shipped plugin yet'}."


def _by_name(look: Look) -> Mapping[str, Sequence[str]]:
    found: dict[str, list[str]] = {}
    for part, file in _files():
        for name in look(ast.parse(file.read_text(encoding="utf-8"))):
            known = found.setdefault(name, [])
            if part not in known:
                known.append(part)
    return found


def _files() -> Iterator[tuple[str, Path]]:
    """Yield what works in an application: the modules of the core but its test kit, those of plugins and vendors."""
    core = ROOT / "nexus_connector"
    yield from (
        ("the core", file) for file in sorted(core.rglob("*.py")) if file.relative_to(core).parts[0] != "testing"
    )
    for file in sorted([*ROOT.glob("plugins/*/src/*/**/*.py"), *ROOT.glob("contrib/*/src/*/**/*.py")]):
        yield f"`nexus-connector-{file.relative_to(ROOT).parts[1]}`", file


def _implemented(tree: ast.Module) -> set[str]:
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return {node.name for node in functions if any("hookimpl" in ast.unparse(each) for each in node.decorator_list)}


def _made(tree: ast.Module) -> set[str]:
    """Return names that are used as values: not those imported, derived from, caught, listened to or annotated with."""
    other = {id(name) for node in ast.walk(tree) for part in _no_values(node) for name in ast.walk(part)}
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and id(node) not in other}


def _no_values(node: ast.AST) -> Sequence[ast.AST]:
    """Return the parts of a node in which a class is named without being made."""
    if isinstance(node, ast.ClassDef):
        return node.bases
    if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in _ASKS:
        return node.args
    if isinstance(node, ast.Compare):
        return [node.left, *node.comparators]
    named = (getattr(node, field, None) for field in ("type", "annotation", "returns"))
    return [part for part in named if isinstance(part, ast.AST)]
