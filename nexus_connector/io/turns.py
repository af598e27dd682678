"""Turns: of the many I/O threads whose answers come at once, a few at a time go on."""

from __future__ import annotations

import os
import select
import socket
import ssl
import threading
import time
from collections import deque
from typing import Final

MANY: Final = 64
"""Fewer than so many threads wait for their sockets themselves, which costs less; further ones take turns."""
AT_ONCE: Final = 8
"""So many go on at a time: one has the interpreter, the others are at a system call or about to ask for it."""
PAUSE_SECONDS: Final = 0.002
"""While some go on, who watches lets others gather for so long: it, too, needs the interpreter whenever it wakes."""
HELD_SECONDS: Final = 0.05
"""Who keeps a turn for so long, because its job blocks on something else, does not hold up the others any more."""
IDLE_SECONDS: Final = 2.0
"""When nobody has waited for so long, the thread that watches the sockets ends."""

_here: Final = threading.local()


def wait_for_turn(sock: socket.socket, deadline: float, *, writing: bool = False) -> bool:
    """Wait in an I/O thread until its socket is ready and it is its turn; a thread of somebody else's returns at once.

    Args:
        sock: The socket.
        deadline: When to come back whatever there is, ``time.monotonic()`` seconds.
        writing: Wait until it can be written to, or its connecting has ended; else until there is something to read.

    Returns:
        Whether it was ready by the deadline, even if its turn was not; ``False`` if that is not known.
    """
    turn: Turn | None = getattr(_here, "turn", None)
    if turn is None or (isinstance(sock, ssl.SSLSocket) and sock.pending()):
        return False
    return turn.wait(sock.fileno(), deadline, writing=writing)


class Turn:
    """The turn of one I/O thread.

    Args:
        turns: Those of all.

    Attributes:
        gate: Closed while the thread waits.
        is_taken: Whether it was let go on and has not given that back yet.
    """

    __slots__ = ("_turns", "gate", "is_taken")

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self.gate = threading.Lock()
        self.gate.acquire()
        self.is_taken = False

    def wait(self, fd: int, deadline: float, *, writing: bool) -> bool:
        """Wait for a descriptor, not at all if few jobs are under way; see `wait_for_turn`."""
        seconds = deadline - time.monotonic()
        if seconds <= 0 or not self._turns.watch(self, fd, writing=writing):
            return False
        return self.gate.acquire(timeout=seconds) or self._turns.forget(self, fd)


class Turns:
    """The turns of the threads that work together.

    A thread whose answer has come asks for the interpreter, and wakes every 5 ms until it gets it. When a thousand do
    that at once, there is time for little else: calls that take 0.3 s together then take ten, and some miss their
    deadline. So only some of many wait for their sockets themselves. One thread watches those of the others and wakes
    a few that can go on; each that waits again, or has done its job, makes room for the next.

    Only where there is epoll; elsewhere every thread waits for itself.

    Args:
        many: Fewer than so many wait for themselves.
        at_once: So many go on at a time.
        idle_seconds: When nobody has waited for so long, the thread that watches the sockets ends.
    """

    def __init__(self, many: int = MANY, at_once: int = AT_ONCE, *, idle_seconds: float = IDLE_SECONDS) -> None:
        self._many = many
        self._at_once = at_once
        self._idle_seconds = idle_seconds
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._under_way: set[Turn] = set()  # adding and discarding are steps of their own
        self._waiting: dict[int, Turn] = {}
        self._ready: deque[Turn] = deque()
        self._going: dict[Turn, float] = {}
        self._is_possible = hasattr(select, "epoll")
        self._epoll: select.epoll | None = None
        self._is_watched = False

    def begin(self) -> Turn:
        """Begin a job, in the thread that does it."""
        turn: Turn | None = getattr(_here, "turn", None)
        if turn is None:
            turn = _here.turn = Turn(self)
        self._under_way.add(turn)
        return turn

    def end(self, turn: Turn) -> None:
        """End a job."""
        self._under_way.discard(turn)
        if turn.is_taken and self._pid == os.getpid():
            with self._lock:
                self._give_back(turn)

    def watch(self, turn: Turn, fd: int, *, writing: bool) -> bool:
        """Have a descriptor watched for a thread, and let another one go on instead of it.

        Returns:
            Whether the thread must wait at its gate.
        """
        by_themselves = len(self._under_way) - len(self._waiting) - len(self._ready)
        if by_themselves < self._many and not turn.is_taken:
            return False
        if not self._is_possible or self._pid != os.getpid():  # a job has forked: nobody watches in the child
            return False
        with self._lock:
            if turn.is_taken:
                self._give_back(turn)
            return by_themselves >= self._many and self._add(turn, fd, select.EPOLLOUT if writing else select.EPOLLIN)

    def forget(self, turn: Turn, fd: int) -> bool:
        """Let a thread go on whose time is over; returns whether its descriptor is ready."""
        with self._lock:
            if turn.is_taken:  # it was let go on at the last moment
                turn.gate.acquire()
                return True
            if self._waiting.get(fd) is turn:
                del self._waiting[fd]
                return False
            self._ready.remove(turn)
            return True

    def _add(self, turn: Turn, fd: int, event: int) -> bool:
        try:
            epoll = self._epoll
            if epoll is None:
                epoll = self._epoll = select.epoll()
            if not self._is_watched:
                threading.Thread(target=self._watch, args=(epoll,), name="nexus-turns", daemon=True).start()
                self._is_watched = True
            try:
                epoll.modify(fd, event | select.EPOLLONESHOT)
            except FileNotFoundError:  # a new connection
                epoll.register(fd, event | select.EPOLLONESHOT)
        except (RuntimeError, OSError, ValueError):  # no thread or descriptor is left, or it is closed: as without us
            return False
        self._waiting[fd] = turn  # who watches finds it: it takes the lock, too
        return True

    def _give_back(self, turn: Turn) -> None:
        turn.is_taken = False
        self._going.pop(turn, None)
        self._let_go()

    def _let_go(self) -> None:
        while self._ready and len(self._going) < self._at_once:
            turn = self._ready.popleft()
            turn.is_taken = True
            self._going[turn] = time.monotonic()
            turn.gate.release()

    def _watch(self, epoll: select.epoll) -> None:
        """Watch the descriptors until nobody has waited for a while."""
        while True:
            found = epoll.poll(HELD_SECONDS if self._ready else self._idle_seconds)
            with self._lock:
                for fd, _ in found:
                    turn = self._waiting.pop(fd, None)  # None: its time was over
                    if turn is not None:
                        self._ready.append(turn)
                overdue = time.monotonic() - HELD_SECONDS
                self._going = {turn: moment for turn, moment in self._going.items() if moment > overdue}
                self._let_go()
                if not (found or self._waiting or self._ready):
                    self._is_watched = False
                    return
            if self._going:
                time.sleep(PAUSE_SECONDS)
