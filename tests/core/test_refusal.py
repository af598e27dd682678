"""Refusals: a gate says no at once, and the error is made by whoever looks at it."""

from __future__ import annotations

from nexus_connector import Refusal
from nexus_connector.errors import CircuitOpenError


def test_an_error_is_kept() -> None:
    """A refusal with an error has that one."""
    error = CircuitOpenError("open.")
    assert Refusal(error).error is error


def test_what_makes_an_error_is_asked_once_and_late() -> None:
    """The error is made when it is first looked at, and is the same one from then on."""
    made: list[CircuitOpenError] = []

    def make() -> CircuitOpenError:
        made.append(CircuitOpenError("open."))
        return made[-1]

    refusal = Refusal(make)
    assert made == []
    assert refusal.error is refusal.error
    assert len(made) == 1
    assert repr(refusal) == f"Refusal({made[0]!r})"
