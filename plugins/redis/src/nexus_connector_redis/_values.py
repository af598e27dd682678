"""Values: how states, arguments and replies are written for Redis, in MessagePack. Pure.

The format: https://github.com/msgpack/msgpack/blob/master/spec.md. Redis's scripts read and write it with cmsgpack, in
a quarter of the time that JSON takes there: cjson writes fourteen digits of a number, and an empty list as an object.
"""

from __future__ import annotations

import math
import re
import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final, cast

import msgpack  # type: ignore[import-untyped]  # pyright: ignore[reportMissingTypeStubs]

from nexus_connector.state import Plain

_NULL: Final = b"\xff"
_WRITTEN_NULL: Final = b"\xa1" + _NULL
"""What ``None`` in a list is to scripts, whose lists would end at a nil. No text is written like this."""
_LONG: Final = 1
"""The extension that holds the digits of a number of more than 63 bits; scripts can read none, and fail."""
_ODD: Final = re.compile(rb"[\xc0\xc4-\xc6\xcb]|\xcf[\x80-\xff]")
"""Where there may be something to be careful with: ``None``, bytes, a fraction, a long number."""

_module: Final = cast("Any", msgpack)


class _Writer(threading.local):
    """One packer for each thread: to make one takes as long as to use it."""

    def __init__(self) -> None:
        packer = _module.Packer(unicode_errors="surrogatepass", buf_size=1024)
        self.write: Callable[[object], bytes] = packer.pack
        self.begin_list: Callable[[int], bytes] = packer.pack_array_header


_writer: Final = _Writer()


def _number(kind: int, digits: bytes) -> int:
    if kind != _LONG:
        message = f"extension {kind} is none of ours"
        raise ValueError(message)
    return int(digits)


_read: Final[Callable[[bytes], Plain]] = partial(_module.unpackb, unicode_errors="surrogatepass", ext_hook=_number)
_read_raw: Final[Callable[[bytes], object]] = partial(_module.unpackb, raw=True, ext_hook=_number)


def encode(value: Plain) -> bytes:
    """Write a value.

    Raises:
        ValueError: If a number in it is not finite.
        TypeError: If it is not plain.
    """
    try:
        data = _writer.write(value)
    except OverflowError:
        return _carefully(value)
    return data if _ODD.search(data) is None else _carefully(value)


def decode(data: object) -> Plain:
    """Read what `encode` or a script wrote."""
    written = cast("bytes", data)
    try:
        return _read(written)
    except UnicodeDecodeError:
        return _plain(_read_raw(written))


def _carefully(value: object) -> bytes:
    """Write a value part by part."""
    if isinstance(value, list | tuple):
        parts = cast("Sequence[object]", value)
        written = [_WRITTEN_NULL if part is None else _carefully(part) for part in parts]
        return b"".join([_writer.begin_list(len(parts)), *written])
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return _writer.write(_module.ExtType(_LONG, b"%d" % value))
    if isinstance(value, float) and not math.isfinite(value):
        message = f"{value} is not a finite number"
        raise ValueError(message)
    if not (value is None or isinstance(value, bool | int | float | str)):
        message = f"{type(value).__name__} is not plain"
        raise TypeError(message)
    return _writer.write(value)


def _plain(read: object) -> Plain:
    """Read the texts of a value that are bytes still; there is a ``None`` among them."""
    if isinstance(read, list):
        return [_plain(part) for part in cast("list[object]", read)]
    if isinstance(read, bytes):
        return None if read == _NULL else read.decode("utf-8", "surrogatepass")
    return cast("Plain", read)
