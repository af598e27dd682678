"""Reports: what was measured, as a table of 100 columns and as JSON."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

import attrs

from .load import Plan
from .rows import CONTROL, ENOUGH_ROUNDS, HELD, MISSED, Judged, Measured, Reading, exit_code, is_void

METHOD = (
    "One server process answers all candidates over loopback, keep-alive; it is pinned to one core, the client to "
    "another where there are two. In every round every candidate makes the same number of calls, one candidate after "
    "the other, and the order is rotated. A value is the median over all rounds of the ratio of the medians of one; "
    "its spread are their quartiles. CPU is that of the whole process, its background thread included, until "
    "all that the calls left behind is done."
)
_LIBRARIES = ("urllib3", "requests", "httpx", "tenacity", "pybreaker", "limits", "redis")


@attrs.frozen(kw_only=True)
class Judgement:
    """A group with its rows and controls judged.

    Attributes:
        group: Its name.
        measured: What it measured.
        rows: Its rows.
        controls: Its controls.
    """

    group: str
    measured: Measured
    rows: Sequence[Judged]
    controls: Sequence[Judged]


def table(judgement: Judgement) -> str:
    """Return the table of a group."""
    lines = [f"{judgement.group:<47}{'bound':>10}{'value':>11}  {'quartiles':<17}"]
    lines += [_line(judged, _word(judged)) for judged in judgement.rows]
    lines += [_line(judged, "VOID" if is_void(judged) else "control") for judged in judgement.controls]
    lines += [f"  {note}" for note in judgement.measured.notes]
    return "\n".join(lines)


def _word(judged: Judged) -> str:
    return {None: "", True: "holds", False: "MISSED"}[judged.holds]


def _line(judged: Judged, word: str) -> str:
    row = judged.row
    bound = "" if row.bound is None else f"{'>=' if row.at_least else '<='} {_number(row.bound)}"
    spread = f"{_number(judged.low)} .. {_number(judged.high)}"
    return f"{row.name:<47}{bound:>10}{_number(judged.value):>8} {row.unit:<4}{spread:<17} {word}".rstrip()


def _number(value: float) -> str:
    digits = 0 if abs(value) >= 1000 else 1 if abs(value) >= 100 else 2 if abs(value) >= 10 else 3
    return f"{value:.{digits}f}"


def figures(measured: Measured) -> str:
    """Return the table of the candidates' own figures."""
    lines = [f"{'candidate, microseconds per call':<47}{'median':>10}{'p99':>10}{'CPU':>10}"]
    for name, readings in measured.readings.items():
        middle = _middle(readings)
        lines.append(f"{name:<47}{middle.median:>10.1f}{middle.p99:>10.1f}{middle.cpu:>10.1f}")
    return "\n".join(lines)


def _middle(readings: Sequence[Reading]) -> Reading:
    return Reading(
        median=statistics.median(each.median for each in readings),
        p99=statistics.median(each.p99 for each in readings),
        cpu=statistics.median(each.cpu for each in readings),
    )


def conclusion(judgements: Sequence[Judgement], rounds: int) -> str:
    """Return what the run says, in one paragraph."""
    code = exit_code(_all_rows(judgements), _all_controls(judgements))
    missed = [judged.row.name for judged in _all_rows(judgements) if judged.holds is False]
    if code == HELD:
        text = "Every row holds."
    elif code == MISSED:
        text = f"{len(missed)} missed: {'; '.join(missed)}."
    else:
        low, high = CONTROL
        text = f"The run is void: a candidate differs from itself by more than {low} to {high}. Run it again, alone."
    if rounds < ENOUGH_ROUNDS:
        text += f" With {rounds} rounds it is for looking; {ENOUGH_ROUNDS} are needed to judge."
    return text


def markdown(judgements: Sequence[Judgement], *, plan: Plan) -> str:
    """Return the rows of all groups as a table for the documentation."""
    lines = ["| row | bound | value | quartiles | |", "|---|---|---|---|---|"]
    for judged in _all_rows(judgements):
        row = judged.row
        bound = "" if row.bound is None else f"{'at least' if row.at_least else 'at most'} {row.bound:g}"
        value = f"{_number(judged.value)} {row.unit}".strip()
        spread = f"{_number(judged.low)} to {_number(judged.high)}"
        word = {None: "", True: "holds", False: "**missed**"}[judged.holds]
        lines.append(f"| {row.name} | {bound} | {value} | {spread} | {word} |")
    here = machine()
    controls = [judged.value for judged in _all_controls(judgements)]
    note = (
        f"{plan.rounds} rounds of {plan.calls} calls, {here['implementation']} {here['python']}, {here['cores']} cores "
        f"({here['processor']}); controls from {min(controls):.3f} to {max(controls):.3f}."
    )
    return "\n".join([*lines, "", note, ""])


def code_of(judgements: Sequence[Judgement]) -> int:
    """Return the exit code."""
    return exit_code(_all_rows(judgements), _all_controls(judgements))


def as_json(judgements: Sequence[Judgement], *, plan: Plan) -> dict[str, Any]:
    """Return everything, for tools."""
    return {
        "machine": machine(),
        "method": {"text": METHOD, "rounds": plan.rounds, "calls_per_round": plan.calls},
        "groups": {each.group: _group_json(each) for each in judgements},
        "exit_code": code_of(judgements),
    }


def machine() -> dict[str, Any]:
    """Return what it ran on."""
    return {
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "platform": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "libraries": {name: version(name) for name in _LIBRARIES},
    }


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:  # noqa: PTH123  # a file of the system
            return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or os.uname().machine


def _group_json(judgement: Judgement) -> dict[str, Any]:
    measured: Mapping[str, Sequence[Reading]] = judgement.measured.readings
    return {
        "rows": [_row_json(judged) for judged in judgement.rows],
        "controls": [{**_row_json(judged), "void": is_void(judged)} for judged in judgement.controls],
        "candidates": {
            name: {
                "median_us": _middle(readings).median,
                "p99_us": _middle(readings).p99,
                "cpu_us": _middle(readings).cpu,
                "rounds": [attrs.asdict(each) for each in readings],
            }
            for name, readings in measured.items()
        },
        "notes": list(judgement.measured.notes),
    }


def _row_json(judged: Judged) -> dict[str, Any]:
    return {
        **attrs.asdict(judged.row),
        "value": judged.value,
        "quartiles": [judged.low, judged.high],
        "holds": judged.holds,
    }


def _all_rows(judgements: Sequence[Judgement]) -> list[Judged]:
    return [judged for judgement in judgements for judged in judgement.rows]


def _all_controls(judgements: Sequence[Judgement]) -> list[Judged]:
    return [judged for judgement in judgements for judged in judgement.controls]
