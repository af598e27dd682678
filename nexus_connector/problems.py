"""Problems: where a conversion failed, and what is wrong there; never what stood there."""

from __future__ import annotations

from collections.abc import Iterator

from cattrs.errors import (
    AttributeValidationNote,
    ClassValidationError,
    ForbiddenExtraKeysError,
    IterableValidationError,
    IterableValidationNote,
)

from .scalars import MismatchError


def problems(error: BaseException, path: str = "") -> Iterator[tuple[str, BaseException]]:
    """Walk the tree of a failed conversion: yields each place, as ``items[3].price``, and what is wrong there."""
    if not isinstance(error, ClassValidationError | IterableValidationError):
        yield path, error
        return
    for each in error.exceptions:
        place = path
        for note in getattr(each, "__notes__", []):
            if isinstance(note, AttributeValidationNote):
                place = f"{path}.{note.name}" if path else note.name
            elif isinstance(note, IterableValidationNote):
                place = (
                    f"{path}[{note.index}]"
                    if isinstance(note.index, int)
                    else f"{path}.{note.index}"
                    if path
                    else str(note.index)
                )
        yield from problems(each, place)


def describe(error: BaseException) -> str:
    """Say what is wrong at one place, without the value that stands there."""
    if isinstance(error, MismatchError):
        return str(error)
    if isinstance(error, KeyError):
        return "is missing"
    if isinstance(error, ForbiddenExtraKeysError):
        return "has unknown keys"
    return f"does not have the expected form ({type(error).__name__})"
