"""Operations, keys and values for the tests of stores: small, pure, and hostile."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import zip_longest
from random import Random
from typing import Final, TypeAlias, cast
from uuid import uuid4

from ..state import AtomicOp, Key, Plain, Store

_Step: TypeAlias = tuple[Plain, int, Plain]

TTL_MS: Final = 600_000


def _ttl_ms(args: Sequence[Plain]) -> int:
    return args[1] if len(args) > 1 and isinstance(args[1], int) else TTL_MS


def _add(state: Plain, now_ms: int, args: Sequence[Plain]) -> _Step:
    """Adds up; what is no number counts as nothing. A sum of 7 is forgotten."""
    total = (state if type(state) is int else 0) + (args[0] if isinstance(args[0], int) else 0)
    return (None if len(args) > 1 and total == 7 else total), _ttl_ms(args), total


def _swap(state: Plain, now_ms: int, args: Sequence[Plain]) -> _Step:
    return args[0], _ttl_ms(args), state


def _keep_last(state: Plain, now_ms: int, args: Sequence[Plain]) -> _Step:
    before = list(state) if isinstance(state, list | tuple) else []
    return [*before, args[0]][-3:], _ttl_ms(args), before


def _forget(state: Plain, now_ms: int, args: Sequence[Plain]) -> _Step:
    return None, 0, state


def _now(state: Plain, now_ms: int, args: Sequence[Plain]) -> _Step:
    return 1, TTL_MS, now_ms


def _fail(state: Plain, now_ms: int, args: Sequence[Plain]) -> _Step:
    raise LookupError


ADD: Final = AtomicOp(name="contract.add", version=1, py=_add)
SWAP: Final = AtomicOp(name="contract.swap", version=1, py=_swap)
KEEP_LAST: Final = AtomicOp(name="contract.keep_last", version=1, py=_keep_last)
FORGET: Final = AtomicOp(name="contract.forget", version=1, py=_forget)
NOW: Final = AtomicOp(name="contract.now", version=1, py=_now)
FAIL: Final = AtomicOp(name="contract.fail", version=1, py=_fail)

PLAIN_VALUES: Final = cast(
    "Sequence[Plain]",
    (
        *(True, False, 0, 1, -1, 2**31, -(2**31) - 1, 2**53, -(2**53)),
        *(0.0, 0.1, -2.5, 1e-300, 1.7976931348623157e308, 0.30000000000000004, 1 / 3),
        *(
            "",
            "0",
            "null",
            "a\0b",
            '"\\/\b\f\n\r\t',
            "\x7f\x85\u2028\ufeff",
            "\u00e4",
            "a\u0308",
            "\U0001f600",
            "x" * 70_000,
        ),
        *([], [[]], [[[], ""], None], [None], [False, 0, 0.5, "", []], [1, [2, [3, [4, [5]]]]], list(range(300))),
    ),
)
"""Everything that `Plain` allows, in its odd forms; ``None`` is no state."""

HOSTILE_KEYS: Final = (
    *((), ("",), ("", ""), ("a",), ("A",), ("a", ""), ("", "a"), ("a", "b"), ("ab",), ("b", "a")),
    *(("a", "b:c"), ("a:b", "c"), ("a:b:c",), ("1:a",), ("1:a1:b",), ("a\0b",), ("a\0",), ("a", "\0"), ("\0a",)),
    *(("a ",), (" a",), ("a\n",), ("a\r\n",), ("a\t",), ("a/b",), ("a/", "b"), ("a|b",), ("a,b",), ("..", "a")),
    *(("{a}",), ("{", "a}"), ("}{",), ("{}",), ("%",), ("_",), ("*",), ("?",), ("[a]",), ("'",), ('"',), ("\\",)),
    *(
        ("';--",),
        ("\u00e4",),
        ("a\u0308",),
        ("\u00c4",),
        ("\u00df",),
        ("ss",),
        ("\u0130",),
        ("i",),
        ("I",),
        ("\u0131",),
    ),
    *(("\U0001f600",), ("\ud800",), ("\udfff",), ("?", ""), ("\ufffd",), ("\uff21",), ("x" * 20_000,)),
    *(("x" * 19_999 + "y",), ("y" + "x" * 19_999,), ("x" * 10_000, "x" * 10_000), ("",) * 300, ("",) * 301),
)
"""Rests of keys, all different, that careless encodings take for each other."""


def same(left: object, right: object) -> bool:
    """Say whether two plain values are alike: lists and tuples are, ``1`` and ``1.0`` are, ``1`` and ``True`` are not.

    >>> same([1, ("a",)], (1.0, ["a"])), same([1], [True])
    (True, False)
    """
    if isinstance(left, list | tuple) and isinstance(right, list | tuple):
        pairs = list(zip_longest(cast("Sequence[object]", left), cast("Sequence[object]", right), fillvalue=same))
        return all(same(one, other) for one, other in pairs)
    return left == right and isinstance(left, bool) == isinstance(right, bool)


def fresh_key() -> Key:
    """Return a key that nobody has used."""
    return (f"contract-{uuid4().hex}",)


def any_step(chance: Random, keys: Sequence[Key]) -> Callable[[Store], object]:
    """Return one step, to be done with several stores."""
    key, ttl_ms = chance.choice(keys), chance.choice([100, 300, 700, 1500]) * 1000
    value = chance.choice(PLAIN_VALUES)
    other = chance.choice(["run", "run", "run", "get", "put", "claim", "delete"])
    if other == "run":
        operations: list[tuple[AtomicOp, Sequence[Plain]]] = [
            (ADD, (chance.randint(-9, 9), ttl_ms)),
            (SWAP, (value, ttl_ms)),
            (KEEP_LAST, (value, ttl_ms)),
            (FORGET, ()),
        ]
        chosen = [(chance.choice(operations), chance.choice(keys)) for _ in range(chance.choice([1, 1, 2, 6]))]
        return lambda store: store.run([(op, where, args) for (op, args), where in chosen])
    data = repr(value).encode()
    steps: dict[str, Callable[[Store], object]] = {
        "get": lambda store: store.get(key),
        "put": lambda store: store.put(key, data, ttl_ms=ttl_ms),
        "claim": lambda store: store.put(key, data, ttl_ms=ttl_ms, if_absent=True),
        "delete": lambda store: store.delete(key),
    }
    return steps[other]
