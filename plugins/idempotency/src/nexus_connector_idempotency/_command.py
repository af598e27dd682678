"""The command ``nexus outcomes``: the calls of which nobody knows whether they happened, listed and settled."""

from __future__ import annotations

from typing import Any, Final, Protocol

import attrs
import click
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from nexus_connector import Connector, PendingOutcome
from nexus_connector.errors import InvalidRequestError
from nexus_connector.verdict import Outcome

_STYLES: Final = {"unknown": "red", "in_flight": "dim"}
_SOURCE: Final = frozenset({"app", "files", "debug"})
"""Names of the options of ``nexus`` itself that every command takes."""
_NOBODY: Final = "No service keeps claims: set stores.durable."
_NOTHING: Final = "No outcome is open."


class _Output(Protocol):
    as_json: bool

    def report(self, data: object, *views: Any) -> None: ...


class _Invocation(Protocol):
    """What the command line hands to every command."""

    output: _Output

    def connector(self) -> Connector: ...


def add_command(group: click.Group) -> None:
    """Add the command to ``nexus``, with the options by which each of its commands finds the configuration."""
    outcomes = click.Choice([Outcome.DONE.value, Outcome.REFUSED.value])
    group.add_command(
        click.Command(
            "outcomes",
            callback=click.pass_obj(_run),
            params=[
                click.Argument(["service"], required=False),
                click.Option(["--settle", "call_id"], metavar="CALL_ID", help="Say what became of this call."),
                click.Option(
                    ["--as", "outcome"], metavar="OUTCOME", type=outcomes, help="It was done, or nothing happened."
                ),
                click.Option(["--json", "as_json"], is_flag=True, help="Print JSON."),
                *(each for each in group.params if each.name in _SOURCE),
            ],
            short_help="Show which calls may have happened, and settle them.",
            help="Show the calls of all services, or of SERVICE, of which nobody knows whether they happened. With "
            "--settle CALL_ID --as done its key stays taken; with --as refused the call may be made again.",
        )
    )


def _run(invocation: _Invocation, service: str | None, call_id: str | None, outcome: str | None, as_json: bool) -> None:
    if (call_id is None) is not (outcome is None):
        raise click.UsageError("--settle CALL_ID and --as done or --as refused go together.")
    connector, output = invocation.connector(), invocation.output
    output.as_json = output.as_json or as_json
    if call_id is not None and outcome is not None:
        settled = _settle(connector, service, call_id, outcome)
        output.report({"settled": _plain(settled), "as": outcome}, f"Call {call_id} is settled as {outcome}.")
        return
    found = connector.outcomes.list(service)
    keeps = any(connector.runtime.target(name).claims is not None for name in connector.runtime.config.services)
    view = Group(*map(_item, found)) if found else _NOTHING if keeps else _NOBODY
    output.report({"outcomes": [_plain(pending) for pending in found]}, view)


def _settle(connector: Connector, service: str | None, call_id: str, outcome: str) -> PendingOutcome:
    pending = next((each for each in connector.outcomes.list(service) if each.call_id == call_id), None)
    if pending is None:
        message = f"No open outcome belongs to call {call_id}."
        raise InvalidRequestError(message, hint="nexus outcomes shows those that are open.")
    connector.outcomes.settle(pending, Outcome.DONE if outcome == Outcome.DONE.value else Outcome.REFUSED)
    return pending


def _plain(pending: PendingOutcome) -> dict[str, object]:
    return {**attrs.asdict(pending), "since": pending.since.isoformat()}


def _item(pending: PendingOutcome) -> RenderableType:
    head = Text.assemble(
        (pending.call_id, "bold"),
        f"  {pending.operation} of {pending.service}  ",
        (pending.state.replace("_", " "), _STYLES[pending.state]),
    )
    tenant = "" if pending.tenant_id is None else f", tenant {pending.tenant_id}"
    facts = f"key {pending.idempotency_key}{tenant}, since {pending.since:%Y-%m-%d %H:%M:%S} UTC"
    lines = [Text(line) for line in (facts, pending.message) if line]
    return Group(head, Padding(Group(*lines), (0, 0, 0, 2)))
