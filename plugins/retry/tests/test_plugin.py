"""The plugin as the core sees it: its entry, its hook, its pure modules, its README."""

from __future__ import annotations

import ast
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import attrs
import pytest

from nexus_connector.config import ServiceConfig
from nexus_connector.plugins import new_registry, register
from nexus_connector.setup import ServiceSetup
from nexus_connector_retry import RetryOptions, plugin


def setup(options: RetryOptions | None, *, attempt_timeout_seconds: float = 10.0) -> ServiceSetup:
    """A service as the core shows it to build hooks."""
    return ServiceSetup(
        name="stripe",
        config=ServiceConfig(attempt_timeout_seconds=attempt_timeout_seconds),
        shared=cast("Any", SimpleNamespace()),
        max_inline_wait_seconds=5.0,
        now=lambda: 0.0,
        emit=lambda event: None,
        options=lambda kind: options if kind is RetryOptions else None,
    )


def stages(given: ServiceSetup) -> list[Any]:
    """What the plugin's hook returns, called as the core calls it."""
    registry = new_registry()
    register(registry, plugin.factory(RetryOptions()), plugin.name)
    return [stage for found in registry.hook.stages(config=given) for stage in found]


def test_hook_stages() -> None:
    """Each service gets one retry stage of its own at slot 400, with the service's options, not the plugin's."""
    (first,), (second,) = stages(setup(RetryOptions(max_retries=1))), stages(setup(RetryOptions(max_retries=2)))
    assert (first.name, first.slot) == ("retry", 400)
    assert first._policy.max_retries == 1
    assert second._policy.max_retries == 2
    assert first._budget is not second._budget


def test_a_service_without_retries_still_has_the_stage() -> None:
    """``max_retries = 0`` leaves the stage in place: an operation's own policy works there."""
    assert len(stages(setup(RetryOptions(max_retries=0)))) == 1


def test_switched_off_there_is_no_stage() -> None:
    """``retry = false`` takes the stage out of the chain."""
    assert stages(setup(None)) == []


def test_the_stage_takes_the_limits_of_the_service() -> None:
    """The attempt timeout is the service's, the longest inline wait the connector's."""
    (stage,) = stages(setup(RetryOptions(), attempt_timeout_seconds=3.5))
    assert (stage._attempt_timeout_seconds, stage._max_inline_wait_seconds) == (3.5, 5.0)


def test_the_plugin_is_called_retry() -> None:
    """The plugin has the name under which it is configured, and defaults for every option."""
    assert plugin.name == "retry"
    assert plugin.config() == RetryOptions()


@pytest.mark.parametrize("name", ["_backoff", "_budget"])
def test_decisions_are_pure(name: str) -> None:
    """Time and chance come to backoff and budget as arguments: they import nothing that waits or throws dice."""
    module = import_module(f"nexus_connector_retry.{name}")
    tree = ast.parse(Path(module.__file__ or "").read_text(encoding="utf-8"))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert imported <= {"__future__", "typing", "attrs", "nexus_connector.policy"}


def test_the_readme_lists_every_option() -> None:
    """The table of the README has every option with its default."""
    readme = Path(__file__).parents[1] / "README.md"
    text = readme.read_text(encoding="utf-8")
    for field in attrs.fields(RetryOptions):
        default = f'"{field.default}"' if isinstance(field.default, str) else f"{field.default:g}"
        assert f"| `{field.name}` | {default} |" in text
