"""What an emulated vendor can do with one request: frozen values, from an ordinary answer to a gzip bomb."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias, get_args

import attrs
from attrs.validators import ge, gt, in_, min_len

from ._emulator_exchange import Answer, Arrival

ResetPoint: TypeAlias = Literal["request", "headers", "body"]


@attrs.frozen
class Compute:
    """An answer made from the request.

    Args:
        function: Gets the request, returns the answer. Runs in the server's thread: it may set routes, but not block
            (``wait_for``, ``close``, ``close_idle``). If it raises, the client gets a 500 that says so.

    >>> echo = Compute(lambda arrival: Answer(200, body=arrival.body))
    """

    function: Callable[[Arrival], Answer]


@attrs.frozen
class Hang:
    """No answer, until the client leaves or the emulator closes.

    >>> Hang()
    Hang()
    """


@attrs.frozen
class Reset:
    """A connection reset (RST), without a proper end.

    Args:
        after: ``"request"``: once the request is read; ``"headers"``: once the answer's headers are sent;
            ``"body"``: in the middle of its body.

    >>> Reset("body").after
    'body'
    """

    after: ResetPoint = attrs.field(default="request", validator=in_(get_args(ResetPoint)))


@attrs.frozen
class DripBody:
    """A 200 whose headers come at once and whose body drips.

    Args:
        bytes_per_second: Up to 100, each byte comes alone. Default 10.
        body: Default 1,000 bytes, which takes 100 s.

    >>> len(DripBody().body)
    1000
    """

    bytes_per_second: float = attrs.field(default=10.0, validator=gt(0))
    body: bytes = attrs.field(default=b"x" * 1000, kw_only=True)


@attrs.frozen
class DripHeaders:
    """A 200 without a body whose headers drip.

    Args:
        bytes_per_second: Up to 100, each byte comes alone. Default 10.
        padding_bytes: Length of a useless header field. Default 1,000, which takes 100 s.

    >>> DripHeaders(1.0).bytes_per_second
    1.0
    """

    bytes_per_second: float = attrs.field(default=10.0, validator=gt(0))
    padding_bytes: int = attrs.field(default=1000, validator=ge(0), kw_only=True)


@attrs.frozen
class Infinite:
    """A 200 whose chunked body never ends.

    Args:
        chunk: What is repeated. Default 64 KiB.

    >>> len(Infinite().chunk)
    65536
    """

    chunk: bytes = attrs.field(default=b"x" * 65_536, validator=min_len(1))


@attrs.frozen
class Bomb:
    """A 200 that is small on the wire and inflates to a huge body of zero bytes (one gzip member, chunked).

    Args:
        megabytes: Inflated size in MiB; the wire carries about a thousandth. Default 1024.

    >>> Bomb().megabytes
    1024
    """

    megabytes: int = attrs.field(default=1024, validator=ge(1))


@attrs.frozen
class Stream:
    """A 200 with a large body, never held in memory, sent only as fast as the client reads.

    Args:
        megabytes: Size of the body in MiB, announced in Content-Length.
        chunk_bytes: Written at once. Default 64 KiB.

    >>> Stream(100).chunk_bytes
    65536
    """

    megabytes: int = attrs.field(validator=ge(1))
    chunk_bytes: int = attrs.field(default=65_536, validator=ge(1))


@attrs.frozen
class Raw:
    """Exactly these bytes, then the end of the connection: for answers that are not HTTP.

    Args:
        data: May be empty.

    >>> Raw(b"HTTP/1.1 200").data
    b'HTTP/1.1 200'
    """

    data: bytes


@attrs.frozen
class Keyed:
    """An endpoint that honours idempotency keys, and counts what it really did in ``vendor.effects``.

    A new key performs an effect and keeps the answer; a known key gets the kept answer, byte for byte. A request
    without a key is an effect of its own, counted as ``unkeyed-1``, ``unkeyed-2``... Keys are shared by all routes.

    Args:
        answer: What an effect answers.
        lose: Perform the effect, then reset the connection instead of answering.
        key_header: Field that carries the key.

    >>> Keyed(Answer(201, json={"id": "ch_1"}), lose=True).lose
    True
    """

    answer: Answer | Compute
    lose: bool = attrs.field(default=False, kw_only=True)
    key_header: str = attrs.field(default="Idempotency-Key", kw_only=True)


Plain: TypeAlias = Answer | Hang | Reset | DripBody | DripHeaders | Infinite | Bomb | Stream | Raw
"""What can be written down without looking at the request's content."""
Behaviour: TypeAlias = Plain | Compute | Keyed
"""What answers one request."""
