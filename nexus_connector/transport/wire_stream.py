"""Streams on the wire: a body read piece by piece, each by its own deadline."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from .decoding import PIECE_BYTES

if TYPE_CHECKING:
    from .answer import Answer
    from .checkout import Checkout
    from .decoding import Pull


class WireStream:
    """A body under way; the abort handle of its send reaches it until it is closed.

    One thread reads at a time; another may close meanwhile, which ends the read.
    """

    __slots__ = ("_answer", "_checkout", "_is_closed", "_is_whole", "_lock", "_pull")

    def __init__(self, checkout: Checkout, answer: Answer, pull: Pull) -> None:
        self._checkout = checkout
        self._answer = answer
        self._pull = pull
        self._lock = threading.Lock()
        self._is_whole = False
        self._is_closed = False

    def read(self, deadline: float) -> bytes:
        """Return the next piece, at most 64 KiB; empty at the end.

        Raises:
            SendError: If the connection breaks, the deadline passes or the body is malformed.
        """
        with self._lock, self._checkout as checkout:
            if self._is_whole or self._is_closed:
                return b""
            checkout.extend(deadline)
            piece = self._pull(PIECE_BYTES)
            if not piece:
                if self._is_closed:
                    raise ConnectionAbortedError
                checkout.check_end()
                self._is_whole = True
            return piece

    def close(self) -> None:
        """Give the connection back if the body is read, else end it. May be called twice."""
        if not self._is_whole:
            # Not under the lock: this wakes the thread that holds it.
            self._is_closed = True
            self._checkout.shut()
        with self._lock:
            self._is_closed = True
            if self._is_whole:
                self._checkout.finish(self._answer)
            else:
                self._checkout.drop()
