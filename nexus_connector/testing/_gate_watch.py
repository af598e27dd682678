"""Watching a gate: every method noted, no I/O allowed inside, every item and reply fit for every store."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, TypeVar

import attrs

from ..call import Attempt
from ..gates import Again, Gate, Refusal, Wait
from ..state import AtomicOp, Item, Key, Plain, Store, StoreError
from ..verdict import Outcome, Verdict

T = TypeVar("T")


@attrs.define
class Watching:
    """What was seen of one gate.

    Attributes:
        name: Its name.
        operations: Names of the operations it sent to the store.
        replies: What the store replied, in order.
        settled: Outcome and ``sent`` of each settle.
        violations: Rules it broke.
        inside: Name of the method that is running.
    """

    OTHER: ClassVar[AtomicOp] = AtomicOp(name="contract.other", version=1, py=lambda state, now, args: (None, 0, None))

    name: str = ""
    operations: set[str] = attrs.field(factory=set[str])
    replies: list[Plain] = attrs.field(factory=list[Plain])
    settled: list[tuple[Outcome, bool]] = attrs.field(factory=list[tuple[Outcome, bool]])
    violations: list[str] = attrs.field(factory=list[str])
    inside: str = ""
    _open: dict[int, Attempt] = attrs.field(factory=dict[int, Attempt])

    def say(self, violation: str) -> None:
        """Note a broken rule; the first one fails the test."""
        self.violations.append(f"{self.name}: {violation}")

    @contextmanager
    def during(self, method: str) -> Generator[None]:
        """Know which method of the gate is running."""
        self.inside = method
        try:
            yield
        except Exception as error:
            self.say(f"{method} raised {error!r}")
            raise
        finally:
            self.inside = ""

    def begin(self, attempt: Attempt) -> None:
        """An attempt has been asked for."""
        self._open[id(attempt)] = attempt

    def end(self, attempt: Attempt) -> None:
        """An attempt has been settled."""
        if self._open.pop(id(attempt), None) is None:
            self.say("an attempt was settled twice")

    def check_balance(self) -> None:
        """Every attempt that was asked for has been settled."""
        if self._open:
            self.say(f"{len(self._open)} attempts were never settled")


class Watched(Gate):
    """The gate under test, with somebody looking over its shoulder."""

    def __init__(self, gate: Gate, watching: Watching) -> None:
        self._gate = gate
        self._watching = watching
        self.name, self.order, self.store = gate.name, gate.order, gate.store
        watching.name = gate.name

    def check(self, attempt: Attempt) -> Refusal | None:
        """Look on."""
        with self._watching.during("check"):
            refusal = self._gate.check(attempt)
        self._is_refusal("check", refusal)
        return refusal

    def ask(self, attempt: Attempt) -> Item | None:
        """Look on."""
        with self._watching.during("ask"):
            item = self._gate.ask(attempt)
        self._watching.begin(attempt)
        return item

    def judge(self, attempt: Attempt, reply: Plain) -> Refusal | Wait | Again | None:
        """Look on."""
        with self._watching.during("judge"):
            judged = self._gate.judge(attempt, reply)
        self._is_answer("judge", attempt, judged)
        return judged

    def without_store(self, attempt: Attempt, error: StoreError) -> Refusal | Wait | Again | None:
        """Look on."""
        with self._watching.during("without_store"):
            judged = self._gate.without_store(attempt, error)
        self._is_answer("without_store", attempt, judged)
        return judged

    def settle(self, attempt: Attempt, verdict: Verdict, *, sent: bool) -> Sequence[Item]:
        """Look on."""
        self._watching.settled.append((verdict.outcome, sent))
        self._watching.end(attempt)
        with self._watching.during("settle"):
            return list(self._gate.settle(attempt, verdict, sent=sent))

    def settled(self, attempt: Attempt, replies: Sequence[Plain]) -> None:
        """Look on."""
        with self._watching.during("settled"):
            self._gate.settled(attempt, replies)

    def lost(self, attempt: Attempt, items: Sequence[Item], error: StoreError) -> None:
        """Look on."""
        with self._watching.during("lost"):
            self._gate.lost(attempt, items, error)

    def _is_answer(self, method: str, attempt: Attempt, answer: Refusal | Wait | Again | None) -> None:
        if not isinstance(answer, Wait | Again):
            self._is_refusal(method, answer)
        elif not (math.isfinite(answer.seconds) and 0 <= answer.seconds <= attempt.max_wait_seconds):
            self._watching.say(f"{method} wants {answer.seconds} s, at most {attempt.max_wait_seconds} s fit")
        elif isinstance(answer, Again) and answer.seconds == 0:
            self._watching.say(f"{method} wants to be asked again at once: it would be asked for ever")

    def _is_refusal(self, method: str, answer: object) -> None:
        if answer is not None and not isinstance(answer, Refusal):
            self._watching.say(f"{method} returned {answer!r}")


class CheckedStore:
    """A store that takes only what every store can keep, and hands it back as it comes out of a shared one."""

    def __init__(self, store: Store, watching: Watching) -> None:
        self._store = store
        self._watching = watching
        self.durable, self.blocking = store.durable, store.blocking

    def run(self, items: Sequence[Item]) -> list[Plain]:
        """Run operations, each checked."""
        self._no_io("run")
        replies = self._store.run([self._checked(*item) for item in items])
        self._watching.replies.extend(replies)
        return replies

    def get(self, key: Key) -> bytes | None:
        """Pass on."""
        self._no_io("get")
        return self._store.get(key)

    def put(self, key: Key, value: bytes, *, ttl_ms: int, if_absent: bool = False) -> bool:
        """Pass on."""
        self._no_io("put")
        return self._store.put(key, value, ttl_ms=ttl_ms, if_absent=if_absent)

    def delete(self, key: Key) -> None:
        """Pass on."""
        self._no_io("delete")
        self._store.delete(key)

    def close(self) -> None:
        """Pass on."""
        self._store.close()

    def _no_io(self, what: str) -> None:
        if self._watching.inside:
            self._watching.say(f"{self._watching.inside} called store.{what}: a gate returns items, the core runs them")

    def _checked(self, op: AtomicOp, key: Key, args: Sequence[Plain]) -> Item:
        if not (isinstance(key, tuple) and key and all(isinstance(part, str) for part in key)):
            self._watching.say(f"{key!r} is no key: a tuple of texts, the first one its cluster tag")
        if op is not Watching.OTHER:
            self._watching.operations.add(op.name)
        return attrs.evolve(op, py=self._twice(op)), key, self._plain(f"arguments of {op.name}", args)

    def _twice(self, op: AtomicOp) -> Callable[[Plain, int, Sequence[Plain]], tuple[Plain, int, Plain]]:
        def py(state: Plain, now_ms: int, args: Sequence[Plain]) -> tuple[Plain, int, Plain]:
            new, ttl_ms, reply = op.py(state, now_ms, args)
            if (new, ttl_ms, reply) != op.py(state, now_ms, args):
                self._watching.say(f"{op.name} is not pure: the same input gave another output")
            if new is not None and not (isinstance(ttl_ms, int) and ttl_ms > 0):
                self._watching.say(f"{op.name} keeps its state for {ttl_ms!r} ms")
            return self._plain(f"state of {op.name}", new), ttl_ms, self._plain(f"reply of {op.name}", reply)

        return py

    def _plain(self, what: str, value: T) -> T:
        try:
            stored: Any = json.loads(json.dumps(value, allow_nan=False))
        except (TypeError, ValueError) as error:
            self._watching.say(f"the {what} cannot be stored: {error}")
            return value
        kept: T = stored
        return kept
