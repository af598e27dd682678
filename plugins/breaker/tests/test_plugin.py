"""The plugin as the core sees it: its entry, its hooks, its pure module, its README."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import attrs
import pytest

from nexus_connector.config import EndpointConfig, ServiceConfig
from nexus_connector.plugins import new_registry, register
from nexus_connector.setup import ServiceSetup
from nexus_connector_breaker import BreakerOptions, Circuit, plugin
from nexus_connector_breaker._gate import BreakerGate

README = Path(__file__).parents[1].joinpath("README.md").read_text(encoding="utf-8")


def gates(options: BreakerOptions | None, **config: Any) -> list[Any]:
    """What the plugin's hook returns, called as the core calls it."""
    registry = new_registry()
    register(registry, plugin.factory(BreakerOptions()), plugin.name)
    setup = ServiceSetup(
        name="crm",
        config=ServiceConfig(**config),
        shared=cast("Any", SimpleNamespace(blocking=False)),
        max_inline_wait_seconds=5.0,
        now=lambda: 0.0,
        emit=lambda event: None,
        options=lambda kind: options if kind is BreakerOptions else None,
    )
    return [gate for found in registry.hook.gates(config=setup) for gate in found]


def test_hook_gates() -> None:
    """Each service gets one gate of its own, before those of other plugins, with the service's options and groups."""
    endpoints = {"GET /o": EndpointConfig(group="orders"), "GET /x": EndpointConfig()}
    (first,), (second,) = gates(BreakerOptions(failure_threshold=1), endpoints=endpoints), gates(BreakerOptions())
    assert isinstance(first, BreakerGate)
    assert (first.name, first.order < 100) == ("breaker", True)
    assert (first._rules.failure_threshold, first._groups) == (1, {"GET /o": "orders"})
    assert (second._rules.failure_threshold, second._groups) == (5, {})


@pytest.mark.parametrize("options", [None, BreakerOptions(mode="disabled")], ids=["false", "disabled"])
def test_switched_off_there_is_no_gate(options: BreakerOptions | None) -> None:
    """``breaker = false`` and ``mode = "disabled"`` take the gate out of the chain."""
    assert gates(options) == []


def test_hook_on_circuit_change(world: Callable[..., Any], caplog: pytest.LogCaptureFixture) -> None:
    """The plugin hears its own events and logs them, also without any receiver."""
    crm = world({"failure_threshold": 1})
    crm.calls(500)
    assert [record.name for record in caplog.records if "opened" in record.getMessage()] == ["nexus_connector.crm"]


def test_the_plugin_is_called_breaker() -> None:
    """The plugin has the name under which it is configured, and defaults for every option."""
    assert plugin.name == "breaker"
    assert plugin.config() == BreakerOptions()


def test_decisions_are_pure() -> None:
    """Time comes to the machine as an argument: it imports nothing that waits or throws dice."""
    module = import_module("nexus_connector_breaker._machine")
    tree = ast.parse(Path(module.__file__ or "").read_text(encoding="utf-8"))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    allowed = {"__future__", "collections.abc", "typing", "attrs"}
    assert imported <= allowed | {"nexus_connector.conditions", "nexus_connector.state"}


def test_what_is_asked_by_hand_is_not_imported_before() -> None:
    """A connector at work loads neither how a person asks for circuits nor how one orders them; each name is there."""
    source = (
        "import sys, nexus_connector_breaker as breaker\n"
        "by_hand = {'nexus_connector_breaker._by_hand', 'nexus_connector_breaker._status'}\n"
        "before = bool(by_hand & set(sys.modules))\n"
        "print(before, *[type(getattr(breaker, name)).__name__ for name in breaker.__all__], hasattr(breaker, 'other'))"
    )
    printed = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True).stdout
    assert printed.split() == ["False", "type", "type", "function", "Plugin", "function", "False"]


def test_the_readme_lists_every_option() -> None:
    """The table of the README has every option with its default."""
    for field in attrs.fields(BreakerOptions):
        default = f'"{field.default}"' if isinstance(field.default, str) else field.default
        shown = "none" if default is None else default if isinstance(default, str) else f"{default:g}"
        assert f"| `{field.name}` | {shown} |" in README


def test_the_readme_lists_every_field_of_a_circuit() -> None:
    """What ``circuits()`` returns is documented by name."""
    assert [field.name for field in attrs.fields(Circuit) if f"`{field.name}`" not in README] == []


def test_the_readme_is_right_about_python(capsys: pytest.CaptureFixture[str]) -> None:
    """Its example runs as it stands, and prints what stands below it."""
    [example] = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    exec(compile(example, "README.md", "exec"), {"__name__": "readme"})
    assert re.findall(r"```text\n(.*?)```", README, re.DOTALL) == [capsys.readouterr().out]
