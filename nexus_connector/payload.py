"""Payloads of adapters: merging the caller's extra fields and a service's settings into what the contract says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from .errors import InvalidRequestError

REFERENCE_FIELD: Final = "nexus_reference"
"""Name under which adapters send ``CallOptions.reference`` in the vendor's metadata; webhooks bring it back."""


def merge(
    fields: Mapping[str, Any], more: Mapping[str, object], place: str = "", *, keep: bool = False
) -> dict[str, Any]:
    """Return fields with more of them: objects are merged, lists go on, nothing that is there is changed.

    Args:
        fields: What is there.
        more: What is added.
        place: Where in the payload this is, for the error.
        keep: Whether a value that is there already wins, instead of being an error.

    Raises:
        InvalidRequestError: If a value is there already, and another one.

    >>> merge({"asm": {"group_id": 7}, "categories": ["a"]}, {"asm": {"groups_to_display": [7]}, "categories": ["b"]})
    {'asm': {'group_id': 7, 'groups_to_display': [7]}, 'categories': ['a', 'b']}
    """
    merged = dict(fields)
    for name, value in more.items():
        there = merged.get(name)
        if isinstance(there, dict) and isinstance(value, Mapping):
            known, added = cast("dict[str, Any]", there), cast("Mapping[str, object]", value)
            merged[name] = merge(known, added, f"{place}{name}.", keep=keep)
        elif isinstance(there, list) and isinstance(value, list | tuple):
            merged[name] = [*cast("list[object]", there), *cast("Sequence[object]", value)]
        elif name not in merged:
            merged[name] = value
        elif there != value and not keep:
            message = f"The extra field {place}{name} is set already, to something else."
            raise InvalidRequestError(message, hint="Set it in one place; nothing was sent.")
    return merged
