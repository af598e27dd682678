"""The command ``plugins``: what is installed, and whether it takes part."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Literal

import attrs
import click
from rich.box import SIMPLE_HEAD
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from nexus_connector import Connector
from nexus_connector.runtime import Runtime

from ._adapters import Adapter, BrokenAdapter, installed_adapters
from ._invocation import Invocation, pass_invocation, with_json, with_source
from ._output import text_of

State = Literal["active", "waiting", "off", "not in plugins.only", "broken"]

STATE_STYLES: dict[str, str] = {"active": "good", "waiting": "care", "broken": "bad"}


@attrs.frozen(kw_only=True)
class PluginRow:
    """A plugin, and whether it takes part.

    Attributes:
        name: Its name.
        distribution: Distribution it comes from; ``application`` for hooks given in code.
        version: That distribution's version.
        state: Whether it takes part.
        why: The key it waits for, or what is wrong with it.
        hooks: Hooks it implements here.
    """

    name: str
    distribution: str
    version: str
    state: State
    why: str | None
    hooks: tuple[str, ...]

    @property
    def takes_part(self) -> bool:
        """Whether a connector of this configuration imports it."""
        return self.state in {"active", "waiting"}


@attrs.frozen(kw_only=True)
class VendorRow:
    """An installed vendor adapter.

    Attributes:
        name: Its name.
        distribution: Distribution it comes from.
        version: That distribution's version.
        domain: Contract it speaks.
        services: Services of the configuration that use it.
        problem: Why it cannot be imported.
    """

    name: str
    distribution: str
    version: str
    domain: str | None
    services: tuple[str, ...]
    problem: str | None


@click.command(short_help="List what is installed, and whether it takes part.")
@click.option("--freeze", is_flag=True, help="Print the line that allows exactly the plugins that take part now.")
@with_source
@with_json
@pass_invocation
def plugins(invocation: Invocation, freeze: bool) -> None:
    """List plugins and vendor adapters: where they come from, their state, the hooks they implement.

    States: active; waiting for a key of the configuration; off (switched off by the configuration); not in
    plugins.only; broken.
    """
    connector = invocation.connector_or_empty()
    if not invocation.source:
        invocation.output.note("There is no configuration here: the states are those of an empty one.")
    rows, vendors = plugin_rows(connector), vendor_rows(connector.runtime)
    if freeze:
        names = [row.name for row in rows if row.takes_part and row.distribution != "application"]
        invocation.output.report({"plugins": {"only": names}}, Text(f"plugins.only = {json.dumps(names)}"))
        return
    data = {"plugins": [attrs.asdict(row) for row in rows], "vendors": [attrs.asdict(row) for row in vendors]}
    views: list[RenderableType] = [_plugin_table(rows)]
    if vendors:
        views += [Text(), _vendor_table(vendors)]
    invocation.output.report(data, *views)


def plugin_rows(connector: Connector) -> list[PluginRow]:
    """Return a row for each installed plugin, then for each object with hooks that the application gave."""
    runtime = connector.runtime
    rows = [_row(runtime, each.name, each.problem) for each in runtime.installed]
    known = {row.name for row in rows}
    names = [name for name, _ in runtime.registry.list_name_plugin() if not name.startswith("nexus_connector.")]
    return rows + [_row(runtime, name, None) for name in sorted(names) if name not in known]


def _row(runtime: Runtime, name: str, problem: str | None) -> PluginRow:
    state: State = "active"
    why: str | None = None
    only = runtime.config.plugins.only
    if only is not None and name not in only and problem is not None:
        state = "not in plugins.only"
    elif problem is not None:
        state, why = "broken", problem
    elif name in runtime.plugins and name not in runtime.options:
        state = "off"
    elif name in runtime.plugins:
        why = runtime.waiting(name)
        state = "active" if why is None else "waiting"
    distribution, version = runtime.origin(name)
    hooks = _hooks(runtime, name)
    return PluginRow(name=name, distribution=distribution, version=version, state=state, why=why, hooks=hooks)


def _hooks(runtime: Runtime, name: str) -> tuple[str, ...]:
    plugin = runtime.registry.get_plugin(name)
    callers = runtime.registry.get_hookcallers(plugin) if plugin is not None else None
    return tuple(sorted(caller.name for caller in callers or ()))


def vendor_rows(runtime: Runtime) -> list[VendorRow]:
    """Return a row for each installed vendor adapter."""
    services = {name: config.adapter or name for name, config in runtime.config.services.items()}
    return [
        VendorRow(
            name=each.name,
            distribution=each.distribution,
            version=each.version,
            domain=each.vendor.domain if isinstance(each, Adapter) else None,
            services=tuple(service for service, adapter in services.items() if adapter == each.name),
            problem=each.problem if isinstance(each, BrokenAdapter) else None,
        )
        for each in installed_adapters()
    ]


def _plugin_table(rows: Sequence[PluginRow]) -> Table:
    table = _new_table("plugin", "from", "version", "state", "hooks")
    for row in rows:
        state = Text(row.state, style=STATE_STYLES.get(row.state, "quiet"))
        if row.why is not None:
            state.append_text(text_of(f": {row.why}"))
        _add(table, row, state, text_of(", ".join(row.hooks)))
    return table


def _vendor_table(rows: Sequence[VendorRow]) -> Table:
    table = _new_table("vendor", "from", "version", "domain", "services")
    for row in rows:
        services = text_of(", ".join(row.services) or "none", "" if row.services else "quiet")
        broken = Text.assemble(("broken: ", "bad"), text_of(row.problem))
        _add(table, row, broken if row.problem is not None else text_of(row.domain), services)
    return table


def _new_table(*names: str) -> Table:
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, border_style="quiet")
    for name in names:
        table.add_column(name, overflow="fold")
    return table


def _add(table: Table, row: PluginRow | VendorRow, *cells: Text) -> None:
    table.add_row(text_of(row.name, "name"), text_of(row.distribution), text_of(row.version, "quiet"), *cells)
