"""The gate of budgets: reserves the cost of an attempt before it is sent, and corrects it when the cost is known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, cast

import attrs

from nexus_connector.events import RateLimited
from nexus_connector.gates import Gate, Refusal
from nexus_connector.state import MemoryStore
from nexus_connector.verdict import Outcome

from ._budgets import Budget, units
from ._operations import RESERVE, SETTLE, ledger_key
from ._refusals import spent, unknown

if TYPE_CHECKING:
    from nexus_connector.call import Attempt
    from nexus_connector.state import Item, Plain, Store, StoreError
    from nexus_connector.verdict import Verdict

    from ._options import LimiterOptions

COST: Final = "limiter.cost"
"""Under this name an adapter or a ``classify`` hook writes into ``call.state`` what a call has cost in the end."""
_NOTHING_HAPPENED: Final = (Outcome.NOT_SENT, Outcome.REFUSED)
_RETRY_SECONDS: Final = 1.0


@attrs.define
class _Pass:
    """What an attempt has reserved.

    Attributes:
        cost: In millionths.
        lasts: Milliseconds until the last of its windows ends.
        windows: Name and window of each budget; empty: it has reserved nothing.
        alone: Whether the store failed, and this process decided by itself.
    """

    cost: int
    lasts: int
    windows: Sequence[tuple[str, int]] = ()
    alone: bool = False


class BudgetGate(Gate):
    """Refuses attempts that a budget does not cover any more.

    A budget is money: it is kept in the durable store where there is one.

    Args:
        service: Name of the service.
        budgets: The budgets; each must cover a call.
        options: The service's options.
        store: Where it is kept what has been spent.
        now: Seconds of a clock that never goes back, for what this process spends while the store is down.
    """

    name = "limiter.budgets"
    order = 70

    def __init__(
        self,
        service: str,
        budgets: Sequence[Budget],
        *,
        options: LimiterOptions,
        store: Store,
        now: Callable[[], float],
    ) -> None:
        self.store = store
        self._own = MemoryStore(now)
        self._service = service
        self._budgets = tuple(budgets)
        self._options = options
        self._key = ledger_key(service)

    def ask(self, attempt: Attempt) -> Item | None:
        """Reserve the cost that the operation declares."""
        call = attempt.call
        now = call.io.wall()
        windows = [(budget, *budget.window(now)) for budget in self._budgets]
        mine = _Pass(units(max(0.0, call.operation.cost)), max(left for _, _, left in windows))
        attempt.state[self.name] = mine
        return self._reserve(attempt, mine, 1.0)

    def _reserve(self, attempt: Attempt, mine: _Pass, share: float) -> Item:
        now = attempt.call.io.wall()
        asked = [(each.text, *each.window(now), int(each.amount * share)) for each in self._budgets]
        return RESERVE, self._key, (mine.cost, asked)

    def judge(self, attempt: Attempt, reply: Plain) -> Refusal | None:
        """Read whether every budget covers it."""
        mine: _Pass = attempt.state[self.name]
        full, left_ms, numbers = cast("Sequence[Any]", reply)
        if full:
            return self._refused(attempt, spent(self._service, attempt.call.operation.name, full, left_ms / 1000))
        mine.windows = [(each.text, number) for each, number in zip(self._budgets, numbers, strict=True)]
        return None

    def without_store(self, attempt: Attempt, error: StoreError) -> Refusal | None:
        """Go on with this process's share of each budget, or refuse."""
        mine: _Pass = attempt.state[self.name]
        mine.alone = True
        if self._options.when_store_down == "refuse":
            return self._refused(attempt, unknown(self._service, attempt.call.operation.name, _RETRY_SECONDS))
        [reply] = self._own.run([self._reserve(attempt, mine, self._options.share)])
        return self.judge(attempt, reply)

    def settle(self, attempt: Attempt, verdict: Verdict, *, sent: bool) -> Sequence[Item]:
        """Give back what was not spent, and keep what may have been."""
        mine: _Pass | None = attempt.state.pop(self.name, None)
        if mine is None or not mine.windows:
            return ()
        cost = mine.cost
        if not sent or verdict.outcome in _NOTHING_HAPPENED:
            cost = 0
        elif (actual := attempt.call.state.get(COST)) is not None:
            cost = units(max(0.0, float(actual)))
        if cost == mine.cost:
            return ()
        item = (SETTLE, self._key, (cost - mine.cost, mine.windows, mine.lasts))
        if mine.alone:
            self._own.run([item])
            return ()
        return (item,)

    def _refused(self, attempt: Attempt, error: Any) -> Refusal:
        attempt.call.emit(RateLimited, by="limiter", retry_after_seconds=error.retry_after)
        return Refusal(error)
