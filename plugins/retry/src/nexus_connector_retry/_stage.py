"""The retry stage: the loop around the attempts of a call, and the budget that the calls of a service share."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import attrs

from nexus_connector.errors import AuthenticationError, ConnectorError, TransportError, VendorError
from nexus_connector.events import RetryScheduled
from nexus_connector.pipeline import Next, Result, Stage
from nexus_connector.verdict import Outcome, Verdict

from ._backoff import delay_seconds
from ._budget import Budget

if TYPE_CHECKING:
    from nexus_connector.call import Call
    from nexus_connector.message import Request

    from ._options import RetryOptions


class RetryStage(Stage):
    """Slot 400: sends again what is safe to send again, as long as policy, budget and deadline allow.

    What is safe is the verdict's to say. One stage serves one service in one process, from all its threads.

    Args:
        options: The service's options.
        attempt_timeout_seconds: Time of an attempt that another one could follow.
        max_inline_wait_seconds: Longest wait that a vendor may impose inside a call.
    """

    name = "retry"
    slot = 400

    def __init__(
        self, options: RetryOptions, *, attempt_timeout_seconds: float, max_inline_wait_seconds: float
    ) -> None:
        self._policy = options.policy
        self._budget = _SharedBudget(options.budget_ratio, options.budget_floor_per_second)
        self._attempt_timeout_seconds = attempt_timeout_seconds
        self._max_inline_wait_seconds = max_inline_wait_seconds

    async def __call__(self, call: Call, request: Request, next: Next) -> Result:
        """Run the rest of the chain until it succeeds or nothing speaks for another time."""
        policy = call.operation.retry or self._policy
        retries = policy.max_retries if request.source is None or request.source.repeatable else 0
        delay = policy.base_delay_seconds
        uncertain: Result | None = None
        number = 1
        now = call.io.now()
        self._budget.deposit(now)
        while True:
            call.attempt_deadline = self._attempt_deadline(call, now, is_last=number > retries)
            result = await next(call, request)
            verdict = result.verdict
            if verdict.outcome is Outcome.UNKNOWN:
                uncertain = result
            if verdict.error is None or not verdict.retry or number > retries:
                return _known(call, result, uncertain)
            delay = delay_seconds(policy, number, delay, call.io.random.random())
            wait = max(delay, verdict.retry_after or 0.0)
            if not self._fits(call, verdict.retry_after, wait):
                return _known(call, _deferred(result, wait), uncertain)
            if not self._budget.withdraw(call.io.now()):
                return _known(call, result, uncertain)
            _discard(call, result)
            call.emit(
                RetryScheduled,
                operation=call.operation.name,
                attempt=max(number, call.attempts),
                delay_seconds=wait,
                reason=_reason(verdict.error),
            )
            await call.io.sleep(wait)
            number += 1
            now = call.io.now()

    def _attempt_deadline(self, call: Call, now: float, *, is_last: bool) -> float | None:
        """Cut an attempt short only for the sake of another one.

        After a timeout of something unsafe none follows: it would only turn a late answer into an unknown outcome.
        """
        if is_last or call.safety == "unsafe" or not self._budget.can_withdraw(now):
            return None
        return min(call.deadline, now + self._attempt_timeout_seconds)

    def _fits(self, call: Call, retry_after: float | None, wait: float) -> bool:
        if retry_after is not None and retry_after > self._max_inline_wait_seconds:
            return False
        return call.io.now() + wait < call.deadline


class _SharedBudget:
    """The budget of one service in this process; the lock is held for arithmetic only."""

    def __init__(self, ratio: float, floor_per_second: float) -> None:
        self._ratio = ratio
        self._floor_per_second = floor_per_second
        self._lock = threading.Lock()
        self._budget: Budget | None = None
        self._is_full = False

    def _opened(self, now: float) -> Budget:
        return self._budget or Budget.begin(self._ratio, self._floor_per_second, now)

    def deposit(self, now: float) -> None:
        if self._is_full:  # as it is for nearly every call: neither calls nor time add to it
            return
        with self._lock:
            self._budget = budget = self._opened(now).deposit(now)
            self._is_full = budget.tokens >= budget.most

    def can_withdraw(self, now: float) -> bool:
        return self._is_full or self._opened(now).can_withdraw(now)

    def withdraw(self, now: float) -> bool:
        with self._lock:
            self._is_full = False
            self._budget, granted = self._opened(now).withdraw(now)
        return granted


def _deferred(result: Result, wait: float) -> Result:
    """Leave the wait to the caller."""
    if result.verdict.error is not None:
        result.verdict.error.retry_after = wait
    return attrs.evolve(result, verdict=attrs.evolve(result.verdict, retry_after=wait))


def _known(call: Call, result: Result, uncertain: Result | None) -> Result:
    """Return what is known after all attempts.

    An attempt that the vendor never looked at says nothing about an earlier one that may have happened: its "nothing
    was sent" would invite the caller to do it twice.
    """
    verdict = result.verdict
    if uncertain is None or call.safety == "safe" or not _says_nothing(verdict):
        return result
    earlier = uncertain.verdict
    if earlier.error is not None:
        earlier.error.attempts = call.attempts
        earlier.error.retry_after = verdict.retry_after
    return attrs.evolve(uncertain, verdict=attrs.evolve(earlier, retry_after=verdict.retry_after))


def _says_nothing(verdict: Verdict) -> bool:
    """Say whether the vendor never looked at what was asked: not sent, put off for later, or not let in."""
    if verdict.outcome is Outcome.REFUSED:
        return verdict.retry or isinstance(verdict.error, AuthenticationError)
    return verdict.outcome is Outcome.NOT_SENT and verdict.error is not None


def _discard(call: Call, result: Result) -> None:
    """Give back the connection of an answer that nobody will read, and let its record and gates end with it."""
    if call.stream is not None:
        call.stream.close()
        call.stream = None
    if result.response is not None and result.response.stream is not None:
        result.response.stream.close()


def _reason(error: ConnectorError) -> str:
    if isinstance(error, VendorError) and error.status >= 400:
        return str(error.status)
    if isinstance(error, TransportError):
        return error.phase
    return type(error).__name__
