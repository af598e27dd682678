"""HTTP header fields: an immutable mapping that ignores the case of names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Self, cast


class Headers(Mapping[str, str]):
    """Header fields, in order, found by name in any case. Repeated ones are joined with a comma (RFC 9110 section 5.3).

    Args:
        fields: A mapping, or pairs of name and value.

    >>> headers = Headers({"Content-Type": "text/plain"})
    >>> headers["content-type"], headers.with_fields({"X-Id": "1"})
    ('text/plain', Headers({'Content-Type': 'text/plain', 'X-Id': '1'}))
    """

    __slots__ = ("_fields",)
    _fields: dict[str, tuple[str, str]]

    def __init__(self, fields: Mapping[str, str] | Iterable[tuple[str, str]] = ()) -> None:
        merged: dict[str, tuple[str, str]] = {}
        pairs = cast("Mapping[str, str]", fields).items() if isinstance(fields, Mapping) else fields
        for name, value in pairs:
            key = name.lower()
            known = merged.get(key)
            merged[key] = (name, value) if known is None else (known[0], f"{known[1]}, {value}")
        self._fields = merged

    def with_fields(self, fields: Mapping[str, str]) -> Self:
        """Return a copy in which `fields` replace those of the same name."""
        merged = self._fields.copy()
        for name, value in fields.items():
            merged[name.lower()] = (name, value)
        copy = object.__new__(type(self))
        copy._fields = merged
        return copy

    def without(self, *names: str) -> Self:
        """Return a copy without the fields of these names."""
        gone = {name.lower() for name in names}
        copy = object.__new__(type(self))
        copy._fields = {key: field for key, field in self._fields.items() if key not in gone}
        return copy

    def __getitem__(self, name: str) -> str:
        return self._fields[name.lower()][1]

    def get(self, name: str, default: str | None = None) -> str | None:  # type: ignore[override]  # narrower default: a header is text
        """Return the value of a field, or `default`."""
        field = self._fields.get(name.lower())
        return default if field is None else field[1]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._fields

    def has_any(self, names: Iterable[str]) -> bool:
        """Say whether there is a field of one of these names, given in lower case."""
        return not self._fields.keys().isdisjoint(names)

    def __iter__(self) -> Iterator[str]:
        return iter([name for name, _ in self._fields.values()])

    def __len__(self) -> int:
        return len(self._fields)

    def pairs(self) -> list[tuple[str, str]]:
        """Return the fields as pairs of name and value, in order."""
        return list(self._fields.values())

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Headers):
            return {k: f[1] for k, f in self._fields.items()} == {k: f[1] for k, f in other._fields.items()}
        return isinstance(other, Mapping) and self == Headers(cast("Mapping[str, str]", other))

    def __hash__(self) -> int:
        return hash(frozenset((key, field[1]) for key, field in self._fields.items()))

    def __repr__(self) -> str:
        from .redaction import DEFAULT_REDACTOR  # here: a repr is rare, and the patterns cost time at import

        return f"Headers({DEFAULT_REDACTOR.headers(self)})"
