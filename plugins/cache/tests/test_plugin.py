"""The plugin as the core sees it: its entry, its hook, its pure modules, its README."""

from __future__ import annotations

import ast
import re
import tomllib
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import attrs
import pytest

from nexus_connector import Connector
from nexus_connector.config import ServiceConfig
from nexus_connector.plugins import new_registry, register
from nexus_connector.setup import ServiceSetup
from nexus_connector_cache import CacheOptions, plugin
from nexus_connector_cache._stage import CacheStage

README = Path(__file__).parents[1].joinpath("README.md").read_text(encoding="utf-8")


def stages(options: CacheOptions | None) -> list[Any]:
    """What the plugin's hook returns, called as the core calls it."""
    registry = new_registry()
    register(registry, plugin.factory(CacheOptions()), plugin.name)
    setup = ServiceSetup(
        name="crm",
        config=ServiceConfig(),
        shared=cast("Any", SimpleNamespace(blocking=False)),
        max_inline_wait_seconds=5.0,
        now=lambda: 0.0,
        emit=lambda event: None,
        options=lambda kind: options if kind is CacheOptions else None,
    )
    return [stage for found in registry.hook.stages(config=setup) for stage in found]


def test_hook_stages() -> None:
    """Each service gets one stage of its own, at slot 300, between before_request hooks and retries."""
    [first], [second] = stages(CacheOptions(enabled=True)), stages(CacheOptions(enabled=True))
    assert isinstance(first, CacheStage)
    assert (first.name, first.slot) == ("cache", 300)
    assert first is not second


@pytest.mark.parametrize("options", [None, CacheOptions()], ids=["false", "not enabled"])
def test_switched_off_there_is_no_stage(options: CacheOptions | None) -> None:
    """``cache = false``, and nothing said at all, leave the chain as it is."""
    assert stages(options) == []


def test_it_waits_to_be_switched_on() -> None:
    """``nexus plugins`` says which key it waits for."""
    services = {"crm": {"base_url": "https://crm.example"}}
    with Connector.from_config({"services": services, "plugins": {"only": ["cache"]}}) as connector:
        assert connector.runtime.waiting("cache") == "cache = true"
    on = {"only": ["cache"], "cache": True}
    with Connector.from_config({"services": services, "plugins": on}) as connector:
        assert connector.runtime.waiting("cache") is None


def test_the_plugin_is_called_cache() -> None:
    """The plugin has the name under which it is configured, and defaults for every option."""
    assert plugin.name == "cache"
    assert plugin.config() == CacheOptions()


@pytest.mark.parametrize("name", ["_rules", "_fields", "_kept"])
def test_decisions_are_pure(name: str) -> None:
    """Time comes as an argument: the rules import nothing that waits, tells time or throws dice."""
    module = import_module(f"nexus_connector_cache.{name}")
    tree = ast.parse(Path(module.__file__ or "").read_text(encoding="utf-8"))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    pure = {"__future__", "collections.abc", "datetime", "email.utils", "json", "math", "re", "typing", "attrs"}
    assert imported <= pure | {"nexus_connector.headers", "_fields", "_kept"}
    called = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert called.isdisjoint({"now", "utcnow", "today"})


def test_the_readme_lists_every_option() -> None:
    """The table of the README has every option with its default."""
    for field in attrs.fields(CacheOptions):
        default: Any = field.default
        shown = "none" if not isinstance(default, int | float) else str(default).lower()
        shown = f"{default:g}" if isinstance(default, float) else shown
        assert f"| `{field.name}` | {shown} |" in README, field.name


def test_the_readme_is_right_about_python(capsys: pytest.CaptureFixture[str]) -> None:
    """Its example runs as it stands, and prints what stands below it."""
    [example] = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    exec(compile(example, "README.md", "exec"), {"__name__": "readme"})
    assert re.findall(r"```text\n(.*?)```", README, re.DOTALL) == [capsys.readouterr().out]


def test_the_readme_is_right_about_toml() -> None:
    """Its configuration is accepted as it stands."""
    for example in re.findall(r"```toml\n(.*?)```", README, re.DOTALL):
        read = tomllib.loads(example)
        read["plugins"] = {"only": ["cache"]}
        with Connector.from_config(read) as connector:
            on = {name: "cache" in {entry.name for entry in connector.explain(name)} for name in read["services"]}
        assert on == {"warehouse": True, "rates": True, "catalogue": True, "legacy": False}
