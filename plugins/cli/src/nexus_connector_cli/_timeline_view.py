"""The look of a time line: a table whose bars show what happened when."""

from __future__ import annotations

from typing import Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ._output import milliseconds, text_of
from ._timeline import Step, Timeline

_BAR: Final = 22
OUTCOME_STYLES: Final = {"done": "good", "refused": "care", "not_sent": "care", "unknown": "bad"}


def timeline_view(timeline: Timeline) -> RenderableType:
    """Return a time line for people."""
    parts: list[RenderableType] = [_heading(timeline), Text(), _table(timeline)]
    errors = [step for step in timeline.steps if step.error]
    if errors:
        parts += [Text(), _errors(errors)]
    return Group(*parts)


def _heading(timeline: Timeline) -> RenderableType:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="quiet", no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row("call", text_of(timeline.call_id, "name"))
    grid.add_row("operation", text_of(f"{timeline.operation} of {timeline.service}"))
    places = {(step.method, step.endpoint) for step in timeline.steps if step.kind == "attempt"}
    for method, endpoint in sorted(places, key=str):
        grid.add_row("request", text_of(f"{method} {endpoint}"))
    grid.add_row(
        "began", f"{timeline.began:%Y-%m-%d %H:%M:%S}.{timeline.began.microsecond // 1000:03} {timeline.began:%Z}"
    )
    grid.add_row("ended", _ending(timeline))
    for name in ("tenant_id", "parent_id", "vendor_reference"):
        value = getattr(timeline, name)
        if value is not None:
            grid.add_row(name.removesuffix("_id").replace("_", " "), text_of(value))
    return grid


def _ending(timeline: Timeline) -> Text:
    if timeline.outcome is None:
        return Text("not recorded: still under way, part of a larger call, or its process was killed", style="care")
    ending = (timeline.outcome.replace("_", " "), OUTCOME_STYLES.get(timeline.outcome, ""))
    count = f"{timeline.attempts} attempt{'' if timeline.attempts == 1 else 's'}"
    return Text.assemble(ending, f" after {milliseconds(timeline.duration_ms)}, {count}")


def _table(timeline: Timeline) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(justify="right", no_wrap=True)
    grid.add_column(no_wrap=True)
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_column(justify="right", no_wrap=True)
    last = max((step.offset_ms + step.duration_ms for step in timeline.steps), default=0.0)
    whole = max(timeline.duration_ms, last, 0.001)
    for step in timeline.steps:
        what, answer = _words(step)
        bar = _bar(step, whole)
        at = Text(f"+{milliseconds(step.offset_ms)}", style="quiet")
        grid.add_row(at, what, bar, answer, milliseconds(step.duration_ms))
    return grid


def _words(step: Step) -> tuple[Text, Text]:
    if step.kind == "wait":
        return Text("wait", style="quiet"), Text()
    outcome = text_of((step.outcome or "").replace("_", " "), OUTCOME_STYLES.get(step.outcome or "", ""))
    answer = text_of(step.http_status or step.status).append(" ").append_text(outcome)
    if step.kind == "child":
        return text_of(f"call {step.call_id}"), text_of(f"{step.operation} ").append_text(answer)
    return Text(f"attempt {step.number}"), answer


def _bar(step: Step, whole: float) -> Text:
    begin = min(_BAR - 1, int(step.offset_ms / whole * _BAR))
    end = min(_BAR, max(begin + 1, round((step.offset_ms + step.duration_ms) / whole * _BAR)))
    sign, style = ("─", "quiet") if step.kind == "wait" else ("█", OUTCOME_STYLES.get(step.outcome or "", ""))
    return Text(" " * begin).append(sign * (end - begin), style=style).append(" " * (_BAR - end))


def _errors(steps: list[Step]) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="quiet", no_wrap=True)
    grid.add_column(overflow="fold")
    for step in steps:
        grid.add_row(f"attempt {step.number}" if step.kind == "attempt" else "call", text_of(step.error))
    return grid
