"""The bytes of each behaviour and the pace at which they are written: pure plans that a connection performs."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice, repeat
from typing import Literal, TypeAlias

import attrs

from ._emulator_behaviours import Bomb, DripBody, DripHeaders, Hang, Infinite, Plain, Raw, Reset, Stream
from ._emulator_exchange import Answer, render_head

MEGABYTE = 1 << 20

Step: TypeAlias = tuple[float, bytes]
"""Seconds to wait, then bytes to write."""
Ending: TypeAlias = Literal["keep", "close", "reset", "hang"]
"""What becomes of the connection after the last step."""

_GZIP_HEADER = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"
_DEFLATE_END = b"\x03\x00"


@attrs.frozen
class Script:
    """What to write for one request, and how the connection goes on.

    >>> script = script_of(Raw(b"nonsense"), "GET", close=False)
    >>> list(script.steps), script.ending
    ([(0.0, b'nonsense')], 'close')
    """

    steps: Iterator[Step]
    ending: Ending


def script_of(behaviour: Plain, method: str, *, close: bool) -> Script:
    r"""Plan the answer to one request.

    Args:
        behaviour: What answers.
        method: Of the request; only the headers are sent to ``HEAD``.
        close: Whether the connection ends after a whole answer.

    >>> [piece for _, piece in script_of(Stream(1, 1 << 19), "HEAD", close=False).steps][0].endswith(b"1048576\r\n\r\n")
    True
    """
    ending: Ending = "close" if close else "keep"
    match behaviour:
        case Answer():
            step = behaviour.delay_seconds, behaviour.wire(method, close=close)
            return Script(iter([step]), "close" if behaviour.closes else ending)
        case Hang():
            return Script(iter(()), "hang")
        case Raw():
            return Script(iter([(0.0, behaviour.data)]), "close")
        case DripHeaders():
            head = _head({"X-Padding": "x" * behaviour.padding_bytes, "Content-Length": "0"}, close=close)
            return Script(_drip(head, behaviour.bytes_per_second), ending)
        case Reset(after="request"):
            return Script(iter(()), "reset")
        case Reset():
            partial = [(0.0, _head({"Content-Length": "1000"}, close=close)), (0.0, b"x" * 500)]
            return Script(iter(partial[:1] if behaviour.after == "headers" or method == "HEAD" else partial), "reset")
        case DripBody() | Infinite() | Bomb() | Stream():
            steps = _with_body(behaviour, close=close)
            return Script(islice(steps, 1) if method == "HEAD" else steps, ending)


def _head(fields: dict[str, str], *, close: bool) -> bytes:
    return render_head(200, fields | {"Connection": "close"} if close else fields) + b"\r\n"


def _with_body(behaviour: DripBody | Infinite | Bomb | Stream, *, close: bool) -> Iterator[Step]:
    match behaviour:
        case DripBody():
            yield 0.0, _head({"Content-Length": str(len(behaviour.body))}, close=close)
            yield from _drip(behaviour.body, behaviour.bytes_per_second)
        case Stream():
            size = behaviour.megabytes * MEGABYTE
            yield 0.0, _head({"Content-Length": str(size)}, close=close)
            block = b"x" * behaviour.chunk_bytes
            yield from ((0.0, block[: size - sent]) for sent in range(0, size, len(block)))
        case Infinite():
            yield 0.0, _head({"Transfer-Encoding": "chunked"}, close=close)
            yield from repeat((0.0, _chunk(behaviour.chunk)))
        case Bomb():
            yield 0.0, _head({"Content-Encoding": "gzip", "Transfer-Encoding": "chunked"}, close=close)
            yield from ((0.0, _chunk(piece)) for piece in _gzip_of_zeros(behaviour.megabytes))
            yield 0.0, _chunk(b"")


def _drip(data: bytes, bytes_per_second: float) -> Iterator[Step]:
    size = max(1, round(bytes_per_second / 100))  # above 100 wakes a second, timers would set the pace
    for start in range(0, len(data), size):
        piece = data[start : start + size]
        yield len(piece) / bytes_per_second, piece


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def _gzip_of_zeros(megabytes: int) -> Iterator[bytes]:
    """Yield one gzip member, a megabyte at a time.

    A deflate block that ends in a full flush refers to nothing before it, so one block may be repeated as it is.
    """
    zeros, block = _deflated_megabyte()
    yield _GZIP_HEADER
    checksum = 0
    for _ in range(megabytes):
        checksum = zlib.crc32(zeros, checksum)
        yield block
    yield _DEFLATE_END + struct.pack("<II", checksum, megabytes * MEGABYTE % (1 << 32))


@lru_cache(maxsize=1)
def _deflated_megabyte() -> tuple[bytes, bytes]:
    zeros = bytes(MEGABYTE)
    deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return zeros, deflate.compress(zeros) + deflate.flush(zlib.Z_FULL_FLUSH)
