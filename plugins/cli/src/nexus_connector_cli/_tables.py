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
from nexus_connector.plugins import discover, vendor_entries
from nexus_connector.static_credentials import METHODS


@attrs.frozen(kw_only=True)
class OptionTable:
    """A table of the configuration.

    Attributes:
        path: Where it stands, as ``services.NAME``; empty for the top.
        kind: attrs class of its options.
        note: When or where else it may stand.
    """

    path: str
    kind: type[Any]
    note: str = ""

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
            note = f"also [services.NAME.{each.name}], for one service; {each.name} = false switches it off"
            yield OptionTable(path=f"plugins.{each.name}", kind=each.plugin.config, note=note)


def vendor_tables() -> Iterator[tuple[str, OptionTable]]:
    """Yield the name and the options of each installed vendor adapter that can be imported."""
    for name, entry in sorted(vendor_entries().items()):
        try:
            kind: type[Any] = entry.load().options_class
        except Exception:  # noqa: S112  # nexus plugins and nexus doctor say what is wrong with it
            continue
        yield name, OptionTable(path="services.NAME.options", kind=kind, note=f'adapter = "{name}"')
