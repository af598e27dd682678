"""Questions: what a store asks Redis and makes of the answers, the same for threads and for event loops."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Final, Protocol, cast

import attrs
from redis.exceptions import NoScriptError, ResponseError

from nexus_connector.state import AtomicOp, Item, Key, Plain, StoreError, encode_key

from ._address import Address
from ._cluster import slot
from ._line import Line
from ._replies import Reply
from ._scripts import SWAP, Script, ending, twin
from ._servers import Request, Servers
from ._values import decode, encode
from ._wires import command

_ATTEMPTS: Final = 1000
"""How often an operation without a twin is tried while others change its key.

Sixteen processes that do nothing else need 7 tries on average and now and then 300. Nobody pauses in between: who
pauses after reading the state finds another one.
"""
_LOADS: Final = 3
"""How often scripts are loaded in one call: once is enough, unless somebody empties Redis or moves a slot meanwhile."""
_UNKNOWN: Final = b"\xc1"
"""No state is written like this: the first comparison fails and brings state and time."""


class Questions:
    """What can be asked, each over the line of whoever asks.

    Args:
        servers: Who is asked.
        prefix: What all keys begin with.
        address: What errors call it.
    """

    def __init__(self, servers: Servers, *, prefix: str, address: Address) -> None:
        self._servers = servers
        self._address = address
        encoded = prefix.encode()
        self._states, self._values = encoded + b"s", encoded + b"v"

    async def run(self, line: Line, items: Sequence[Item]) -> list[Plain]:
        """Run operations; see `Store.run`. Those without a Lua twin need two round trips, and more if others interfere.

        Raises:
            StoreError: If Redis did not answer in time, refused, or others always came between.
        """
        if not items:
            return []
        scripted = self._scripted(items)
        if scripted is not None:
            answers = await self._servers.ask(line, scripted)
            for answer in answers:
                if isinstance(answer, ResponseError):
                    answers = await self._ask_again(line, scripted, answers)
                    break
            return [decode(answer) for answer in answers]
        replies: list[Plain] = [None] * len(items)
        together: dict[Key, list[int]] = {}
        for index, (_, key, _) in enumerate(items):
            together.setdefault(key, []).append(index)
        steps = [self._step(key, items, indices, replies) for key, indices in together.items()]
        for _ in range(_ATTEMPTS):
            answers = await self._ask(line, [step.request() for step in steps])
            steps = [step for step, answer in zip(steps, answers, strict=True) if not step.hear(answer)]
            if not steps:
                return replies
        message = f"Redis at {self._address.shown}: others changed the state of a key {_ATTEMPTS} times in between."
        raise StoreError(message)

    async def get(self, line: Line, key: Key) -> bytes | None:
        """Return the value under `key`; see `Store.get`."""
        place = name(self._values, key)
        (value,) = await self._ask(line, [Request(key=place, command=command(b"GET", place))])
        return cast("bytes | None", value)

    async def put(self, line: Line, key: Key, value: bytes, *, ttl_ms: int, if_absent: bool) -> bool:
        """Keep a value; see `Store.put`."""
        place = name(self._values, key)
        if ttl_ms <= 0:  # Redis takes no such time
            question = command(b"EXISTS" if if_absent else b"DEL", place)
            (found,) = await self._ask(line, [Request(key=place, command=question)])
            return not (if_absent and found)
        only = [b"NX"] if if_absent else []
        question = command(b"SET", place, value, b"PX", b"%d" % ttl_ms, *only)
        (done,) = await self._ask(line, [Request(key=place, command=question)])
        return done is not None

    async def delete(self, line: Line, key: Key) -> None:
        """Forget `key`, its state and its value; see `Store.delete`."""
        state, value = name(self._states, key), name(self._values, key)
        await self._ask(line, [Request(key=place, command=command(b"DEL", place)) for place in (state, value)])

    async def describe(self, line: Line) -> str:
        """Return product and version; only the product if Redis does not tell this user."""
        [told] = await self._servers.ask(line, [Request(key=b"", command=command(b"INFO", b"server"))])
        if not isinstance(told, bytes):
            return "Redis"
        fields = dict(line.split(":", 1) for line in told.decode(errors="replace").splitlines() if ":" in line)
        if "valkey_version" in fields:  # which calls itself a Redis of some version, too
            return f"Valkey {fields['valkey_version']}"
        return f"Redis {fields.get('redis_version', '')}".rstrip()

    def _scripted(self, items: Sequence[Item]) -> list[Request] | None:
        """Return what to ask for operations with twins, each on a key of its own; ``None``: these are others."""
        requests: list[Request] = []
        for op, key, args in items:
            if op.lua is None:
                return None
            beginning, place, load = _prepared(op, self._states, key)
            requests.append(Request(place, beginning + ending(encode(args)), load))
        return requests if len(items) == 1 or len({request.key for request in requests}) == len(items) else None

    def _step(self, key: Key, items: Sequence[Item], indices: list[int], replies: list[Plain]) -> _Step:
        place = name(self._states, key)
        op, _, args = items[indices[0]]
        if len(indices) == 1 and op.lua is not None:
            return _Scripted(place, twin(op), encode(list(args)), indices[0], replies)
        return _Computed(place, [items[index] for index in indices], indices, replies)

    async def _ask(self, line: Line, requests: Sequence[Request]) -> list[Reply]:
        """Ask, and ask again for what Redis did not know how to do."""
        return await self._ask_again(line, requests, await self._servers.ask(line, requests))

    async def _ask_again(self, line: Line, requests: Sequence[Request], answers: list[Reply]) -> list[Reply]:
        """Ask for what was not done because Redis did not know the script, together with the script."""
        for _ in range(_LOADS):
            missing = [index for index, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
            if not missing:
                break
            # One of those that go to one node brings the script for all.
            first = {(slot(requests[index].key), requests[index].load): index for index in reversed(missing)}
            again = [requests[index]._replace(cold=index in first.values()) for index in missing]
            for index, answer in zip(missing, await self._servers.ask(line, again), strict=True):
                answers[index] = answer
        for answer in answers:
            if isinstance(answer, ResponseError):
                raise StoreError(f"Redis at {self._address.shown}: {self._address.hide(str(answer))}")
        return answers


class _Step(Protocol):
    """What happens to one key in a batch."""

    def request(self) -> Request:
        """Return what to ask next."""
        ...

    def hear(self, answer: Reply) -> bool:
        """Hear the answer; return whether that was all."""
        ...


@attrs.define
class _Scripted:
    """One operation, run by its Lua twin."""

    key: bytes
    script: Script
    args: bytes
    index: int
    replies: list[Plain]

    def request(self) -> Request:
        return Request(key=self.key, command=self.script.call(self.key, self.args), load=self.script.load)

    def hear(self, answer: Reply) -> bool:
        self.replies[self.index] = decode(answer)
        return True


@attrs.define
class _Computed:
    """Operations on one key, one after the other, computed here and written if nobody came between."""

    key: bytes
    items: Sequence[Item]
    indices: Sequence[int]
    replies: list[Plain]
    expected: bytes = _UNKNOWN
    new: bytes = b""
    ttl_ms: int = 0

    def request(self) -> Request:
        swap = SWAP.call(self.key, self.expected, self.new, b"%d" % self.ttl_ms)
        return Request(key=self.key, command=swap, load=SWAP.load)

    def hear(self, answer: Reply) -> bool:
        if answer == 1:
            return True
        kept, seconds, micros = cast("tuple[bytes | None, bytes, bytes]", answer)
        now_ms = int(seconds) * 1000 + int(micros) // 1000
        state = None if kept is None else decode(kept)
        self.ttl_ms = 0
        for index, (op, _, args) in zip(self.indices, self.items, strict=True):
            state, self.ttl_ms, self.replies[index] = op.py(state, now_ms, args)
            if self.ttl_ms <= 0:
                state = None
        self.expected = kept or b""
        self.new = b"" if state is None else encode(state)
        return False


@functools.lru_cache(maxsize=4096)
def _prepared(op: AtomicOp, prefix: bytes, key: Key) -> tuple[bytes, bytes, bytes]:
    """Return what is the same whenever an operation with a twin is run on a key.

    That is how the command begins, the key in Redis, and what makes the script known.
    """
    place, script = name(prefix, key), twin(op)
    return script.beginning(place), place, script.load


def name(prefix: bytes, key: Key) -> bytes:
    """Write a key for Redis: prefix, and in braces, which a cluster places it by, the first part.

    A brace inside the first part ends what is looked at, for all keys that share it alike.
    """
    first, rest = encode_key(key[:1]), encode_key(key[1:])
    return prefix + f"{{{first}}}{rest}".encode("utf-8", "surrogatepass")
