"""The command ``doctor``: everything that can be checked without making a call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import attrs
import click
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from ._checks import Finding, findings
from ._invocation import Invocation, pass_invocation, with_json, with_source
from ._output import text_of

LEVEL_STYLES: Final = {"ok": "good", "note": "quiet", "warn": "care", "fail": "bad"}


@click.command(short_help="Check configuration, plugins, secrets and reachability.")
@click.option("--offline", is_flag=True, help="Open no connection to any service.")
@with_source
@with_json
@pass_invocation
def doctor(invocation: Invocation, offline: bool) -> None:
    """Check the configuration, plugins, secrets, domains and stores, and whether each service can be connected to.

    No call is made: each service is only connected to, for 2 seconds at most. Every finding that is not ok says what
    to do. Exits 1 if one fails.
    """
    found = list(findings(invocation, offline=offline))
    failed = any(each.level == "fail" for each in found)
    data = {"ok": not failed, "findings": [attrs.asdict(each) for each in found]}
    invocation.output.report(data, _table(found), Text(), _summary(found))
    click.get_current_context().exit(1 if failed else 0)


def _table(found: Sequence[Finding]) -> RenderableType:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for each in found:
        text = text_of(each.text)
        if each.remedy:
            text.append("\n").append_text(text_of(each.remedy, "quiet"))
        grid.add_row(Text(each.level, style=LEVEL_STYLES[each.level]), text_of(each.subject), text)
    return grid


def _summary(found: Sequence[Finding]) -> Text:
    counts = {level: sum(each.level == level for each in found) for level in LEVEL_STYLES}
    return Text(", ").join(
        Text(f"{count} {level}", style=LEVEL_STYLES[level] if count else "quiet") for level, count in counts.items()
    )
