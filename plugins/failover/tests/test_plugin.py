"""The plugin as the core sees it: its entry, its hook, its pure module, its README."""

from __future__ import annotations

import ast
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import attrs
import pytest

from nexus_connector import Connector
from nexus_connector.config import ServiceConfig
from nexus_connector.plugins import new_registry, register
from nexus_connector.setup import ServiceSetup
from nexus_connector_failover import FailoverOptions, _health, plugin

EU, US = "https://eu.crm.example", "https://us.crm.example"


def setup(options: FailoverOptions | None, *urls: str) -> ServiceSetup:
    """A service as the core shows it to build hooks."""
    return ServiceSetup(
        name="crm",
        config=ServiceConfig(base_url=urls),
        shared=cast("Any", SimpleNamespace()),
        max_inline_wait_seconds=5.0,
        now=lambda: 0.0,
        emit=lambda event: None,
        options=lambda kind: options if kind is FailoverOptions else None,
    )


def stages(given: ServiceSetup) -> list[Any]:
    """What the plugin's hook returns, called as the core calls it."""
    registry = new_registry()
    register(registry, plugin.factory(FailoverOptions()), plugin.name)
    return [stage for found in registry.hook.stages(config=given) for stage in found]


def chain(**service: object) -> list[tuple[int, str, str, str]]:
    """The lines of ``explain`` that have to do with regions."""
    services = {"crm": {"base_url": [EU, US], **service}}
    with Connector.from_config({"services": services, "plugins": {"only": ["failover"]}}) as connector:
        return [
            (entry.slot, entry.kind, entry.name, entry.distribution)
            for entry in connector.explain("crm")
            if entry.name in {"region", "moves"}
        ]


OWN, CORE = "nexus-connector-failover", "nexus-connector"


def test_hook_stages() -> None:
    """Each service gets stages of its own: one picks the region, the other tells of moves."""
    first, second = (stages(setup(FailoverOptions(), EU, US)) for _ in range(2))
    assert [(stage.name, stage.slot) for stage in first] == [("region", 500), ("moves", 900)]
    assert first[0] is not second[0]


def test_it_takes_the_place_of_the_cores_picker() -> None:
    """With several base URLs the chain has the plugin's stages, the core's own picker is gone."""
    assert chain() == [(500, "stage", "region", OWN), (900, "stage", "moves", OWN)]


@pytest.mark.parametrize("service", [{"base_url": EU}, {"base_url": [EU]}, {"failover": False}], ids=str)
def test_where_there_is_nothing_to_choose_the_core_picks(service: dict[str, object]) -> None:
    """A single base URL, or ``failover = false``: the chain is the core's."""
    assert chain(**service) == [(500, "core", "region", CORE)]


def test_without_a_base_url_there_is_no_stage() -> None:
    """A service for ``run()`` alone has no regions."""
    assert stages(setup(FailoverOptions())) == []


def test_switched_off_there_is_no_stage() -> None:
    """``failover = false`` takes it out of the chain, however many base URLs there are."""
    assert stages(setup(None, EU, US)) == []


def test_the_plugin_is_called_failover() -> None:
    """The plugin has the name under which it is configured, and defaults for every option."""
    assert plugin.name == "failover"
    assert plugin.config() == FailoverOptions()


def test_decisions_are_pure() -> None:
    """Time comes to the health of regions as an argument: it imports nothing that waits, locks or tells time."""
    tree = ast.parse(Path(_health.__file__).read_text(encoding="utf-8"))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert imported <= {"__future__", "collections.abc", "attrs"}


def test_the_readme_lists_every_option() -> None:
    """The table of the README has every option with its default."""
    text = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    for field in attrs.fields(FailoverOptions):
        default = str(field.default).lower() if isinstance(field.default, bool) else f"{field.default:g}"
        assert f"| `{field.name}` | {default} |" in text
