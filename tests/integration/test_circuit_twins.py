"""The circuit's steps on a real Redis: their Lua twins do what the Python does, to the last digit and letter."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Sequence
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nexus_connector import Connector
from nexus_connector.state import AtomicOp, Key, Plain, Store

[ENTRY] = entry_points(group="nexus_connector.plugins", name="breaker")
OPERATIONS: Any = import_module(f"{ENTRY.module}._operations")
OPS: dict[str, AtomicOp] = {name: getattr(OPERATIONS, name.upper()) for name in ("admit", "report", "look", "set")}

shares = st.sampled_from([0.0, 0.05, 0.1, 1 / 3, 0.5, 0.7, 1.0]) | st.floats(0.01, 1.0)
windows = st.sampled_from([1_000, 10_000, 60_000, 3_600_000]) | st.integers(1_000, 3_600_000)
rules = st.tuples(
    st.integers(0, 6),
    shares,
    shares,
    st.integers(1, 25),
    windows,
    st.integers(100, 90_000),
    st.sampled_from([True, True, True, False]),
)
waits = st.sampled_from([0, 0, 0, 1, 7, 100, 1_000, 60_000]) | st.integers(0, 100_000)
counts = st.integers(0, 9).flatmap(
    lambda ok: st.tuples(st.just(ok), st.integers(0, ok), st.integers(0, 70_000), st.integers(0, 1), st.integers(0, 1))
)
steps = st.one_of(
    st.tuples(st.just("admit"), waits, st.tuples(st.integers(1, 40_000), st.sampled_from([None, 0, 0, -1, 1]))),
    st.tuples(st.just("report"), waits, st.tuples(st.sampled_from([0, 0, 0, 0, -1, 1]), counts)),
    st.tuples(st.just("report"), waits, st.tuples(st.just(0), st.just((0, 0, 0, 1, 0)))),
    st.tuples(st.just("look"), waits, windows.map(lambda window: (window,))),
    st.tuples(
        st.just("set"), waits, st.tuples(st.sampled_from(["open", "close", "reset"]), st.sampled_from([-1, 500]))
    ),
)


@pytest.fixture
def store(redis_url: str) -> Generator[Store]:
    """A store in a real Redis, patient with a busy machine."""
    config = {
        "stores": {"shared": redis_url},
        "plugins": {"only": ["redis"], "redis": {"timeout_seconds": 20, "key_prefix": f"t{uuid4().hex}:"}},
    }
    with Connector.from_config(config) as connector:
        yield connector.runtime.process.stores.shared


def at_time(op: AtomicOp) -> AtomicOp:
    """The same step at a time that is given to it, telling state and time to live, too."""
    lua = f"""
        local function step(state, now_ms, args)
        {op.lua}
        end
        local now = table.remove(args, 1)
        local after, ttl_ms, reply = step(state, now, args)
        if after == nil then ttl_ms = 0 end
        return after, 600000, {{after == nil and null or after, ttl_ms, reply}}
    """

    def py(state: Plain, now_ms: int, args: Sequence[Any]) -> tuple[Plain, int, Plain]:
        after, ttl_ms, reply = op.py(state, args[0], args[1:])
        return after, 600_000, [after, 0 if after is None else ttl_ms, reply]

    return AtomicOp(name=f"{op.name}.at", version=op.version, py=py, lua=lua)


TIMED = {name: at_time(op) for name, op in OPS.items()}


def plain(value: Any) -> Any:
    """The value as a store brings it back."""
    return [plain(each) for each in value] if isinstance(value, list | tuple) else value


def given_args(name: str, state: Any, args: Any, rule: Sequence[Any]) -> Sequence[Any]:
    """Arguments of a step; a report is about the circuit's own generation, an older or a newer one.

    So is the success that a question tells of, if it does.
    """
    generation = state[1] if state else 0
    if name == "admit":
        lease, offset = args
        return [lease, -1 if offset is None else max(0, generation + offset)]
    if name != "report":
        return list(args)
    offset, fields = args
    return [max(0, generation + offset), *fields, *rule]


def held_alike(store: Store, rule: Sequence[Any], sequence: Sequence[Any]) -> list[Any]:
    """Take the steps of a sequence with Lua and with Python; return the replies."""
    key, now_ms, state, replies = (uuid4().hex,), 1_700_000_000_000, None, []
    for name, wait, args in sequence:
        now_ms += wait
        op = TIMED[name]
        passed = [now_ms, *given_args(name, state, args, rule)]
        state, _, expected = op.py(state, 0, passed)
        [reply] = store.run([(op, key, passed)])
        assert reply == plain(expected), (name, passed)
        assert [type(each) for each in reply[2]] == [type(each) for each in expected[2]]
        state = plain(state)
        replies.append(reply[2])
    return replies


def test_twins_agree(store: Store, long: bool) -> None:
    """Whatever happens to a circuit, in any order and at any time: state, time to live and reply are identical."""
    phases: Counter[str] = Counter()

    @settings(
        max_examples=3000 if long else 200,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        database=None,
    )
    @given(rule=rules, sequence=st.lists(steps, min_size=8, max_size=50))
    def alike(rule: Sequence[Any], sequence: Sequence[Any]) -> None:
        phases.update(reply[1] for reply in held_alike(store, rule, sequence))

    alike()
    print(f"\n{phases.total()} steps that ended {dict(phases)}")


def told(wait: int = 0, **counts: int) -> Any:
    """A report about the circuit's own generation."""
    names = ("ok", "slow", "age", "failed", "failed_slow")
    return "report", wait, (0, tuple(counts.get(name, 0) for name in names))


PROBE = ("admit", 1_000, (5_000, None))
FAILS, ANSWERS = told(failed=1), told(ok=1)


@pytest.mark.parametrize(
    ("reason", "sequence"),
    [
        ("2 consecutive failures", [FAILS, FAILS]),
        ("probe succeeded", [FAILS, FAILS, PROBE, ANSWERS]),
        ("probe failed", [FAILS, FAILS, PROBE, FAILS]),
        ("probe was slow", [FAILS, FAILS, PROBE, told(), ("admit", 0, (5_000, 0)), told(ok=1, slow=1)]),
        ("failure rate 50 % of 4 calls in 10 s", [FAILS, ANSWERS, FAILS, ANSWERS]),
        ("slow call rate 63 % of 8 calls in 10 s", [told(ok=3), told(100, ok=5, slow=5, age=50)]),
        ("by hand", [("set", 0, ("open", -1)), PROBE, ("look", 0, (10_000,))]),
        ("by hand", [FAILS, FAILS, PROBE, ("set", 0, ("close", -1)), FAILS, ("set", 0, ("reset", -1))]),
        ("", [FAILS, told(20_000, ok=2, age=15_000), ("look", 0, (10_000,)), ("set", 0, ("reset", -1))]),
    ],
)
def test_every_way_through_the_machine(store: Store, reason: str, sequence: Sequence[Any]) -> None:
    """Each rule by which a circuit changes, reached on purpose: the twins agree, and give this reason."""
    assert held_alike(store, (2, 0.5, 0.5, 4, 10_000, 1_000, True), sequence)[-1][6] == reason


@pytest.mark.parametrize("calls", [1, 7, 8, 16, 40, 200, 1000])
def test_percentages_are_rounded_alike(store: Store, calls: int) -> None:
    """Each share of so many calls is written with the same digits by both, halves included."""
    shown: set[str] = set()
    for failed in range(1, calls + 1, max(1, calls // 40)):
        bucket = [1_699_999_999_000, calls - 1, failed - 1, 0]
        state = ["closed", 1, 0, 0, 0, "", [bucket]]
        passed = [1_700_000_000_000, 1, 0, 0, 0, 1, 0, 0, failed / calls, 0.0, 1, 12_345, 1_000, True]
        put = AtomicOp(name="test.put", version=1, py=lambda _, __, args: (args[0], 60_000, None))
        key: Key = (uuid4().hex,)
        store.run([(put, key, (state,))])
        expected = TIMED["report"].py(state, 0, passed)[2]
        [reply] = store.run([(TIMED["report"], key, passed)])
        assert reply == plain(expected)
        assert reply[2][1] == "open"  # type: ignore[index,call-overload]
        shown.add(reply[2][6])  # type: ignore[index,call-overload]
    assert all(text.endswith(f"% of {calls} calls in 12.345 s") for text in shown)


def test_processes_with_and_without_twins_run_side_by_side(store: Store) -> None:
    """Each reads the state that the other left."""
    key: Key = (uuid4().hex,)
    rule = (3, 0.0, 0.0, 20, 60_000, 500, True)
    bare: Callable[[AtomicOp], AtomicOp] = lambda op: AtomicOp(name=op.name, version=op.version, py=op.py)  # noqa: E731
    failures = [
        store.run([(op, key, (0, 0, 0, 0, 1, 0, *rule))])[0]
        for op in (OPS["report"], bare(OPS["report"]), OPS["report"])
    ]
    assert [reply[1] for reply in failures] == ["closed", "closed", "open"]  # type: ignore[index]
    [looked] = store.run([(bare(OPS["look"]), key, (60_000,))])
    assert looked[6] == "3 consecutive failures"  # type: ignore[index]
