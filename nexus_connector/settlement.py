"""Settlements: how the gates that admitted an attempt hear how it went, each exactly once."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from .judge import lost
from .state import StoreError
from .verdict import Outcome, Verdict

if TYPE_CHECKING:
    from .call import Attempt
    from .gates import Gate
    from .state import Item, Store
    from .stream import StreamBody

_log = logging.getLogger("nexus_connector.gates")
_NOTHING_SENT: Final = Verdict(outcome=Outcome.NOT_SENT, health="ignore")


class Settlement:
    """Who has admitted one attempt, and what came of it.

    Args:
        attempt: The attempt.
        sends: Sends of its call before it.

    Attributes:
        answered: Those who have.
        verdict: How it went; until it is known: nothing was sent.
    """

    __slots__ = ("_attempt", "_sends", "answered", "verdict")

    def __init__(self, attempt: Attempt, sends: int) -> None:
        self._attempt = attempt
        self._sends = sends
        self.answered: list[Gate] = []
        self.verdict: Verdict = _NOTHING_SENT

    def add(self, gate: Gate) -> None:
        """Add a gate that was answered; one that was asked again settles once."""
        if gate not in self.answered:
            self.answered.append(gate)

    @property
    def is_sent(self) -> bool:
        """Whether anything was sent."""
        return self._attempt.call.attempts > self._sends

    def break_off(self) -> None:
        """An exception ended the attempt: what was sent may have happened."""
        if self.is_sent:
            self.verdict = lost().verdict

    def end_with(self, stream: StreamBody, error: BaseException | None) -> None:
        """End with the stream that the attempt handed over."""
        if error is not None:
            self.verdict = stream.broken or lost().verdict
        self._tell(sent=True)

    def end(self) -> None:
        """Tell the gates."""
        self._tell(sent=self.is_sent)

    def _tell(self, *, sent: bool) -> None:
        attempt, verdict = self._attempt, self.verdict
        for gate in self.answered:
            try:
                items = gate.settle(attempt, verdict, sent=sent)
                if items:
                    self._post(gate, items)
            except Exception as error:  # the others must hear of it too, and the call is over: its result counts
                _log.exception("gate %s raised in settle", gate.name)
                message = f"raised {type(error).__name__}"
                from .conditions import PluginFailed  # here: gates seldom fail

                self._attempt.call.emit(PluginFailed, plugin=gate.name, hook="settle", message=message)

    def _post(self, gate: Gate, items: Sequence[Item]) -> None:
        attempt, store = self._attempt, gate.store
        if store is None:
            return
        post = _posting(gate, store, attempt, items)
        if store.blocking:
            attempt.call.target.outbox().post(post)
        else:
            post()


def _posting(gate: Gate, store: Store, attempt: Attempt, items: Sequence[Item]) -> Callable[[], None]:
    def post() -> None:
        told = tuple(items)  # read when it is told: there may be less to tell by then
        try:
            replies = store.run(told) if told else []
        except StoreError as error:  # told as StoreDegraded
            gate.lost(attempt, told, error)
        else:
            gate.settled(attempt, replies)

    return post
