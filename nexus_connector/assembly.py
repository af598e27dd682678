"""Assembly: the configuration of a runtime and the plugins that take part in it, found, checked and registered."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping
from functools import cached_property
from importlib.metadata import EntryPoint, EntryPoints, version
from typing import Any

import attrs
import pluggy

from .config.sources import load
from .config.tables import Tables, plugins_table, take_apart
from .errors import ConfigurationError
from .plugins import Installed, Plugin, checked, discover, installed_entries, new_registry, vendor_entries
from .registration import register_all


@attrs.frozen(kw_only=True)
class Assembly:
    """What a runtime is built from.

    Attributes:
        adapters: Entry points of the installed vendor adapters.
        installed: The installed plugins, and what became of them.
        plugins: Those that can be used and those given in code, by name.
        tables: The checked configuration.
        registry: Every hook implementation.
        off: Services for which a plugin is switched off, by its name.
        options: Options of the plugins that take part anywhere.
        version: Version of this core.
    """

    adapters: EntryPoints
    installed: tuple[Installed, ...]
    plugins: Mapping[str, Plugin[Any]]
    tables: Tables
    registry: pluggy.PluginManager
    off: Mapping[str, Collection[str]]
    options: Mapping[str, Any]
    version: str

    @cached_property
    def vendors(self) -> Mapping[str, EntryPoint]:
        """The installed vendor adapters by name, not yet imported."""
        return vendor_entries(self.adapters)

    def origin(self, plugin: str) -> tuple[str, str]:
        """Return distribution and version of a plugin; hooks given in code belong to the application."""
        if plugin.startswith("nexus_connector."):
            return "nexus-connector", self.version
        return next(
            ((each.distribution, each.version) for each in self.installed if each.name == plugin), ("application", "")
        )


def assemble(
    paths: Iterable[str | os.PathLike[str]] | None,
    argument: Mapping[str, object] | None,
    plugins: Iterable[object],
    environ: Mapping[str, str],
) -> Assembly:
    """Read the configuration and find the plugins.

    Args:
        paths: Configuration files; ``None``: none.
        argument: Configuration given in code.
        plugins: Plugins and hook objects given in code.
        environ: Environment variables.

    Raises:
        ConfigurationError: Names the path in the configuration and the remedy.
        PluginError: If a plugin cannot be used.
    """
    raw = load(paths, argument, environ)
    given = list(plugins)
    settings, defaults = plugins_table(raw)
    entries, adapters = installed_entries()
    named = [name for name, table in defaults.items() if table is not False]
    installed = tuple(discover(settings, named, entries))
    known: dict[str, Plugin[Any]] = {each.name: each.plugin for each in installed if each.plugin is not None}
    own: list[Plugin[Any]] = [plugin for plugin in given if isinstance(plugin, Plugin)]
    for plugin in own:
        if plugin.name in known:
            raise ConfigurationError(
                f"Plugin {plugin.name!r} is given in code and installed.", hint="Leave one of them out."
            )
        known[plugin.name] = checked(plugin, plugin.name)
    tables = take_apart(raw, [*known, *(each.name for each in installed)])
    registry = new_registry()
    hooks = [plugin for plugin in given if not isinstance(plugin, Plugin)]
    return Assembly(
        adapters=adapters,
        installed=installed,
        plugins=known,
        tables=tables,
        registry=registry,
        off={name: tables.services_without(name) for name in known},
        options=register_all(registry, tables, known, hooks),
        version=version("nexus-connector"),
    )
