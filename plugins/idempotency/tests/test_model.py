"""The machine against an independent model: random claims, endings, settlements and time, without any divergence.

And the rule that all is for, checked from outside: of one key there is never more than one effect that nobody asked
for, on a store that is atomic; a store that only gets and sets fails the same check.
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Sequence
from typing import Any, ClassVar

import attrs
import hypothesis.strategies as st
from hypothesis import Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from nexus_connector.state import Item, MemoryStore, Plain
from nexus_connector_idempotency._machine import CLAIM, FINISH, LOOK, SETTLE, reply_of

KEYS = [("crm", "a"), ("crm", "b")]
KEEP_MS, OPEN_MS, LONGEST_RESEND_MS = 5_000, 9_000, 3_000
LONG = os.environ.get("NEXUS_LONG") == "1"


@attrs.define
class Told:
    """Something that happened to a key."""

    what: str
    at: int
    call: str = ""
    until: int = 0
    resend: int = 0
    print_: str = ""
    kept: object = None


class Model:
    """The rules in the plainest words: the history of each key since it was last free, looked at anew each time."""

    def __init__(self) -> None:
        self.now = 0
        self.story: dict[Any, list[Told]] = {key: [] for key in KEYS}

    def look(self, key: Any) -> list[Told]:
        """The story of a key; one that is over is forgotten."""
        story = self.story[key]
        if story:
            last, claim = story[-1], self.holder(key)
            ends = last.until if last.what == "done" else claim.until + OPEN_MS
            if self.now >= ends:
                story.clear()
        return story

    def holder(self, key: Any) -> Told:
        return [told for told in self.story[key] if told.what == "claim"][-1]

    def word(self, key: Any, print_: str, resend: int) -> str:
        """What the key is for somebody with these arguments."""
        story = self.look(key)
        if not story:
            return "free"
        if self.holder(key).print_ != print_:
            return "conflict"
        if story[-1].what == "done":
            return "done"
        if story[-1].what == "claim" and self.now < story[-1].until:
            return "in_flight"
        first = story[0]
        knows = all(told.resend > 0 for told in story if told.what == "claim")
        return "free" if knows and self.now < first.at + resend else "unknown"

    def claim(self, key: Any, call: str, print_: str, lease: int, resend: int) -> str:
        found = self.word(key, print_, resend)
        if found == "free":
            self.story[key].append(Told("claim", self.now, call, self.now + lease, resend, print_))
            return "granted"
        return found

    def finish(self, key: Any, call: str, ending: str, kept: object) -> str:
        story = self.look(key)
        if not story or story[-1].what == "done" or self.holder(key).call != call:
            return "gone"
        alone = sum(told.what == "claim" for told in story) == 1
        if ending == "refused" or (ending == "released" and alone):
            story.clear()
            return "free"
        if ending == "done":
            story.append(Told("done", self.now, until=self.now + KEEP_MS, kept=kept))
            return "done"
        story.append(Told("unknown", self.now, kept=kept))
        return "unknown"

    def settle(self, key: Any, call: str, *, done: bool) -> str:
        story = self.look(key)
        if not story or story[-1].what == "done" or self.holder(key).call != call:
            return "gone"
        if story[-1].what == "claim" and self.now < story[-1].until:
            return "in_flight"
        if done:
            story.append(Told("done", self.now, until=self.now + KEEP_MS, kept=["by_hand"]))
        else:
            story.clear()
        return "settled"


class Claims(RuleBasedStateMachine):
    """Calls of many processes on one store, beside the model."""

    compared: ClassVar[int] = 0
    words: ClassVar[set[str]] = set()
    ended: ClassVar[Counter[tuple[str, str, bool]]] = Counter()

    def __init__(self) -> None:
        super().__init__()
        self.model = Model()
        self.store = MemoryStore(lambda: self.model.now / 1000)
        self.calls: list[tuple[Any, str, int]] = []

    def run(self, item: Item) -> Plain:
        [reply] = self.store.run([item])
        return reply

    @rule(
        key=st.sampled_from(KEYS),
        print_=st.sampled_from(["f", "f", "f", "g"]),
        lease=st.sampled_from([1, 500, 2_000]),
        resend=st.sampled_from([0, 700, LONGEST_RESEND_MS, LONGEST_RESEND_MS]),
    )
    def claim(self, key: Any, print_: str, lease: int, resend: int) -> None:
        self._claim(key, print_, lease, resend)

    @precondition(lambda self: self.calls)
    @rule(early=st.sampled_from([0, 0, 1]), resend=st.sampled_from([700, LONGEST_RESEND_MS]))
    def repeat_late(self, early: int, resend: int) -> None:
        """Claim the last key again when its lease is over, or a millisecond before."""
        self.repeat(early, resend)

    def repeat(self, early: int, resend: int) -> None:
        self.wait_for_the_lease(early)
        key, _, _ = self.calls[-1]
        story = self.model.look(key)
        self._claim(key, self.model.holder(key).print_ if story else "f", 500, resend)

    def _claim(self, key: Any, print_: str, lease: int, resend: int) -> None:
        call = f"call-{len(self.calls)}"
        expected = self.model.claim(key, call, print_, lease, resend)
        reply = reply_of(self.run((CLAIM, key, (call, print_, lease, resend, OPEN_MS))))
        self.agree(expected, reply.word)
        if expected == "granted":
            self.calls.append((key, call, reply.generation))
            assert reply.doubt is (len([told for told in self.model.story[key] if told.what == "claim"]) > 1)
        elif expected == "done":
            assert reply.kept == self.model.story[key][-1].kept

    @precondition(lambda self: self.calls)
    @rule(
        data=st.data(),
        late=st.booleans(),
        ending=st.sampled_from(["released", "done", "released", "unknown", "refused"]),
    )
    def finish(self, data: st.DataObject, late: bool, ending: str) -> None:
        """By the last that was granted a claim, or by anybody who ever was, however late, and more than once."""
        self._finish(*(data.draw(st.sampled_from(self.calls)) if late else self.calls[-1]), ending)

    @precondition(lambda self: self.calls)
    @rule(resend=st.sampled_from([700, LONGEST_RESEND_MS]), ending=st.sampled_from(["released", "unknown", "refused"]))
    def repeat_and_finish(self, resend: int, ending: str) -> None:
        """As a repeat does that is over at once."""
        self.repeat(0, resend)
        self._finish(*self.calls[-1], ending)

    def _finish(self, key: Any, call: str, generation: int, ending: str) -> None:
        taken = sum(told.what == "claim" for told in self.model.look(key)) > 1
        expected = self.model.finish(key, call, ending, [call])
        self.agree(expected, self.run((FINISH, key, (call, generation, ending, [call], KEEP_MS))))
        type(self).ended[ending, expected, taken] += 1

    @precondition(lambda self: self.calls)
    @rule(data=st.data(), late=st.booleans(), done=st.booleans())
    def settle(self, data: st.DataObject, late: bool, done: bool) -> None:
        key, call, _ = data.draw(st.sampled_from(self.calls)) if late else self.calls[-1]
        expected = self.model.settle(key, call, done=done)
        self.agree(expected, self.run((SETTLE, key, (call, ["by_hand"] if done else None, KEEP_MS))))

    def wait_for_the_lease(self, early: int) -> None:
        key, _, _ = self.calls[-1]
        if self.model.look(key):
            self.model.now += max(0, self.model.holder(key).until - early - self.model.now)

    @rule(milliseconds=st.sampled_from([1, 499, 500, 700, 2_000, 3_000, 5_000, 9_500]))
    def wait(self, milliseconds: int) -> None:
        self.model.now += milliseconds

    def agree(self, expected: str, found: object) -> None:
        assert expected == found
        type(self).words.add(expected)

    @invariant()
    def agrees(self) -> None:
        """Everybody who looks sees what the model says."""
        for key in KEYS:
            for print_, resend in (("f", 0), ("f", LONGEST_RESEND_MS), ("g", 0)):
                expected = self.model.word(key, print_, resend)
                assert reply_of(self.run((LOOK, key, (print_, resend)))).word == expected
                type(self).compared += 1


def test_no_divergence_from_the_model() -> None:
    """500 examples of 50 steps (5,000 with NEXUS_LONG=1): the same word for everybody, at every step."""
    run_state_machine_as_test(
        Claims,
        settings=settings(
            max_examples=5_000 if LONG else 500,
            stateful_step_count=50,
            deadline=None,
            database=None,
            derandomize=not LONG,
            phases=[Phase.generate, Phase.shrink],
        ),
    )
    print(f"\n{Claims.compared} readings compared, no divergence; words: {', '.join(sorted(Claims.words))}")
    assert Claims.compared > 20_000
    taken = {(ending, word): count for (ending, word, is_taken), count in Claims.ended.items() if is_taken}
    print(f"endings of claims that were taken over: {taken}")
    wanted = [("done", "done"), ("unknown", "unknown"), ("released", "unknown"), ("refused", "free"), ("done", "gone")]
    assert min(taken.get(each, 0) for each in wanted) >= 10
    words = {"granted", "in_flight", "unknown", "done", "conflict", "gone", "free", "settled"}
    assert Claims.words == words


class GetThenSet(MemoryStore):
    """A store that reads and writes in two steps, as many do."""

    def run(self, items: Sequence[Item]) -> list[Plain]:
        replies: list[Plain] = []
        for op, key, args in items:
            kept = self._states.get(key)
            now = self._now_ms()
            threading.Event().wait(0.0005)  # the way to a server and back
            state, ttl_ms, reply = op.py(None if kept is None else kept[0], now, args)
            if state is not None:
                self._states[key] = (state, now + ttl_ms)
            replies.append(reply)
        return replies


def effects_of(store: MemoryStore, *, threads: int = 8, keys: int = 20) -> list[int]:
    """Let threads claim the same keys at once; return how many were granted each."""
    granted = [0] * keys
    lock, start = threading.Lock(), threading.Barrier(threads)

    def work(name: int) -> None:
        for number in range(keys):
            start.wait()
            [plain] = store.run([(CLAIM, ("crm", str(number)), (f"call-{name}", "f", 60_000, 0, 60_000))])
            if reply_of(plain).word == "granted":
                with lock:
                    granted[number] += 1

    running = [threading.Thread(target=work, args=(name,)) for name in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    return granted


def test_one_of_many_is_granted() -> None:
    """Threads that claim one key at once: exactly one may send."""
    assert effects_of(MemoryStore(lambda: 0.0)) == [1] * 20


def test_the_check_fails_on_a_store_that_gets_and_then_sets() -> None:
    """Negative control: the same check finds a store that is not atomic."""
    granted = effects_of(GetThenSet(lambda: 0.0))
    print(f"\nget, then set: {sum(granted)} granted for 20 keys")
    assert max(granted) > 1
