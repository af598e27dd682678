"""Kept answers: one answer as it is stored, and the bytes that the variants of one request become."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

import attrs

from nexus_connector.headers import Headers

FORMAT: Final = 1
"""Raised whenever the meaning of the bytes changes; others are not read."""


@attrs.frozen(kw_only=True)
class Kept:
    """An answer that may be used again, as it came from the vendor, before any ``transform_response``.

    Attributes:
        token: Token of its path when it was asked for; it counts as long as the path still has it.
        status: HTTP status.
        headers: Header fields that may be kept.
        body: Whole body, decompressed.
        varying: Request header fields that the vendor's Vary names, with their values then.
        requested_at: When it was asked for or last confirmed, seconds since the epoch.
        received_at: When that answer came.
    """

    token: str
    status: int
    headers: Headers
    body: bytes
    varying: Mapping[str, str | None]
    requested_at: float
    received_at: float

    @property
    def size(self) -> int:
        """Bytes of body and header fields."""
        return len(self.body) + sum(len(name) + len(value) for name, value in self.headers.pairs())


def pack(variants: Sequence[Kept]) -> bytes:
    """Write answers: a line of JSON, then their bodies."""
    heads = [
        {
            "token": kept.token,
            "status": kept.status,
            "headers": kept.headers.pairs(),
            "length": len(kept.body),
            "varying": dict(kept.varying),
            "requested_at": kept.requested_at,
            "received_at": kept.received_at,
        }
        for kept in variants
    ]
    head = json.dumps({"format": FORMAT, "variants": heads}, separators=(",", ":"))
    return b"".join([head.encode(), b"\n", *(kept.body for kept in variants)])


def unpack(data: bytes | None) -> tuple[Kept, ...]:
    """Read what `pack` wrote; what is of another format or broken is no answer at all."""
    if data is None:
        return ()
    head, _, bodies = data.partition(b"\n")
    try:
        read: Any = json.loads(head)
        if read["format"] != FORMAT:
            return ()
        variants: list[Kept] = []
        for fields in read["variants"]:
            length = _checked(fields["length"], int)
            variants.append(_kept(fields, bodies[:length]))
            if len(variants[-1].body) != length:
                return ()
            bodies = bodies[length:]
    except (ArithmeticError, LookupError, TypeError, ValueError):
        return ()
    return tuple(variants)


def _kept(fields: Any, body: bytes) -> Kept:
    headers: list[tuple[str, str]] = [
        (_checked(name, str), _checked(value, str)) for name, value in _checked(fields["headers"], list)
    ]
    varying = cast("dict[str, Any]", _checked(fields["varying"], dict))
    return Kept(
        token=_checked(fields["token"], str),
        status=_checked(fields["status"], int),
        headers=Headers(headers),
        body=body,
        varying={name: None if value is None else _checked(value, str) for name, value in varying.items()},
        requested_at=_moment(fields["requested_at"]),
        received_at=_moment(fields["received_at"]),
    )


def _checked(value: Any, kind: type) -> Any:
    if type(value) is not kind:
        raise TypeError
    return value


def _moment(value: Any) -> float:
    if type(value) not in {int, float} or not math.isfinite(value):
        raise TypeError
    return float(value)
