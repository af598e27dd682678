"""Secrets: values that no repr, text, pickle or comparison gives away."""

from __future__ import annotations

import hmac
from typing import NoReturn, final


def _checked(value: object) -> str:
    if isinstance(value, str):
        return value
    message = f"A Secret holds text, not {type(value).__name__}."
    raise TypeError(message)


@final
class Secret:
    """A secret value in a mapping; its repr, str and pickle show nothing of it.

    Args:
        value: The secret itself; empty only where a vendor wants an empty password.

    Raises:
        TypeError: If `value` is not text (bytes would be hidden badly in a repr of what wraps them).

    >>> secret = Secret("sk_live_1")
    >>> secret, str(secret), secret.reveal()
    (Secret('****'), '****', 'sk_live_1')
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = _checked(value)

    def reveal(self) -> str:
        """Return the value. The one door; search for this name to see who uses a secret."""
        return self._value

    def __repr__(self) -> str:
        return "Secret('****')"

    def __str__(self) -> str:
        return "****"

    def __format__(self, spec: str) -> str:
        return "****"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._value.encode(), other._value.encode())

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __bool__(self) -> bool:
        return bool(self._value)

    def __reduce__(self) -> NoReturn:
        message = (
            "A Secret cannot be pickled: it would leave this process in clear text. Pass its name and resolve it there."
        )
        raise TypeError(message)
