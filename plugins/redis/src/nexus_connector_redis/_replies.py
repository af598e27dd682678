"""Replies: what a server answers, read out of the bytes that have come so far (RESP2). Pure.

The protocol: https://redis.io/docs/latest/develop/reference/protocol-spec/. redis-py reads line by line and looks at
the clock before each; most answers here are one short line that lies there whole, and somebody waits for it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from redis.exceptions import InvalidResponse

Reply: TypeAlias = object
"""Bytes, a number, a list of these, ``None``, or a `redis.ResponseError`."""


class UnfinishedError(Exception):
    """More bytes must come before the reply can be read."""


def read(data: bytes, at: int, refused: Callable[[str], Exception]) -> tuple[Reply, int]:
    r"""Read one reply.

    Args:
        data: What has come.
        at: Where the reply begins.
        refused: Makes the error that stands for a refusal, of its text.

    Returns:
        The reply, and where the next one begins.

    Raises:
        UnfinishedError: If it is not all there.
        InvalidResponse: If no Redis would write this.
        ValueError: The same.

    >>> read(b"$2\r\nok\r\n:7\r\n", 0, Exception)
    (b'ok', 8)
    """
    end = data.find(b"\r\n", at)
    if end < 0:
        raise UnfinishedError
    kind, text, following = data[at : at + 1], data[at + 1 : end], end + 2
    if kind == b"$":
        last = following + int(text)
        if last < following:
            return None, following
        if len(data) < last + 2:
            raise UnfinishedError
        return data[following:last], last + 2
    if kind == b":":
        return int(text), following
    if kind == b"+":
        return text, following
    if kind == b"-":
        return refused(text.decode("utf-8", "replace")), following
    if kind != b"*":
        raise InvalidResponse(f"Protocol Error: {data[at:end]!r}")
    return _list(data, following, int(text), refused)


def _list(data: bytes, at: int, count: int, refused: Callable[[str], Exception]) -> tuple[Reply, int]:
    if count < 0:
        return None, at
    replies: list[Reply] = []
    for _ in range(count):
        reply, at = read(data, at, refused)
        replies.append(reply)
    return replies, at
