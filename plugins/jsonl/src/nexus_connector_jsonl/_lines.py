"""Lines: what one record looks like on the disk."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Final

from nexus_connector import IntegrationLog


def _foreign(value: object) -> str:
    """Show only the type of what is not JSON: its text went through no redactor."""
    return f"<{type(value).__name__}>"


# ASCII on purpose: no character in a value can end a line for any reader, and lone surrogates survive.
# Unchecked for circles: what a redactor made has none, and any other ends as a RecursionError.
_encode: Final = json.JSONEncoder(separators=(",", ":"), allow_nan=False, check_circular=False, default=_foreign).encode


def encode(records: Iterable[IntegrationLog]) -> bytes:
    """Return the records as whole lines, in their order."""
    return "".join([_line(record) for record in records]).encode("ascii")


def _line(record: IntegrationLog) -> str:
    plain = record.as_dict()
    try:
        return _encode(plain) + "\n"
    except (TypeError, ValueError, RecursionError) as error:
        # One odd body must cost neither its own audit line nor the other records of the batch.
        lost = f"<not JSON: {type(error).__name__}>"
        return _encode({**plain, "request_data": lost, "response_data": lost}) + "\n"
