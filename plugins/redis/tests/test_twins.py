from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nexus_connector.state import AtomicOp, Plain, Store, StoreError

MakeStore = Callable[..., Store]
Step = tuple[Plain, int, Plain]

numbers = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
plain = st.recursive(
    st.none() | st.booleans() | numbers | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=4),
    max_leaves=12,
)
calm = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def _numbers(value: Plain) -> Sequence[float]:
    return [each for each in value if isinstance(each, int | float)] if isinstance(value, list) else []


def _swap(state: Plain, now_ms: int, args: Sequence[Plain]) -> Step:
    return args[0], 600_000, state


def _keep(state: Plain, now_ms: int, args: Sequence[Plain]) -> Step:
    before = list(state) if isinstance(state, list) else []
    after = [*before, args[0]][-3:]
    return after, 600_000, [len(before), after, args[0] is None, []]


def _count(state: Plain, now_ms: int, args: Sequence[Plain]) -> Step:
    (step, limit) = args
    assert isinstance(step, int)
    assert isinstance(limit, int)
    total = (state if isinstance(state, int) else 0) + step
    return (None, 0, None) if total >= limit else (total, 600_000, total)


def _scale(state: Plain, now_ms: int, args: Sequence[Plain]) -> Step:
    values = [each / 3 for each in _numbers(args[0])]
    return values, 600_000, [values, state]


def _clock(state: Plain, now_ms: int, args: Sequence[Plain]) -> Step:
    return now_ms, 600_000, now_ms


def _halves(state: Plain, now_ms: int, args: Sequence[Plain]) -> Step:
    return 1, cast("int", 600_000.5), state


SWAP = AtomicOp(name="twins.swap", version=1, py=_swap, lua="return args[1], 600000, state")
KEEP = AtomicOp(
    name="twins.keep",
    version=1,
    py=_keep,
    lua="""
        local before = type(state) == 'table' and state or {}
        local after = {}
        for place = math.max(1, #before - 1), #before do after[#after + 1] = before[place] end
        after[#after + 1] = args[1]
        return after, 600000, {#before, after, args[1] == null, {}}
    """,
)
COUNT = AtomicOp(
    name="twins.count",
    version=1,
    py=_count,
    lua="""
        local total = (state or 0) + args[1]
        if total >= args[2] then return nil, 0, nil end
        return total, 600000, total
    """,
)
SCALE = AtomicOp(
    name="twins.scale",
    version=1,
    py=_scale,
    lua="""
        local values = {}
        for place, value in ipairs(args[1]) do values[place] = value / 3 end
        return values, 600000, {values, state == nil and null or state}
    """,
)
CLOCK = AtomicOp(name="twins.clock", version=1, py=_clock, lua="return now_ms, 600000, now_ms")


def slow(op: AtomicOp) -> AtomicOp:
    """Return the operation without its twin."""
    return AtomicOp(name=op.name, version=op.version, py=op.py)


def alike(left: object, right: object) -> bool:
    """Compare as `==` does, but do not take True for 1."""
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(alike(*pair) for pair in zip(left, right, strict=True))
    return left == right and isinstance(left, bool) == isinstance(right, bool)


steps = st.lists(
    st.tuples(st.just(SWAP), st.tuples(plain))
    | st.tuples(st.just(KEEP), st.tuples(plain))
    | st.tuples(st.just(SCALE), st.tuples(st.lists(numbers, max_size=4))),
    min_size=1,
    max_size=8,
)
counts = st.lists(
    st.tuples(st.just(COUNT), st.tuples(st.integers(-(2**40), 2**40), st.integers(-(2**50), 2**50))), max_size=8
)


@calm
@given(sequence=steps | counts)
def test_twins_agree(store: Store, sequence: Sequence[tuple[AtomicOp, Sequence[Plain]]]) -> None:
    """Whatever is kept, given and replied: an operation and its Lua twin do the same, and read each other's states."""
    tag = uuid4().hex
    for place, (op, args) in enumerate(sequence):
        by_py = store.run([(slow(op), (tag, "py"), args)])
        assert alike(store.run([(op, (tag, "lua"), args)]), by_py), (op.name, args)
        mixed = op if place % 2 else slow(op)
        assert alike(store.run([(mixed, (tag, "mixed"), args)]), by_py), (op.name, args)


@pytest.mark.parametrize("text", ["\ud800", "\0", '\x7f/\\"', "\u2028\U0001f600", "x" * 100_000])
def test_odd_texts_reach_the_twin_and_come_back(store: Store, text: str) -> None:
    """A text is the same in Lua, also where Redis's reader does not know an escape for it."""
    key = (uuid4().hex,)
    store.run([(SWAP, key, (text,))])

    assert store.run([(SWAP, key, ([text],))]) == [text]
    assert store.run([(slow(SWAP), key, (None,))]) == [[text]]


def test_the_twin_gets_the_time_of_redis(store: Store) -> None:
    """Twins are told whole milliseconds, on the clock that operations without a twin are told."""
    keys = [(uuid4().hex,) for _ in range(3)]
    ops = [slow(CLOCK), CLOCK, slow(CLOCK)]
    before, between, after = (store.run([(op, key, ())])[0] for op, key in zip(ops, keys, strict=True))

    assert isinstance(before, int)
    assert isinstance(between, int)
    assert isinstance(after, int)
    assert before <= between <= after


def test_no_number_of_a_state_is_rounded(store: Store) -> None:
    """Seventeen digits are kept; what cjson writes has fourteen."""
    key = (uuid4().hex,)

    store.run([(SWAP, key, (0.1 + 0.2,))])
    store.run([(KEEP, key, (1_732_000_000_123_456,))])

    assert store.run([(SWAP, key, (0.1 + 0.2,))]) == [[1_732_000_000_123_456]]
    assert store.run([(SWAP, key, (None,))]) == [0.30000000000000004]


@pytest.mark.parametrize("lua", ["redis.call('DEL', 'x')", "return KEYS[1], 1, 1", "return ARGV[1], 1, 1"])
def test_twins_reach_nothing_but_their_arguments(store: Store, lua: str) -> None:
    """A twin that asks Redis itself fails: it could write to keys that its cluster node does not have."""
    with pytest.raises(StoreError, match=r"nil value|attempt to"):
        store.run([(AtomicOp(name="twins.bad", version=1, py=_swap, lua=lua), (uuid4().hex,), ())])


@pytest.mark.parametrize("state", ["1/0", "0/0", "{1, -1/0}"])
def test_numbers_that_are_none_are_refused(store: Store, state: str) -> None:
    """A twin that makes infinity or NaN fails and changes nothing; so does its twin here."""
    key = (uuid4().hex,)
    store.run([(SWAP, key, ("before",))])
    bad = AtomicOp(name="twins.bad", version=1, py=lambda *_: (float("inf"), 1, None), lua=f"return {state}, 1, 1")

    with pytest.raises(StoreError, match="not a finite number"):
        store.run([(bad, key, ())])
    with pytest.raises(ValueError, match="not a finite number"):
        store.run([(slow(bad), key, ())])

    assert store.run([(SWAP, key, (None,))]) == ["before"]


def test_a_new_version_is_a_new_script(store: Store) -> None:
    """Two versions of an operation live side by side while processes are replaced; each runs its own."""
    key = (uuid4().hex,)
    old = AtomicOp(name="twins.v", version=1, py=_swap, lua="return 1, 1000, 'old'")
    new = AtomicOp(name="twins.v", version=2, py=_swap, lua="return 1, 1000, 'new'")

    assert [store.run([(op, key, ())]) for op in (old, new, old)] == [["old"], ["new"], ["old"]]


def test_a_ttl_of_nothing_forgets(store: Store) -> None:
    """A state that lives for no time is gone at once, whoever computes it, as in the memory store."""
    gone = AtomicOp(name="twins.gone", version=1, py=lambda state, *_: (1, 0, state), lua="return 1, 0, state")
    for op in (gone, slow(gone)):
        key = (uuid4().hex,)
        store.run([(SWAP, key, ("before",))])

        assert store.run([(op, key, ())]) == ["before"]
        assert store.run([(SWAP, key, (None,))]) == [None]
    assert store.run([(slow(gone), key, ()), (slow(gone), key, ())]) == [None, None]


def test_a_ttl_with_a_fraction_is_whole_milliseconds(store: Store) -> None:
    """Redis takes no other: the rest is cut off, whoever computes it."""
    half = AtomicOp(name="twins.half", version=1, py=_halves, lua="return 1, 600000.5, state")
    for op in (half, slow(half)):
        key = (uuid4().hex,)

        assert store.run([(op, key, ())]) == [None]
        assert store.run([(op, key, ())]) == [1]


@pytest.mark.parametrize("text", ["\udcff", "\xff", "\ud800\udcff", ""])
def test_no_text_is_taken_for_nothing(store: Store, text: str) -> None:
    """What a twin knows as ``null`` is a byte that no text has."""
    key = (uuid4().hex,)

    assert store.run([(KEEP, key, (text,))]) == [[0, [text], False, []]]
    assert store.run([(KEEP, key, (None,))]) == [[1, [text, None], True, []]]


@pytest.mark.parametrize("number", [2**63, 2**64 - 1, 2**70, -(2**63) - 1])
def test_a_number_that_no_twin_can_read_is_an_error(store: Store, number: int) -> None:
    """One of more than 63 bits is kept and read by operations without a twin, digit for digit, and by no other."""
    key = (uuid4().hex,)
    store.run([(slow(SWAP), key, ([number],))])

    with pytest.raises(StoreError, match="Bad data format"):
        store.run([(KEEP, key, (1,))])
    assert store.run([(slow(SWAP), key, (None,))]) == [[number]]


def test_lists_that_nest_too_deeply_are_refused(store: Store) -> None:
    """Sixteen lists inside each other are kept; what a twin makes beyond that would be lost, and is an error."""
    deep = AtomicOp(
        name="twins.deep",
        version=1,
        py=_swap,
        lua="local list = {1} for _ = 2, args[1] do list = {list} end return list, 1000, list",
    )
    [kept] = store.run([(deep, (uuid4().hex,), (16,))])
    assert str(kept) == "[" * 16 + "1" + "]" * 16

    with pytest.raises(StoreError, match="nest more than 16 deep"):
        store.run([(deep, (uuid4().hex,), (17,))])
