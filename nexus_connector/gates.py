"""Gates: what admits an attempt and learns how it went. ``admission`` asks them, all in one store round trip."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import attrs

from .errors import ConnectorError

if TYPE_CHECKING:
    from .call import Attempt
    from .state import Item, Plain, Store, StoreError
    from .verdict import Verdict


class Refusal:
    """A gate does not admit the attempt.

    Args:
        error: What is raised if no further attempt is made, a NotSentError; or what makes it. Then it is made when it
            is first looked at: to refuse must cost little, and the texts of an error are most of it.

    >>> Refusal(lambda: ConnectorError("The circuit is open.")).error
    ConnectorError('The circuit is open.')
    """

    __slots__ = ("_error",)

    def __init__(self, error: ConnectorError | Callable[[], ConnectorError]) -> None:
        self._error = error

    @property
    def error(self) -> ConnectorError:
        """What is raised if no further attempt is made; always the same one."""
        error = self._error
        if not isinstance(error, ConnectorError):
            error = self._error = error()
        return error

    def __repr__(self) -> str:
        return f"Refusal({self.error!r})"


@attrs.frozen
class Wait:
    """A gate admits the attempt after a wait; it has reserved that moment.

    Attributes:
        seconds: How long.
    """

    seconds: float


@attrs.frozen
class Again:
    """A gate cannot say yet: it has reserved nothing, and wants to be asked again.

    Attributes:
        seconds: After so long, above 0. What does not fit into ``attempt.max_wait_seconds`` refuses the attempt.
    """

    seconds: float


class Gate:
    """Base of gates. Each method receives the attempt; ``attempt.state[self.name]`` is the gate's own.

    Attributes:
        name: Unique name.
        order: Gates are asked in ascending order.
        store: Where its items run; ``None`` for a gate without shared state.
    """

    name: str = ""
    order: int = 100
    store: Store | None = None

    def check(self, attempt: Attempt) -> Refusal | None:
        """Look at local state only; slot 600, and again after a long wait."""

    def ask(self, attempt: Attempt) -> Item | None:
        """Return the question to the store, or ``None``: admitted without asking."""

    def judge(self, attempt: Attempt, reply: Plain) -> Refusal | Wait | Again | None:
        """Read the store's reply; ``None``: admitted.

        What it admits holds for a send that begins by ``attempt.send_by``, if the gate sets that.
        """

    def without_store(self, attempt: Attempt, error: StoreError) -> Refusal | Wait | Again | None:
        """Decide in the place of `judge`, because the store failed; `settle` follows. ``None``: admitted.

        Args:
            attempt: The attempt.
            error: How it failed; raised by default, as a bug of the gate.
        """
        raise error

    def settle(self, attempt: Attempt, verdict: Verdict, *, sent: bool) -> Sequence[Item]:
        """Hear how the attempt went, exactly once after `ask` was answered; return what the store must learn.

        Args:
            attempt: The attempt; ``attempt.response`` is its answer, if there was one.
            verdict: How it went.
            sent: Whether anything was sent; if not, reservations are given back.

        Returns:
            The items. They are read when the store is told, which may be later: a sequence of the gate's own may have
            become empty by then.
        """
        return ()

    def settled(self, attempt: Attempt, replies: Sequence[Plain]) -> None:
        """Hear the store's replies to the items of `settle`."""

    def lost(self, attempt: Attempt, items: Sequence[Item], error: StoreError) -> None:
        """Hear, in the place of `settled`, that the store failed. Whether it learned the items is not known.

        Args:
            attempt: The attempt.
            items: What `settle` returned.
            error: How the store failed.
        """
