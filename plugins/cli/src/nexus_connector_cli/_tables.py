"""Tables: every table of the configuration with the class of its options, from the core and from what is installed."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import attrs

from nexus_connector.config import (
    Config,
    DomainConfig,
    EndpointConfig,
    PaginationConfig,
    PluginsConfig,
    ServiceConfig,
    StoresConfig,
)
from nexus_connector.plugins import Plugin, discover
from nexus_connector.registration import sees_services
from nexus_connector.static_credentials import METHODS

from ._adapters import Adapter, installed_adapters


@attrs.frozen(kw_only=True)
class OptionTable:
    """A table of the configuration.

    Attributes:
        path: Where it stands, as ``services.NAME``; empty for the top.
        kind: attrs class of its options.
        note: When or where else it may stand.
        by_service: Whether a plugin's may stand in a service, too.
    """

    path: str
    kind: type[Any]
    note: str = ""
    by_service: bool = False

    @property
    def title(self) -> str:
        """The first line of the class's docstring, without the path that it begins with."""
        line = (inspect.getdoc(self.kind) or "").partition("\n")[0].replace("``", "").removesuffix(".")
        title = line.partition(": ")[2] or line
        return title[:1].upper() + title[1:]


CORE: tuple[OptionTable, ...] = (
    OptionTable(path="", kind=Config),
    OptionTable(path="services.NAME", kind=ServiceConfig),
    *(OptionTable(path="services.NAME.credentials", kind=kind, note=f'method = "{m}"') for m, kind in METHODS.items()),
    OptionTable(path="services.NAME.pagination", kind=PaginationConfig),
    OptionTable(path='services.NAME.endpoints."OPERATION"', kind=EndpointConfig),
    OptionTable(path="domains.NAME", kind=DomainConfig),
    OptionTable(path="stores", kind=StoresConfig),
    OptionTable(path="plugins", kind=PluginsConfig),
)
"""The tables of the core, in the order of a configuration file."""


def plugin_tables() -> Iterator[OptionTable]:
    """Yield a table for each installed plugin; one that is broken is told by the core's own warning."""
    for each in discover(PluginsConfig(), ()):
        if each.plugin is not None:
            yield _plugin_table(each.plugin)


def _plugin_table(plugin: Plugin[Any]) -> OptionTable:
    name, by_service = plugin.name, sees_services(plugin.factory(plugin.config()))
    also = f"also [services.NAME.{name}], for one service; {name} = false switches it off"
    note = also if by_service else f"in [services.NAME] only {name} = false, which switches it off there"
    return OptionTable(path=f"plugins.{name}", kind=plugin.config, note=note, by_service=by_service)


def vendor_tables() -> Iterator[tuple[str, OptionTable]]:
    """Yield the name and the options of each installed vendor adapter that can be imported."""
    for each in installed_adapters():
        if isinstance(each, Adapter):
            note = f'adapter = "{each.name}"'
            yield each.name, OptionTable(path="services.NAME.options", kind=each.kind.options_class, note=note)
