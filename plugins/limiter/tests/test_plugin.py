"""The plugin as the core sees it: its entry, its hooks, its README."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import attrs
import pytest

from nexus_connector.adapter import LimitHeaders, Vendor
from nexus_connector.config import ServiceConfig
from nexus_connector.plugins import new_registry, register
from nexus_connector.setup import ServiceSetup
from nexus_connector_limiter import Limit, LimiterOptions, plugin

README = Path(__file__).parents[1].joinpath("README.md").read_text(encoding="utf-8")
SHARED, DURABLE = cast("Any", SimpleNamespace(blocking=False)), cast("Any", SimpleNamespace(blocking=True))


def gates(options: LimiterOptions | None, vendor: Vendor | None = None, durable: Any = None) -> list[Any]:
    """What the plugin's hook returns, called as the core calls it."""
    registry = new_registry()
    register(registry, plugin.factory(LimiterOptions()), plugin.name)
    setup = ServiceSetup(
        name="crm",
        config=ServiceConfig(),
        vendor=vendor,
        shared=SHARED,
        durable=durable,
        max_inline_wait_seconds=5.0,
        now=lambda: 0.0,
        emit=lambda event: None,
        options=lambda kind: options if kind is LimiterOptions else None,
    )
    return [gate for found in registry.hook.gates(config=setup) for gate in found]


def test_hook_gates() -> None:
    """One gate for limits and permits, one for budgets, both behind the breaker's and before those of others."""
    found = gates(LimiterOptions(limits=("10/s",), budgets=("5/day",)))
    assert [(gate.name, 50 < gate.order < 100) for gate in found] == [("limiter", True), ("limiter.budgets", True)]


def test_nothing_to_do_is_no_gate() -> None:
    """``limiter = false``, or nothing to act on: the chain has no gate that would only cost time."""
    assert gates(None) == gates(LimiterOptions()) == []
    assert [gate.name for gate in gates(LimiterOptions(budgets=("5/day",)))] == ["limiter.budgets"]
    assert [gate.name for gate in gates(LimiterOptions(max_concurrency=5))] == ["limiter"]


def test_money_is_kept_where_it_survives() -> None:
    """Budgets live in the durable store where there is one; limits never do."""
    options = LimiterOptions(limits=("10/s",), budgets=("5/day",))
    assert [gate.store for gate in gates(options)] == [SHARED, SHARED]
    assert [gate.store for gate in gates(options, durable=DURABLE)] == [SHARED, DURABLE]


def test_the_vendor_is_asked_where_the_options_say_nothing() -> None:
    """Limits and headers of the adapter hold until the options name others."""
    vendor = Vendor(
        name="a", domain="b", base_url=("https://a.example",), limits=("7/s",), limit_headers=LimitHeaders(reset="R")
    )
    [gate] = gates(LimiterOptions(), vendor)
    assert ([quota.text for quota in gate._rules.common], gate._headers.reset) == (["7/s"], "R")
    [gate] = gates(LimiterOptions(limits=("9/s",), reset_headers=None), vendor)
    assert [quota.text for quota in gate._rules.common] == ["9/s"]


def test_the_plugin_is_called_limiter() -> None:
    """The plugin has the name under which it is configured, and defaults for every option."""
    assert plugin.name == "limiter"
    assert plugin.config() == LimiterOptions()


def test_what_is_asked_by_hand_is_not_imported_before() -> None:
    """A connector at work loads neither how a person asks for limits nor the gate of budgets; each name is there."""
    source = (
        "import sys, nexus_connector_limiter as limiter\n"
        "not_yet = {'nexus_connector_limiter._status', 'nexus_connector_limiter._budget_gate'}\n"
        "before = bool(not_yet & set(sys.modules))\n"
        "print(before, *[type(getattr(limiter, name)).__name__ for name in limiter.__all__], hasattr(limiter, 'other'))"
    )
    printed = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True).stdout
    assert printed.split() == ["False", "type", "type", "type", "function", "Plugin", "False"]


def test_the_readme_lists_every_option() -> None:
    """The table of the README has every option with its default."""
    shown = {None: "none", True: "true"}
    for field in attrs.fields(LimiterOptions):
        default = field.default
        empty = default == () or isinstance(default, attrs.Factory)  # type: ignore[arg-type]  # it is a class
        text = "none" if empty else shown.get(default, f'"{default}"' if isinstance(default, str) else f"{default}")
        assert f"| `{field.name}` | {text} |" in README, field.name


def test_the_readme_lists_every_field_of_a_limit() -> None:
    """What ``limits()`` returns is documented by name."""
    assert [field.name for field in attrs.fields(Limit) if f"`{field.name}`" not in README] == []


def test_the_readme_is_right_about_python(capsys: pytest.CaptureFixture[str]) -> None:
    """Its example runs as it stands, and prints what stands below it."""
    [example] = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    exec(compile(example, "README.md", "exec"), {"__name__": "readme"})
    assert re.findall(r"```text\n(.*?)```", README, re.DOTALL) == [capsys.readouterr().out]
