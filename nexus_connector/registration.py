"""Registration: plugins and the application's hooks join the registry of a runtime, with their options read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pluggy

from .config import Config
from .config.reading import nearest
from .config.sources import is_table
from .config.tables import Tables
from .errors import ConfigurationError
from .hooks import check_services
from .plugins import Plugin, check_needs, register, user_name
from .static_credentials import StaticCredentials


def register_all(
    registry: pluggy.PluginManager, tables: Tables, plugins: Mapping[str, Plugin[Any]], hooks: Sequence[object]
) -> dict[str, Any]:
    """Register the core's own hooks, the plugins that take part, and the application's hooks.

    Args:
        registry: Where they go.
        tables: The configuration.
        plugins: The plugins, by name.
        hooks: What the application gives, first to run.

    Returns:
        The options of each plugin that takes part anywhere; ``None``: only where a service says so.

    Raises:
        ConfigurationError: If options cannot be used, a needed plugin is missing, or a hook is for an unknown service.
        PluginError: If a plugin is not what it should be.
    """
    # pluggy runs the last registered first: the core's own come first here, what the application gives last.
    register(registry, StaticCredentials(), "nexus_connector.credentials")
    options: dict[str, Any] = {}
    for name, plugin in sorted(plugins.items(), reverse=True):
        common = tables.read(name, plugin.config)
        overridden = [service for service, overrides in tables.overrides.items() if name in overrides]
        for service in overridden:
            tables.read(name, plugin.config, service)
        if common is None and not overridden:
            continue
        options[name] = common
        implementation = plugin.factory(common if common is not None else plugin.config())
        is_idle = waiting_for(plugin, common, tables.config) is not None and not overridden
        if is_idle and not sees_services(implementation):
            continue  # as a sink it would only make every call build records for nobody
        _check_overrides(name, implementation, tables)
        register(registry, implementation, name)
    check_needs({name: plugins[name] for name in options})
    names: list[str] = []
    for hook in hooks:
        names.append(user_name(hook, names))
    for hook, name in reversed(list(zip(hooks, names, strict=True))):
        register(registry, hook, name)
    check_services(registry, frozenset(tables.config.services), nearest)
    return options


def waiting_for(plugin: Plugin[Any], options: Any, config: Config) -> str | None:
    """Say which key a plugin waits for before it has anything to do."""
    if options is None:
        return None
    if plugin.durable and config.stores.durable is None:
        return "stores.durable"
    return plugin.waiting(options) if plugin.waiting is not None else None


def sees_services(implementation: object) -> bool:
    """Say whether a plugin can have other options for one service: only build hooks are asked by service."""
    return hasattr(implementation, "stages") or hasattr(implementation, "gates")


def _check_overrides(name: str, implementation: object, tables: Tables) -> None:
    """Refuse options for one service where the plugin has no way to see them."""
    if sees_services(implementation):
        return
    for service, overrides in tables.overrides.items():
        if is_table(overrides.get(name)):
            hint = f"Set them in [plugins.{name}]; for one service there is only {name} = false."
            raise ConfigurationError(f"services.{service}.{name}: {name} has one set of options for all.", hint=hint)
