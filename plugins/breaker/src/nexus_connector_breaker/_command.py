"""The command ``nexus circuits``: the circuits of an application, for people and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Protocol

import attrs
import click
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from nexus_connector import Connector

from ._status import Circuit, circuits

_COLUMNS: Final = ("service", "region", "group", "state", "failures", "since", "probe in", "reason")
_STYLES: Final = {"open": "red", "half_open": "magenta", "closed": "green", "disabled": "dim"}
_SOURCE: Final = frozenset({"app", "files", "debug"})
"""Names of the options of ``nexus`` itself that every command takes."""
_MEMORY: Final = (
    "stores.shared is memory://, which is per process: this shows the process that asks, not a running application. "
    "There, circuits(connector) of this plugin returns the same."
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
            "circuits",
            callback=click.pass_obj(_show),
            params=[
                click.Argument(["service"], required=False),
                click.Option(["--json", "as_json"], is_flag=True, help="Print JSON."),
                *(each for each in group.params if each.name in _SOURCE),
            ],
            short_help="Show which circuits are open, and since when.",
            help="Show the circuits of all services, or of SERVICE: state, failures, and when a probe may pass.",
        )
    )


def _show(invocation: _Invocation, service: str | None, as_json: bool) -> None:
    connector, output = invocation.connector(), invocation.output
    found = circuits(connector, service)
    store = connector.runtime.config.stores.shared
    per_process = store.startswith("memory:")
    data = {
        "store": connector.runtime.redactor().text(store),
        "per_process": per_process,
        "circuits": [attrs.asdict(circuit) for circuit in found],
    }
    output.as_json = output.as_json or as_json
    output.report(data, _table(found) if found else "No service has a breaker that takes part.")
    if per_process:
        output.note(_MEMORY)


def _table(found: Sequence[Circuit]) -> Table:
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, border_style="dim")
    for name in _COLUMNS:
        table.add_column(name, justify="right" if name in {"since", "probe in"} else "left", overflow="fold")
    for circuit in found:
        table.add_row(
            Text(circuit.service, style="bold"),
            Text(circuit.region or ""),
            Text(circuit.group),
            Text(_state(circuit), style=_STYLES[circuit.state]),
            Text(_failures(circuit)),
            Text(_seconds(circuit.since_seconds)),
            Text(_seconds(circuit.probe_in_seconds)),
            Text(circuit.reason),
        )
    return table


def _state(circuit: Circuit) -> str:
    """Return state and mode.

    >>> _state(Circuit(service="crm", region=None, group="", state="half_open", mode="shadow"))
    'half open (shadow)'
    """
    state = circuit.state.replace("_", " ")
    return state if circuit.mode in {"normal", circuit.state} else f"{state} ({circuit.mode})"


def _failures(circuit: Circuit) -> str:
    parts = [str(circuit.failures)]
    if circuit.calls:
        slow = f", {circuit.slow_calls} slow" if circuit.slow_calls else ""
        parts.append(f"({circuit.failed_calls} of {circuit.calls} calls{slow})")
    return " ".join(parts)


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.1f} s" if value < 10 else f"{value:.0f} s"
