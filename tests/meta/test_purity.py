"""Decisions are pure: their modules take time and chance as arguments, and touch nothing outside."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CORE = [
    "adapter",
    "conditions",
    "credentials",
    "endpoint",
    "errors",
    "events",
    "headers",
    "ids",
    "judge",
    "message",
    "money",
    "operation",
    "pagination",
    "path",
    "pipeline",
    "policy",
    "records",
    "retry_after",
    "secret",
    "verdict",
    "contracts/email",
    "contracts/payments",
]
DECISIONS = (
    *("_machine", "_health", "_backoff", "_budget", "_payload", "_answers", "_adapter"),
    *("_quota", "_rules", "_state", "_budgets", "_index", "_fields", "_kept"),
)
"""Modules of plugins and vendors that decide and translate."""
IMPURE = {"asyncio", "random", "redis", "secrets", "select", "selectors", "socket", "subprocess", "threading", "time"}
CLOCKS = {"now", "utcnow", "today"}

MEMBERS = [*sorted(ROOT.glob("plugins/*/src/*/*.py")), *sorted(ROOT.glob("contrib/*/src/*/*.py"))]
MODULES = [
    *[ROOT / f"nexus_connector/{name}.py" for name in CORE],
    *[file for file in MEMBERS if file.stem in DECISIONS],
]
modules = pytest.mark.parametrize("module", MODULES, ids=[str(file.relative_to(ROOT)) for file in MODULES])


def imports(tree: ast.AST) -> set[str]:
    """Top-level names of what a module imports, wherever in it."""
    found = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    found |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and not node.level}
    return {name.partition(".")[0] for name in found}


@modules
def test_it_imports_nothing_that_waits_tells_time_or_throws_dice(module: Path) -> None:
    """Clock, randomness, threads and sockets come in from outside, or not at all."""
    assert imports(ast.parse(module.read_text(encoding="utf-8"))) & IMPURE == set()


@modules
def test_it_asks_no_clock(module: Path) -> None:
    """``datetime.now()`` would be a clock by the back door; the io of a call tells the time."""
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CLOCKS:
            assert not ast.unparse(node.func.value).endswith(("datetime", "date"))


def test_there_are_decisions_to_look_at() -> None:
    """The patterns still find the modules that they were made for."""
    assert {file.stem for file in MODULES} >= {"verdict", "_backoff", "_budget"}
