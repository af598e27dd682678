"""The shelf: kept answers in a store, and the tokens by which a change of a path takes all of them away.

A path has a token while answers to it are wanted. An answer is kept with the token that its path had when it was asked
for, and counts as long as the path still has it. A change takes the token away, and with it every answer to the path
that was asked for before, in all queries and variants, kept or still under way in any process.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, TypeVar

import attrs

from nexus_connector.state import AtomicOp, Item, Key, Plain, Store, StoreError

from ._kept import Kept, pack, unpack
from ._places import Place

if TYPE_CHECKING:
    from nexus_connector.io import Io

T = TypeVar("T")


def _hold(state: Plain, now_ms: int, args: Sequence[Plain]) -> tuple[Plain, int, Plain]:
    """Give a path a token unless it has one; arguments: token, milliseconds that it is kept at least."""
    kept = state if isinstance(state, list | tuple) else (args[0], 0)
    until = max(_whole(kept[1]), now_ms + _whole(args[1]))
    return (kept[0], until), until - now_ms, kept[0]


def _extend(state: Plain, now_ms: int, args: Sequence[Plain]) -> tuple[Plain, int, Plain]:
    """Keep the token of a path for longer; arguments as for `_hold`. Replies whether the path still has it."""
    if not isinstance(state, list | tuple):
        return None, 0, False
    is_same = state[0] == args[0]
    until = max(_whole(state[1]), now_ms + _whole(args[1]) if is_same else 0)
    return (state[0], until), until - now_ms, is_same


def _whole(value: Plain) -> int:
    return value if isinstance(value, int) else 0


_HOLD_LUA: Final = """
local kept = state or {args[1], 0}
local till = math.max(kept[2], now_ms + args[2])
return {kept[1], till}, till - now_ms, kept[1]
"""
_EXTEND_LUA: Final = """
if state == nil then return nil, 0, false end
local same = state[1] == args[1]
local till = math.max(state[2], same and now_ms + args[2] or 0)
return {state[1], till}, till - now_ms, same
"""

HOLD: Final = AtomicOp(name="cache.hold", version=1, py=_hold, lua=_HOLD_LUA)
EXTEND: Final = AtomicOp(name="cache.extend", version=1, py=_extend, lua=_EXTEND_LUA)


@attrs.frozen
class Found:
    """What is kept for a request.

    Attributes:
        token: Token of its path; empty: the store does not answer, and nothing can be kept.
        variants: The answers, newest first.
    """

    token: str = ""
    variants: tuple[Kept, ...] = ()


class Shelf:
    """The answers of one service. A store that does not answer has none.

    Args:
        store: Keeps them.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._distrusted = float("-inf")

    async def look(self, io: Io, place: Place, *, token: str, keep_seconds: float) -> Found:
        """Return what is kept in a place.

        Args:
            io: The Io of the call.
            place: The place.
            token: What the path gets if it has none.
            keep_seconds: How long it is kept then.
        """
        hold: Item = (HOLD, place.path, (token, _milliseconds(keep_seconds)))

        def look() -> Found:
            data = self._store.get(place.answers)
            [held] = self._store.run([hold])
            found = Found(str(held), unpack(data))
            return attrs.evolve(found, variants=tuple(kept for kept in found.variants if self.counts(kept, found)))

        try:
            return await self._within(io, look)
        except StoreError:
            return Found()

    def counts(self, kept: Kept, found: Found) -> bool:
        """Say whether an answer was asked for after the last change of its path."""
        return kept.token == found.token and kept.requested_at > self._distrusted

    async def keep(self, io: Io, place: Place, token: str, variants: Sequence[Kept], keep_seconds: float) -> None:
        """Keep answers, unless their path has changed meanwhile.

        Args:
            io: The Io of the call.
            place: The place.
            token: Token of the path when they were asked for.
            variants: What takes the place of what is kept there; empty: nothing.
            keep_seconds: How long, above 0.
        """
        if not token:
            return
        ttl_ms = _milliseconds(keep_seconds)
        extend: Item = (EXTEND, place.path, (token, ttl_ms))

        def keep() -> None:
            if not variants:
                self._store.delete(place.answers)
            elif self._store.run([extend]) == [True]:
                self._store.put(place.answers, pack(variants), ttl_ms=ttl_ms)

        try:
            await self._within(io, keep)
        except StoreError:
            return

    async def forget(self, io: Io, path: Key) -> None:
        """Take away every answer to a path. If the store cannot be told, this process trusts none kept before."""
        try:
            await self._within(io, lambda: self._store.delete(path))
        except StoreError:
            self._distrusted = io.wall().timestamp()

    async def _within(self, io: Io, work: Callable[[], T]) -> T:
        return await io.run(work) if self._store.blocking else work()


def _milliseconds(seconds: float) -> int:
    return max(1, int(seconds * 1000))
