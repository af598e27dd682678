"""The command ``nexus circuits``: shows the circuits of an application, opens and closes them by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Protocol

import attrs
import click
from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from nexus_connector import Connector
from nexus_connector.errors import ConfigurationError
from nexus_connector.state import MemoryStore

from ._by_hand import Order, set_circuit
from ._status import Circuit, circuits

_COLUMNS: Final = ("service", "region", "group", "state", "failures", "since", "probe in", "reason")
_STYLES: Final = {"open": "red", "half_open": "magenta", "closed": "green", "disabled": "dim"}
_SOURCE: Final = frozenset({"app", "files", "debug"})
"""Names of the options of ``nexus`` itself that every command takes."""
_BOUNDLESS: Final = 10_000
_MEMORY: Final = (
    "stores.shared is memory://, which is per process: this shows the process that asks, not a running application. "
    "There, circuits(connector) of this plugin returns the same."
)
_HELP: Final = """Show the circuits of all services, or of SERVICE: state, failures, and when a probe may pass.

With --open, --close or --reset, change those of SERVICE for all processes that share its store. They hear of it when
they next look: within the snapshot if they know it closed, within a second if they know it open."""


class _Output(Protocol):
    as_json: bool
    out: Console

    def report(self, data: object, *views: Any) -> None: ...
    def note(self, text: str) -> None: ...


class _Invocation(Protocol):
    """What the command line hands to every command."""

    output: _Output

    def connector(self) -> Connector: ...


def add_command(group: click.Group) -> None:
    """Add the command to ``nexus``, with the options by which each of its commands finds the configuration."""
    opens = "Open them for so many seconds, then one probe may pass; without a number, until they are closed by hand."
    group.add_command(
        click.Command(
            "circuits",
            callback=click.pass_obj(_run),
            params=[
                click.Argument(["service"], required=False),
                click.Option(["--open", "opens"], is_flag=False, flag_value="", metavar="[SECONDS]", help=opens),
                click.Option(["--close", "closes"], is_flag=True, help="Close them."),
                click.Option(["--reset", "resets"], is_flag=True, help="Forget their failures and calls."),
                click.Option(["--region"], metavar="NAME", help="Only that of this region; empty: that of run()."),
                click.Option(
                    ["--group"], metavar="NAME", help="Only that of this group of operations; empty: those without one."
                ),
                click.Option(["--json", "as_json"], is_flag=True, help="Print JSON."),
                *(each for each in group.params if each.name in _SOURCE),
            ],
            short_help="Show which circuits are open, and since when; open and close them by hand.",
            help=_HELP,
        )
    )


def _run(
    invocation: _Invocation,
    service: str | None,
    *,
    opens: str | None,
    closes: bool,
    resets: bool,
    region: str | None,
    group: str | None,
    as_json: bool,
) -> None:
    given: dict[Order, bool] = {"open": opens is not None, "close": closes, "reset": resets}
    orders: list[Order] = [order for order, is_given in given.items() if is_given]
    seconds = _seconds_of(opens)
    if len(orders) > 1 or (orders and service is None):
        raise click.UsageError("Give SERVICE, and one of --open, --close and --reset.")
    connector, output = invocation.connector(), invocation.output
    per_process = isinstance(connector.runtime.process.stores.shared, MemoryStore)
    if orders and service is not None:
        if per_process:
            message = "stores.shared is memory://, which is per process: no command reaches an application's circuits."
            hint = "Set it to a store that all processes share, or call set_circuit(connector, ...) in the application."
            raise ConfigurationError(message, hint=hint)
        set_circuit(connector, service, orders[0], open_seconds=seconds, region=region, group=group)
    found = [each for each in circuits(connector, service) if _is_meant(each, region, group)]
    data = {
        "store": connector.runtime.store_label("shared"),
        "per_process": per_process,
        "circuits": [attrs.asdict(circuit) for circuit in found],
    }
    output.as_json = output.as_json or as_json
    output.report(data, _view(found, output.out))
    if per_process:
        output.note(_MEMORY)


def _seconds_of(text: str | None) -> float | None:
    if not text:
        return None
    try:
        return float(text)
    except ValueError:
        message = f"--open takes a number of seconds, and {text!r} is none. Write SERVICE before it."
        raise click.UsageError(message) from None


def _is_meant(circuit: Circuit, region: str | None, group: str | None) -> bool:
    return region in {None, circuit.region or ""} and group in {None, circuit.group}


def _view(found: Sequence[Circuit], console: Console) -> RenderableType:
    """Return the table, or a list where the table is too wide to be read."""
    if not found:
        return "No service has a breaker that takes part."
    table = _table(found)
    needed = console.measure(table, options=console.options.update_width(_BOUNDLESS)).maximum
    return table if needed <= console.width else Group(*map(_item, found))


def _item(circuit: Circuit) -> RenderableType:
    since, probe = _seconds(circuit.since_seconds), _seconds(circuit.probe_in_seconds)
    facts = [
        f"failures {_failures(circuit)}" if circuit.failures or circuit.calls else "",
        f"since {since}" if since else "",
        f"probe in {probe}" if probe else "",
        circuit.reason,
    ]
    place = [circuit.region or "", f"group {circuit.group}" if circuit.group else ""]
    head = Text.assemble((circuit.service, "bold"), "".join(f"  {each}" for each in place if each))
    state = Text.assemble((_state(circuit), _STYLES[circuit.state]), "".join(f", {each}" for each in facts if each))
    return Group(head, Padding(state, (0, 0, 0, 2)))


def _table(found: Sequence[Circuit]) -> Table:
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, border_style="dim")
    for name in _COLUMNS:
        table.add_column(name, justify="right" if name in {"since", "probe in"} else "left")
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
