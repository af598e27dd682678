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
    # Written out, since every call and record makes one: a loop over 13 places costs half as much again.
    pairs = _PAIRS
    time, high, low = wall_ms & 0xFFFF_FFFF_FFFF, entropy >> 40 & 0xFF_FFFF_FFFF, entropy & 0xFF_FFFF_FFFF
    return (
        f"{pairs[time >> 40]}{pairs[time >> 30 & 1023]}{pairs[time >> 20 & 1023]}"
        f"{pairs[time >> 10 & 1023]}{pairs[time & 1023]}"
        f"{pairs[high >> 30]}{pairs[high >> 20 & 1023]}{pairs[high >> 10 & 1023]}{pairs[high & 1023]}"
        f"{pairs[low >> 30]}{pairs[low >> 20 & 1023]}{pairs[low >> 10 & 1023]}{pairs[low & 1023]}"
    )
