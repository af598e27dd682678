"""Budgets: reserved before the send, corrected after it, and never more than a calendar window has."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from nexus_connector import hookimpl
from nexus_connector.call import Call
from nexus_connector.errors import LocalRateLimitError
from nexus_connector.message import Response
from nexus_connector.state import MemoryStore, StoreError
from nexus_connector.verdict import Verdict
from nexus_connector_limiter import LimiterOptions, limits
from nexus_connector_limiter._budget_gate import BudgetGate
from nexus_connector_limiter._budgets import Budget, budgets
from nexus_connector_limiter._ledger import reserve, settle

Opens = Callable[..., Any]


def left(world: Any) -> float:
    """What the first budget has left."""
    return float(limits(world.connector)[0].left)


def test_what_is_spent_is_spent_until_the_window_ends(world: Opens) -> None:
    """The call that a budget does not cover is refused until midnight, UTC; then the next window begins."""
    crm = world({"budgets": ["10/day"]})
    assert [crm.do(cost=4).status, crm.do(cost=6).status, left(crm)] == [200, 200, 0]
    error = crm.do(cost=0.5)
    assert isinstance(error, LocalRateLimitError)
    assert "not covered by what is left of the budget 10/day of crm" in str(error)
    assert error.retry_after == pytest.approx(86_400)
    assert [event.by for event in crm.events] == ["limiter"]
    crm.vendors.clock.advance(86_399.9)
    assert isinstance(crm.do(), LocalRateLimitError)
    crm.vendors.clock.advance(0.1)
    assert (crm.do(cost=10).status, crm.sends) == (200, 3)


@pytest.mark.parametrize(
    ("answer", "kept"),
    [(200, 4), (404, 0), (429, 0), (500, 4), (ConnectionRefusedError(), 0), (ConnectionResetError(), 4)],
)
def test_what_did_not_happen_costs_nothing(world: Opens, answer: object, kept: float) -> None:
    """Given back where the vendor says that nothing happened or nothing was sent; kept where nobody knows."""
    crm = world({"budgets": ["10/day"]})
    crm.vendors.answer("", answer)
    crm.do(cost=4)
    assert left(crm) == 10 - kept


@pytest.mark.parametrize("cost", [0.25, 7.5])
def test_the_real_cost_counts(world: Opens, cost: float) -> None:
    """An adapter or a hook that learns the cost from the answer writes it down; it replaces what was reserved."""

    class Prices:
        @hookimpl
        def classify(self, call: Call, verdict: Verdict, response: Response | None) -> Verdict | None:
            call.state["limiter.cost"] = cost
            return None

    crm = world({"budgets": ["10/day"]}, plugins=[Prices()])
    crm.do(cost=2)
    assert left(crm) == 10 - cost


def test_all_budgets_or_none(world: Opens) -> None:
    """What one budget refuses is not taken from the others; the error tells of the one that ends last."""
    crm = world({"budgets": ["10/day", "3/h"]})
    crm.do(cost=2)
    assert "3/h" in str(crm.do(cost=2))
    assert [limit.left for limit in limits(crm.connector)] == [8, 1]


def test_budgets_and_limits_hold_together(world: Opens) -> None:
    """A call that the limit refuses spends nothing, and one that the budget refuses takes no slot."""
    crm = world({"limits": ["1/min"], "budgets": ["2/day"]})
    crm.do()
    assert "1/min" in str(crm.do())
    assert limits(crm.connector, "crm")[1].left == 1
    crm.vendors.clock.advance(120)
    crm.do()
    crm.vendors.clock.advance(120)
    assert "2/day" in str(crm.do())
    assert limits(crm.connector)[0].left == 1


def test_clocks_that_disagree_forget_nothing() -> None:
    """A process whose clock is behind spends from the window that has begun, not from one of its own."""
    rows, _, _ = reserve(None, 0, (3, [["5/day", 8, 1000, 5]]))
    rows, _, reply = reserve(rows, 0, (1, [["5/day", 7, 1000, 5]]))
    assert (rows, reply) == ([["5/day", 8, 4]], ["", 0, [8]])
    assert settle(rows, 0, (-9, [["5/day", 7], ["5/day", 8]], 1000))[0] == [["5/day", 8, 0]]
    assert settle(rows, 0, (-1, [["5/day", 9]], 1000))[0] == [["5/day", 8, 4]]
    assert settle(None, 0, (-1, [["5/day", 9]], 1000)) == (None, 0, 0)


class _Store(MemoryStore):
    gone = True

    def run(self, items: Any) -> Any:
        if self.gone:
            raise StoreError("gone")
        return super().run(items)


@pytest.mark.parametrize("when", ["share", "refuse"])
def test_without_the_store_a_share_is_left(when: Any) -> None:
    """A quarter of the budget for each process, or nothing."""
    options = LimiterOptions(budgets=("8/day",), when_store_down=when)
    gate = BudgetGate("crm", budgets(options.budgets), options=options, store=_Store(lambda: 0.0), now=lambda: 0.0)

    def passes() -> bool:
        io = SimpleNamespace(wall=lambda: datetime(2026, 1, 1, tzinfo=UTC))
        call: Any = SimpleNamespace(
            io=io, operation=SimpleNamespace(cost=1.0, name="op"), state={}, emit=lambda *_, **__: None
        )
        attempt: Any = SimpleNamespace(call=call, state={})
        gate.ask(attempt)
        refused = gate.without_store(attempt, StoreError("gone"))
        assert gate.settle(attempt, Verdict(outcome="not_sent", health="ignore"), sent=True) == ()  # type: ignore[arg-type]
        return refused is None

    assert passes() is (when == "share")
    attempts = [_spend(gate) for _ in range(3)]
    assert attempts == ([True, True, False] if when == "share" else [False] * 3)


def _spend(gate: BudgetGate) -> bool:
    io = SimpleNamespace(wall=lambda: datetime(2026, 1, 1, tzinfo=UTC))
    operation = SimpleNamespace(cost=1.0, name="op")
    call: Any = SimpleNamespace(io=io, operation=operation, state={}, emit=lambda *_, **__: None)
    attempt: Any = SimpleNamespace(call=call, state={})
    gate.ask(attempt)
    return gate.without_store(attempt, StoreError("gone")) is None


@pytest.mark.parametrize("text", ["", "5", "0/day", "-1/day", "5/s", "5/week", "5e3/day", "1.1234567/day"])
def test_a_budget_in_another_form_is_refused(text: str) -> None:
    """The text says which forms there are."""
    with pytest.raises(ValueError, match="must be like 5000/day"):
        Budget.of(text)


@pytest.mark.parametrize("period", ["min", "h", "day", "month"])
def test_windows_follow_the_calendar(period: str) -> None:
    """Windows begin with the minute, hour, day or month in UTC, and follow one another without a gap."""
    budget, now = Budget.of(f"5/{period}"), datetime(2027, 12, 31, 22, 58, 57, tzinfo=UTC)
    number, left_ms = budget.window(now)
    end = now + timedelta(milliseconds=left_ms)
    assert (end.second, end.microsecond) == (0, 0)
    assert period == "min" or end.minute == 0
    assert period not in {"day", "month"} or (end.hour, end.day, end.month) == (0, 1, 1)
    assert budget.window(end)[0] == number + 1
    assert budget.window(end - timedelta(milliseconds=1)) == (number, 1)
