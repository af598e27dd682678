"""Call ids: ULIDs, sortable by time and unique across processes (https://github.com/ulid/spec)."""

from __future__ import annotations

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]


def ulid(wall_ms: int, entropy: int) -> str:
    """Make a ULID of 26 characters.

    Args:
        wall_ms: Wall clock, milliseconds since the epoch (48 bits are used).
        entropy: 80 random bits.

    >>> ulid(0, 0)
    '00000000000000000000000000'
    >>> ulid(1469918176385, 0)[:10]
    '01ARYZ6S41'
    """
    value = (wall_ms & 0xFFFF_FFFF_FFFF) << 80 | entropy & (1 << 80) - 1
    pairs = _PAIRS
    return "".join([pairs[value >> shift & 0x3FF] for shift in range(120, -1, -10)])
