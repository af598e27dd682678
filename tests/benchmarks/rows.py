"""Rows: what must hold of the readings, and whether it does. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Literal, TypeAlias

import attrs

CONTROL: Final = (0.95, 1.05)
"""Between these lies the ratio of a candidate to itself, or the run says nothing."""
ENOUGH_ROUNDS: Final = 15
"""With fewer rounds the figures are for looking, not for judging."""
HELD, MISSED, VOID = 0, 1, 3
"""Exit codes of a run."""

Statistic: TypeAlias = Literal["median", "p99", "cpu", "rate"]


@attrs.frozen(kw_only=True)
class Reading:
    """What one candidate did in one round.

    Attributes:
        median: Median of its calls, microseconds.
        p99: The time that one call in a hundred exceeded, microseconds.
        cpu: Time of all processors that the whole process took, per call, microseconds; its background thread included.
    """

    median: float
    p99: float
    cpu: float

    @property
    def rate(self) -> float:
        """Calls per second."""
        return 1_000_000 / self.median


Readings: TypeAlias = Mapping[str, Sequence[Reading]]
"""The readings of every candidate, round by round."""


@attrs.frozen(kw_only=True)
class Measured:
    """What a group measured.

    Attributes:
        readings: The readings of its candidates.
        notes: What else is to be said.
    """

    readings: Readings
    notes: Sequence[str] = ()


@attrs.frozen(kw_only=True)
class Row:
    """One line of the table.

    Attributes:
        name: What it says.
        of: The candidate it is about.
        to: The candidate it is measured by; empty: it stands alone.
        statistic: What of the readings is looked at.
        bound: The worst that is good enough; ``None``: for information.
        at_least: Whether the bound is the least value, not the largest.
        steps: Above 0 the row is a slope: the difference of the two candidates, divided by this.
        unit: What the value counts; empty: it is a ratio.
        scale: What a figure in microseconds is multiplied by to get it in `unit`.
    """

    name: str
    of: str
    to: str = ""
    statistic: Statistic = "median"
    bound: float | None = None
    at_least: bool = False
    steps: int = 0
    unit: str = ""
    scale: float = 1.0


@attrs.frozen(kw_only=True)
class Judged:
    """A row with its value.

    Attributes:
        row: The row.
        value: The median of the values of the single rounds.
        low: The first quartile of them.
        high: The third one.
        holds: Whether the value keeps to the bound; ``None``: there is none.
    """

    row: Row
    value: float
    low: float
    high: float
    holds: bool | None


def reading(times: Sequence[float], cpu_seconds: float) -> Reading:
    """Sum up the calls of one candidate in one round.

    Args:
        times: Seconds of each call, at least one.
        cpu_seconds: What the process took for all of them.
    """
    ordered = sorted(times)
    return Reading(
        median=statistics.median(ordered) * 1_000_000,
        p99=ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))] * 1_000_000,
        cpu=cpu_seconds / len(ordered) * 1_000_000,
    )


def judge(row: Row, readings: Readings) -> Judged:
    """Return the value of a row, how far it scatters, and whether it holds.

    Each round is compared with itself: a machine that is now faster and now slower than before is so for both.

    Raises:
        KeyError: If one of its candidates was not measured.
    """
    of = [getattr(each, row.statistic) for each in readings[row.of]]
    to = [getattr(each, row.statistic) for each in readings[row.to]] if row.to else [1.0] * len(of)
    formula = _formula(row)
    values = [formula(mine, its) for mine, its in zip(of, to, strict=True)]
    value, (low, high) = statistics.median(values), quartiles(values)
    holds = None if row.bound is None else value >= row.bound if row.at_least else value <= row.bound
    return Judged(row=row, value=value, low=low, high=high, holds=holds)


def _formula(row: Row) -> Callable[[float, float], float]:
    if row.steps:
        return lambda of, to: (of - to) / row.steps * row.scale
    return lambda of, to: of / to * row.scale


def quartiles(values: Sequence[float]) -> tuple[float, float]:
    """Return the first and the third quartile; of one value, that value twice."""
    if len(values) == 1:
        return values[0], values[0]
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, high


def is_void(control: Judged) -> bool:
    """Say whether a control, a candidate measured by itself, forbids to believe its run."""
    return not CONTROL[0] <= control.value <= CONTROL[1]


def exit_code(rows: Sequence[Judged], controls: Sequence[Judged]) -> int:
    """Return the exit code of a run: a void one says nothing about its rows."""
    if any(is_void(control) for control in controls):
        return VOID
    return MISSED if any(row.holds is False for row in rows) else HELD
