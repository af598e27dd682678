"""The look of the demo's parts: code, the changed line, a call as it happens, the closing table."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Any, Final

from rich.box import ROUNDED
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from nexus_connector import RateLimited

from .._output import milliseconds, text_of
from .._timeline_view import OUTCOME_STYLES
from .facts import Claim, Facts, Sending
from .outage import Outage
from .rescue import Leg, Rescue
from .watch import Attempt, Watch

_BAR: Final = 28


def indented(view: RenderableType) -> RenderableType:
    """Return a view a little to the right, under its heading."""
    return Padding(view, (0, 0, 0, 3), expand=False)


def heading(number: int, title: str, remark: str) -> Text:
    """Return the heading of a part."""
    return Text.assemble("\n", (f"{number}  ", "quiet"), (title, "name"), ("  " + remark if remark else "", "quiet"))


def code(thing: Callable[..., Any]) -> RenderableType:
    """Return the source of what just ran, or is about to; it cannot differ from it."""
    lines = textwrap.dedent(inspect.getsource(thing)).rstrip().splitlines()
    shown = [line.partition("  # noqa")[0] for line in lines]
    return Text("\n").join(Text.assemble(("│ ", "quiet"), (line, _style(line))) for line in shown)


def _style(line: str) -> str:
    return "quiet" if line.lstrip().startswith('"""') else ""


def diff(lines: Sequence[str]) -> RenderableType:
    """Return changed lines as a diff."""
    return Text("\n").join(text_of(line, "bad" if line.startswith("-") else "good") for line in lines)


def progress(watch: Watch, now: float) -> RenderableType:
    """Return a call as far as it has come.

    Args:
        watch: What was heard of it.
        now: Seconds of the clock that never goes back.
    """
    grid = Table.grid(padding=(0, 2))
    grid.add_column(width=9)
    grid.add_column(width=_BAR)
    grid.add_column(width=8)
    grid.add_column(width=12, style="quiet")
    grid.add_column(width=12, justify="right")
    lines = list(watch.lines)
    for index, line in enumerate(lines):
        if isinstance(line, Attempt):
            outcome = Text(line.outcome.replace("_", " "), style=OUTCOME_STYLES.get(line.outcome, ""))
            took = milliseconds(line.seconds * 1000)
            grid.add_row(f"attempt {line.number}", _answer(line), outcome, _limit(line.limited), took)
        else:
            part = line.passed(now) if index == len(lines) - 1 else 1.0
            full = round(part * _BAR)
            bar = Text.assemble(("━" * full, "care"), ("─" * (_BAR - full), "quiet"))
            left = f"{part * line.seconds:.1f} of {line.seconds:.1f} s" if part < 1 else f"{line.seconds:.1f} s"
            grid.add_row(Text("wait", style="quiet"), bar, "", "", left)
    if watch.success is None:
        grid.add_row(Text("...", style="quiet"))
    return grid


def _answer(attempt: Attempt) -> Text:
    if attempt.status is None:
        return Text("no answer")
    phrase = HTTPStatus(attempt.status).phrase
    return Text(f"{attempt.status} {phrase}")


def _limit(limited: RateLimited | None) -> str:
    if limited is None or limited.retry_after_seconds is None:
        return ""
    return f"asks for {limited.retry_after_seconds:g} s"


def pairs(rows: Sequence[tuple[str, object]]) -> Table:
    """Return names and values side by side."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="quiet", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in rows:
        grid.add_row(text_of(name), value if isinstance(value, Text) else text_of(value))
    return grid


def secrets(sendings: Sequence[Sending]) -> Table:
    """Return how many records there are of each email, and what they say of its secret."""
    grid = Table.grid(padding=(0, 2))
    for sending in sendings:
        header = Text.assemble((f"{sending.secret_header}: ", "quiet"), text_of(sending.secret_recorded))
        grid.add_row(text_of(sending.service, "quiet"), f"{sending.records} records", header)
    return grid


def outage(seen: Outage) -> Table:
    """Return what became of the calls to a service that died."""
    page = seen.pages[0] if seen.pages else "none"
    took = f"{seen.refusal_seconds * 1e6:.0f} µs"
    rows: list[tuple[str, object]] = [
        ("failed", f"{seen.failures} requests of {seen.calls} calls, then the circuit opens"),
        ("paged", text_of(page, "bad")),
        *(("logged", line) for line in seen.logged),
        ("refused", Text.assemble(f"the next {seen.refused:,} calls, each in ", (took, "good"), " (median)")),
        ("sent meanwhile", f"{seen.requests} requests"),
        ("a refusal says", text_of(seen.error, "quiet")),
    ]
    return pairs(rows)


def rescue(seen: Rescue) -> RenderableType:
    """Return which way the calls went, and what was told."""
    grid = Table.grid(padding=(0, 2))
    for leg in seen.legs:
        grid.add_row(Text(_numbers(leg), style="quiet"), _path(leg))
    told = [("told", move) for move in dict.fromkeys(seen.moves)]
    told += [("circuit", f"{state.replace('_', ' ')}: {reason}") for state, reason in seen.circuit]
    healed = Text(f"the first region was well again after call {seen.healed_after}", style="quiet")
    return Group(grid, healed, "", pairs(told))


def _numbers(leg: Leg) -> str:
    return f"call {leg.first}" if leg.first == leg.last else f"calls {leg.first} to {leg.last}"


def _path(leg: Leg) -> Text:
    parts = [text_of(step, "good" if step.endswith(" 200") else "bad") for step in leg.path]
    return Text(", then ").join(parts)


def proved(claims: Sequence[Claim]) -> Table:
    """Return what the demo claims, with what was seen of it."""
    table = Table(box=ROUNDED, border_style="quiet", title_justify="left", title="What it proved", title_style="name")
    table.add_column("", no_wrap=True)
    table.add_column("", style="quiet", overflow="fold")
    table.add_column("")
    table.show_header = False
    for claim in claims:
        table.add_row(claim.text, text_of(claim.seen), Text("yes", "good") if claim.holds else Text("no", "bad"))
    return table


def closing(facts: Facts) -> Table:
    """Return the closing table: what was shown, with its numbers, vendor by vendor."""
    table = Table(box=ROUNDED, border_style="quiet", title_justify="left", title="What you saw", title_style="name")
    table.add_column("", style="quiet", no_wrap=True)
    for sending in facts.sendings:
        table.add_column(text_of(sending.service, "name"), overflow="fold")
    rows: list[tuple[str, Callable[[Sending], object]]] = [
        ("answers", _answers),
        ("attempts", lambda sending: sending.attempts),
        ("waits, as asked", _waits),
        ("duration", lambda sending: milliseconds(sending.duration_seconds * 1000)),
        ("subject received", lambda sending: sending.received["subject"]),
        ("events heard", lambda sending: sum(sending.events.values())),
        ("records written", lambda sending: sending.records),
        ("secret, as recorded", lambda sending: sending.secret_recorded),
        ("secret in clear", lambda sending: f"{sending.secret_in_clear} times"),
    ]
    for name, value in rows:
        cells = [value(sending) for sending in facts.sendings]
        table.add_row(name, *(cell if isinstance(cell, Text) else text_of(cell) for cell in cells))
    return table


def _answers(sending: Sending) -> Text:
    steps = [step for step in sending.timeline.steps if step.kind == "attempt"]
    parts = [text_of(step.http_status, OUTCOME_STYLES.get(step.outcome or "", "")) for step in steps]
    return Text(", ").join(parts)


def _waits(sending: Sending) -> str:
    return " + ".join(f"{seconds:.1f} s" for seconds in sending.waits_seconds) or "none"
