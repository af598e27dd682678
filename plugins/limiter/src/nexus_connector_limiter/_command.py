"""The command ``nexus limits``: the limits of an application, for people and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Protocol

import attrs
import click
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from nexus_connector import Connector

from ._status import Limit, limits

_COLUMNS: Final = ("service", "endpoint", "limit", "kind", "left", "wait")
_SOURCE: Final = frozenset({"app", "files", "debug"})
"""Names of the options of ``nexus`` itself that every command takes."""
_MEMORY: Final = (
    "stores.shared is memory://, which is per process: this shows the process that asks, not a running application. "
    "There, limits(connector) of this plugin returns the same."
)


class _Output(Protocol):
    as_json: bool

    def report(self, data: object, *views: Any) -> None: ...
    def note(self, text: str) -> None: ...


class _Invocation(Protocol):
    """What the command line hands to every command."""

    output: _Output

    def connector(self) -> Connector: ...


def add_command(group: click.Group) -> None:
    """Add the command to ``nexus``, with the options by which each of its commands finds the configuration."""
    group.add_command(
        click.Command(
            "limits",
            callback=click.pass_obj(_show),
            params=[
                click.Argument(["service"], required=False),
                click.Option(["--json", "as_json"], is_flag=True, help="Print JSON."),
                *(each for each in group.params if each.name in _SOURCE),
            ],
            short_help="Show what is left of limits and budgets.",
            help="Show the limits of all services, or of SERVICE: what is left of each, and how long a call waits.",
        )
    )


def _show(invocation: _Invocation, service: str | None, as_json: bool) -> None:
    connector, output = invocation.connector(), invocation.output
    found = limits(connector, service)
    store = connector.runtime.store_label("shared")
    per_process = store.startswith("memory:")
    data = {
        "store": store,
        "per_process": per_process,
        "limits": [attrs.asdict(limit) for limit in found],
    }
    output.as_json = output.as_json or as_json
    output.report(data, _table(found) if found else "No service has limits.")
    if per_process:
        output.note(_MEMORY)


def _table(found: Sequence[Limit]) -> Table:
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, border_style="dim")
    for name in _COLUMNS:
        table.add_column(name, justify="right" if name in {"left", "wait"} else "left", overflow="fold")
    for limit in found:
        table.add_row(
            Text(limit.service, style="bold"),
            Text(limit.endpoint),
            Text(limit.limit),
            Text(limit.kind),
            Text(f"{limit.left:g}", style="" if limit.left else "red"),
            Text(_seconds(limit.wait_seconds)),
        )
    return table


def _seconds(value: float) -> str:
    """Return a wait, short.

    >>> _seconds(0.0), _seconds(0.25), _seconds(75.0)
    ('', '0.25 s', '75 s')
    """
    return "" if not value else f"{value:.2f} s" if value < 10 else f"{value:.0f} s"
