"""What the benchmarks make of their readings: values, spreads, rows that are missed and runs that are void."""

from __future__ import annotations

import attrs
import pytest

from ..benchmarks import bounds
from ..benchmarks.report import Judgement, conclusion, table
from ..benchmarks.rows import (
    HELD,
    MISSED,
    VOID,
    Judged,
    Measured,
    Reading,
    Readings,
    Row,
    exit_code,
    is_void,
    judge,
    quartiles,
    reading,
)


def readings(**medians: list[float]) -> dict[str, list[Reading]]:
    """Candidates with a median for each round; their p99 is ten times that, their CPU half."""
    return {
        name: [Reading(median=value, p99=value * 10, cpu=value / 2) for value in values]
        for name, values in medians.items()
    }


def judged(value: float, bound: float = 1.0) -> Judged:
    """A row, or a control, with a value."""
    row = Row(name="row", of="ours", to="bare", bound=bound)
    return Judged(row=row, value=value, low=value, high=value, holds=value <= bound)


def test_a_reading_sums_up_the_calls_of_a_round() -> None:
    """Median and p99 are those of its calls, CPU is shared out evenly; all in microseconds."""
    made = reading([number / 1_000_000 for number in range(200, 0, -1)], cpu_seconds=0.002)
    assert made.median == pytest.approx(100.5)
    assert made.p99 == pytest.approx(199)
    assert made.cpu == pytest.approx(10)


def test_the_p99_of_few_calls_is_the_slowest() -> None:
    """A round of one call has a p99, too."""
    assert reading([0.001], cpu_seconds=0.0).p99 == pytest.approx(1000)


def test_a_value_is_the_median_of_the_ratios_of_the_rounds() -> None:
    """Each round is compared with itself, whatever the machine did in the others: 0.5, 2.0 and 0.6."""
    row = Row(name="row", of="ours", to="bare")
    found = judge(row, readings(ours=[1, 8, 6], bare=[2, 4, 10]))
    assert found.value == pytest.approx(0.6)
    assert (found.low, found.high) == pytest.approx((0.55, 1.3))


@pytest.mark.parametrize(("statistic", "value"), [("median", 0.5), ("p99", 0.5), ("cpu", 0.5), ("rate", 2.0)])
def test_a_row_looks_at_its_own_statistic(statistic: str, value: float) -> None:
    """More calls per second is the other way round: twice as fast is a rate of two."""
    of = [Reading(median=5, p99=50, cpu=500)]
    to = [Reading(median=10, p99=100, cpu=1000)]
    row = attrs.evolve(Row(name="row", of="ours", to="bare"), statistic=statistic)
    assert judge(row, {"ours": of, "bare": to}).value == pytest.approx(value)


def test_a_slope_is_a_difference_by_its_steps() -> None:
    """Ten further hooks that take 5 us cost 0.5 us each."""
    row = Row(name="row", of="ten", to="none", steps=10, unit="us")
    assert judge(row, readings(ten=[15, 16, 14], none=[10, 10, 11])).value == pytest.approx(0.5)


def test_a_row_without_another_candidate_stands_alone() -> None:
    """Its value is the figure itself, in the row's own unit."""
    row = Row(name="row", of="start", unit="ms", scale=0.001)
    assert judge(row, readings(start=[140_000, 150_000, 160_000])).value == pytest.approx(150)


@pytest.mark.parametrize(
    ("bound", "at_least", "holds"),
    [(0.5, False, True), (0.49, False, False), (0.5, True, True), (0.51, True, False), (None, False, None)],
)
def test_a_row_holds_up_to_its_bound(bound: float | None, at_least: bool, holds: bool | None) -> None:
    """The bound itself is good enough, in both directions; without one there is nothing to hold."""
    row = Row(name="row", of="ours", to="bare", bound=bound, at_least=at_least)
    assert judge(row, readings(ours=[5], bare=[10])).holds is holds


def test_a_row_about_what_was_not_measured_is_an_error() -> None:
    """A row that is silently left out would hold for ever."""
    with pytest.raises(KeyError):
        judge(Row(name="row", of="ours", to="bare"), readings(ours=[1]))


def test_quartiles_of_one_round_are_that_round() -> None:
    """One round has no spread."""
    assert quartiles([3.0]) == (3.0, 3.0)
    assert quartiles([1.0, 2.0, 3.0, 4.0, 5.0]) == (2.0, 4.0)


@pytest.mark.parametrize(("value", "void"), [(0.949, True), (0.95, False), (1.0, False), (1.05, False), (1.051, True)])
def test_a_control_that_strays_makes_the_run_void(value: float, void: bool) -> None:
    """A candidate that differs from itself by more than a twentieth says how much the others may be trusted."""
    assert is_void(judged(value)) is void


def test_the_exit_code_says_void_before_missed() -> None:
    """What a void run says of its rows is worth nothing, so neither held nor missed is said."""
    held, missed, control, void = judged(0.9), judged(1.1), judged(1.0), judged(1.2)
    assert exit_code([held], [control]) == HELD
    assert exit_code([held, missed], [control]) == MISSED
    assert exit_code([held, missed], [control, void]) == VOID
    assert exit_code([held], [void]) == VOID
    assert len({HELD, MISSED, VOID}) == 3


def test_every_row_of_the_issue_has_its_bound() -> None:
    """The bounds are those that were agreed on: nobody moves one to make a run pass."""
    held = {
        (row.name, row.statistic): row.bound for rows in bounds.ROWS.values() for row in rows if row.bound is not None
    }
    assert sorted(held.values()) == sorted(
        [
            *(1.00, 1.00, 1.20, 1.20, 2.0, 2.0, 0.40, 0.40),  # over the wire: median, CPU, p99, the DIY stack
            *(1.10, 1.80, 0.40, 0.40),  # Redis: leased, exact, and both against the DIY stack
            *(10.0, 10.0, 0.05, 0.05),  # the pipeline, on both faces
            *(0.3, 0.05, 0.5),  # a further hook, signal, stage
            *(0.5, 1.20, 0.90, 2.0, 150.0),  # rejection, concurrency, threads, import, start
            *(1.10, 1.10, 1.10),  # growth
        ]
    )
    [at_least] = [row for rows in bounds.ROWS.values() for row in rows if row.at_least]
    assert at_least.bound == 0.90


def test_every_group_has_a_control() -> None:
    """There is no group whose figures nobody would have to doubt."""
    assert bounds.CONTROLS.keys() == bounds.ROWS.keys()
    assert all(bounds.CONTROLS.values())


@pytest.mark.parametrize("group", bounds.ROWS)
def test_the_table_says_of_every_row_whether_it_holds(group: str) -> None:
    """Each row with its bound, value and spread, and the controls, in 100 columns."""
    rows, controls = bounds.ROWS[group], bounds.CONTROLS[group]
    judgement = Judgement(
        group=group,
        measured=Measured(readings={}, notes=["a note"]),
        rows=[judge(row, flat(row, 999_999.0)) for row in rows],
        controls=[judge(row, flat(row, 1.0)) for row in controls],
    )
    lines = table(judgement).splitlines()
    assert max(map(len, lines)) <= 100
    told = zip((*rows, *controls), lines[1:-1], strict=True)
    assert [row.name for row, line in told if not line.startswith(f"{row.name} ")] == []
    assert [line.endswith("MISSED") for line in lines[1 : len(rows) + 1]] == [row.bound is not None for row in rows]
    assert all(line.endswith("control") for line in lines[len(rows) + 1 : -1])
    assert lines[-1] == "  a note"


def flat(row: Row, value: float) -> Readings:
    """Readings of three rounds with which a row has about this value."""
    return readings(**{row.to: [1.0] * 3}) | readings(**{row.of: [value] * 3})


def test_the_conclusion_names_what_is_missed() -> None:
    """Unless the run is void: then it says that, and nothing of the rows. Too few rounds are told of, too."""
    judgement = Judgement(
        group="wire", measured=Measured(readings={}), rows=[judged(0.5), judged(1.5)], controls=[judged(1.0)]
    )
    assert conclusion([judgement], rounds=15) == "1 missed: row."
    assert conclusion([attrs.evolve(judgement, rows=[judged(0.5)])], rounds=15) == "Every row holds."
    assert "15 are needed to judge" in conclusion([judgement], rounds=14)
    void = conclusion([attrs.evolve(judgement, controls=[judged(1.2)])], rounds=15)
    assert void.startswith("The run is void")
    assert "missed" not in void
