"""The command ``explain``: the chain of a service, or the time line of a call."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import attrs
import click
from rich.box import SIMPLE_HEAD
from rich.table import Table

from nexus_connector import ChainEntry, Connector
from nexus_connector.errors import ConfigurationError

from ._invocation import Invocation, pass_invocation, with_json, with_source
from ._output import text_of
from ._timeline import Timeline, timeline_of
from ._timeline_view import timeline_view

_ULID: Final = re.compile("[0-7][0-9A-HJKMNP-TV-Z]{25}")
_KINDS: Final = {"core": "quiet", "hook": "care", "stage": "good", "gate": "good"}


@click.command(short_help="Show the chain of a service, or the time line of a call.")
@click.argument("what", metavar="SERVICE|CALL_ID")
@with_source
@with_json
@pass_invocation
def explain(invocation: Invocation, what: str) -> None:
    """Show what every call of SERVICE passes through, outermost first; or what happened in the call CALL_ID.

    The time line comes from the records of the call, so a plugin must keep them.
    """
    connector = invocation.connector()
    if what not in connector.runtime.config.services and _ULID.fullmatch(what.upper()):
        line = call_timeline(connector, what.upper())
        invocation.output.report(line.as_dict(), timeline_view(line))
        return
    chain = connector.explain(what)
    data = {"service": what, "chain": [attrs.asdict(entry) for entry in chain]}
    invocation.output.report(data, _chain_view(chain))


def call_timeline(connector: Connector, call_id: str) -> Timeline:
    """Return the time line of a call from its records.

    Raises:
        ConfigurationError: If no plugin keeps records.
        ClickException: If none of this call are kept.
    """
    runtime = connector.runtime
    waiting = [key for name in runtime.plugins if (key := runtime.waiting(name)) is not None]
    hint = f"Not configured yet: {', '.join(waiting)}." if waiting else "nexus plugins shows what is installed."
    if not runtime.registry.hook.read_log.get_hookimpls():
        raise ConfigurationError("Nothing here keeps records that could be read again.", hint=hint)
    line = timeline_of(call_id, runtime.read_log(call_id) or (), runtime.redactor())
    if line is None:
        raise click.ClickException(
            f"There are no records of the call {call_id}. Check the id, and where they are kept."
        )
    return line


def _chain_view(chain: Sequence[ChainEntry]) -> Table:
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, border_style="quiet")
    table.add_column("slot", justify="right")
    for name in ("name", "kind", "from", "version"):
        table.add_column(name, overflow="fold")
    for entry in chain:
        style = _KINDS.get(entry.kind, "")
        table.add_row(
            f"{entry.slot:03}",
            text_of(entry.name, "" if entry.kind == "core" else "name"),
            text_of(entry.kind, style),
            text_of(entry.distribution),
            text_of(entry.version, "quiet"),
        )
    return table
