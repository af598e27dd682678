"""The share: the part of every limit that a process has for itself, while the store is down and shortly afterwards."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, cast

from nexus_connector.state import MemoryStore

from ._machine import Give, Reply, Take
from ._operations import GIVE, TAKE

if TYPE_CHECKING:
    from nexus_connector.state import Key

    from ._rules import Kind, Rules

CAREFUL_SECONDS: Final = 1.5
"""So long after an outage a process keeps to its share, too: the others may not be back yet."""


class Share:
    """One process's part of the limits of one service. Threads may share it.

    Args:
        rules: The limits.
        key: What they are kept under.
        now: Seconds of a clock that never goes back.
    """

    def __init__(self, rules: Rules, key: Key, now: Callable[[], float]) -> None:
        self._rules = rules
        self._key = key
        self._store = MemoryStore(now)
        self._until = -math.inf
        self._is_missing = False
        self._lock = threading.Lock()

    def counts(self, now: float) -> bool:
        """Say whether calls need room in the share: the store has failed a moment ago."""
        return now < self._until

    def missed(self, now: float, asked: Take, kind: Kind) -> None:
        """Hear that the store failed. An outage begins as if a call had just been made.

        What the processes sent before it counts at the vendor: with n of them and nothing to go by, n calls at once
        would be too many.
        """
        with self._lock:
            begins, self._is_missing = not self._is_missing, True
            self._until = max(self._until, now + CAREFUL_SECONDS)
        if begins:
            self.take(asked, kind, permits=0)

    def answered(self) -> None:
        """Hear that the store answers."""
        self._is_missing = False

    def take(self, asked: Take, kind: Kind, *, permits: int | None = None) -> Reply:
        """Take a call out of the share.

        Args:
            asked: What the store is asked for.
            kind: The limits that apply.
            permits: Calls under way at once; by default the process's part of them.
        """
        if permits is None:
            permits = max(1, int(self._rules.permits * self._rules.share)) if self._rules.permits else 0
        paces = self._rules.paces(kind.operation, kind.cost, alone=True)
        mine = asked._replace(permits=permits, block=0, paces=paces)
        [reply] = self._store.run([(TAKE, self._key, mine)])
        return Reply._make(cast("Sequence[Any]", reply))

    def give(self, told: Give) -> None:
        """Tell how a call ended that was taken out of it."""
        self._store.run([(GIVE, self._key, told)])
