"""Processes: workers forked from this warm one, which do what they are told and say what came of it."""

from __future__ import annotations

import os
import signal
import traceback
import warnings
from collections.abc import Callable, Sequence
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from typing import Any

import pytest

Work = Callable[..., object]
"""What a worker does with each order; gets the order's arguments. Its result is sent back, so it must be picklable."""

PATIENCE_SECONDS = 120.0


class Processes:
    """Workers. Each has its own number, from 0, and waits for orders until it is ended.

    Args:
        count: How many.
        make: Called once in each of them with its number; returns what it does.
    """

    def __init__(self, count: int, make: Callable[[int], Work]) -> None:
        self._ends: list[Connection] = []
        self.pids: list[int] = []
        for number in range(count):
            mine, theirs = Pipe()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # threads of a fixture may be about
                pid = os.fork()
            if pid == 0:
                _live(theirs, make, number)
            theirs.close()
            self.pids.append(pid)
            self._ends.append(mine)
        self._alive = set(range(count))

    def order(self, *args: object, only: Sequence[int] | None = None) -> None:
        """Give an order to all, or only to these, at once; those killed get none."""
        for number in sorted(self._alive) if only is None else only:
            self._ends[number].send(args)

    def results(self, *, only: Sequence[int] | None = None, patience_seconds: float = PATIENCE_SECONDS) -> list[Any]:
        """Wait for one result of each, in the order of their numbers."""
        return [self._result(number, patience_seconds) for number in (sorted(self._alive) if only is None else only)]

    def all(self, *args: object) -> list[Any]:
        """Give an order to all at once and wait for their results."""
        self.order(*args)
        return self.results()

    def first(self) -> tuple[int, Any]:
        """Wait for the next result of anybody; return the worker's number and the result."""
        ready = wait([self._ends[number] for number in self._alive], PATIENCE_SECONDS)
        if not ready:
            pytest.fail("no worker has an answer")
        number = self._ends.index(ready[0])  # type: ignore[arg-type]
        return number, self._result(number)

    def kill(self, number: int) -> None:
        """End one with SIGKILL, whatever it does."""
        self._alive.discard(number)
        self._ends[number].close()
        os.kill(self.pids[number], signal.SIGKILL)
        os.waitpid(self.pids[number], 0)

    def close(self) -> None:
        """End all."""
        for number in sorted(self._alive):
            self.kill(number)

    def _result(self, number: int, patience_seconds: float = PATIENCE_SECONDS) -> Any:
        if not self._ends[number].poll(patience_seconds):
            pytest.fail(f"worker {number} does not answer")
        try:
            failure, result = self._ends[number].recv()
        except EOFError:
            pytest.fail(f"worker {number} is gone")
        if failure:
            pytest.fail(f"worker {number} failed:\n{failure}")
        return result


def _live(orders: Connection, make: Callable[[int], Work], number: int) -> None:
    """Be a worker; never returns. One whose parent is gone ends."""
    code, parent = 1, os.getppid()
    try:
        work = make(number)
        while True:
            while not orders.poll(2):
                if os.getppid() != parent:
                    return
            args = orders.recv()
            try:
                answer = ("", work(*args))
            except Exception:
                answer = (traceback.format_exc(), None)
            orders.send(answer)
    except (EOFError, OSError):
        code = 0
    except BaseException:
        orders.send((traceback.format_exc(), None))
    finally:
        os._exit(code)
