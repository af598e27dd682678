"""Fingerprints: what makes two calls under one key the same call."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from enum import Enum
from hashlib import sha256
from os import PathLike
from typing import TYPE_CHECKING, Any, Final, cast

import attrs

if TYPE_CHECKING:
    from nexus_connector.call import Call
    from nexus_connector.message import Request

_DEEPEST: Final = 50
_type: Final = cast("Callable[[object], Any]", type)  # for type checkers: what came in as object stays Any


def fingerprint(call: Call, request: Request) -> str:
    """Return the fingerprint of a call's arguments, as hexadecimal text.

    The domain value stands for them where the operation has one, with the extra fields of the caller. Else they are
    method, path, query and body, in which the ids of the call and its parent count as no difference. Of a body that is
    read while it is sent only the length counts. Header fields never do.

    Args:
        call: The call.
        request: Its request, before hooks have changed it.
    """
    value = call.operation.value
    if value is not None:
        return _digest(["value", value, call.options.extra])
    parts: list[object] = [request.method, request.path, request.query, request.body]
    if request.source is not None:
        parts.append(["source", request.source.length])
    return _digest(["request", *parts], _without_ids(call))


def _without_ids(call: Call) -> Callable[[bytes], bytes]:
    """Return a function that takes out what an adapter may have written as its reference to this one call."""
    ids = [each.encode() for each in (call.id, call.parent_id) if each]

    def without(data: bytes) -> bytes:
        for each in ids:
            data = data.replace(each, b"{call}")
        return data

    return without


def _digest(value: object, change: Callable[[bytes], bytes] = bytes) -> str:
    found = sha256()
    for piece in _pieces(value, change, 0):
        found.update(piece)
    return found.hexdigest()


def _pieces(value: object, change: Callable[[bytes], bytes], depth: int) -> Iterator[bytes]:
    """Yield a value as bytes in which no two values are alike; each part is preceded by its kind and its length."""
    if depth > _DEEPEST:
        message = "a value is nested too deeply to be compared"
        raise ValueError(message)
    if isinstance(value, bytes | bytearray | memoryview):
        yield from _framed("bytes", change(bytes(cast("bytes", value))))
    elif isinstance(value, Enum):
        yield from _pieces(value.value, change, depth)
    elif isinstance(value, str):
        yield from _framed("text", change(value.encode("utf-8", "surrogatepass")))
    else:
        items = _items(value)
        if items is None:
            yield from _framed(type(value).__name__, change(_text(value).encode("utf-8", "surrogatepass")))
            return
        inner = [b"".join(_pieces(item, change, depth + 1)) for item in items]
        yield from _framed(_kind(value), b"".join(sorted(inner) if isinstance(value, Mapping | AbstractSet) else inner))


def _framed(kind: str, data: bytes) -> Iterator[bytes]:
    yield f"{kind}:{len(data)}:".encode()
    yield data


def _kind(value: object) -> str:
    if isinstance(value, Mapping):
        return "mapping"
    if isinstance(value, AbstractSet):
        return "set"
    return "sequence" if isinstance(value, Sequence) else type(value).__name__


def _items(value: object) -> Sequence[object] | None:
    """Return what a value consists of; ``None``: it is one piece."""
    given: Any = value
    kind = _type(given)
    if attrs.has(kind):
        return [(field.name, getattr(given, field.name)) for field in attrs.fields(kind)]
    if dataclasses.is_dataclass(kind):
        return [(field.name, getattr(given, field.name)) for field in dataclasses.fields(kind)]
    if isinstance(value, Mapping):
        return list(cast("Mapping[object, object]", value).items())
    if isinstance(value, AbstractSet):
        return list(cast("AbstractSet[object]", value))
    return list(cast("Sequence[object]", value)) if isinstance(value, Sequence) else None


def _text(value: object) -> str:
    """Return the text of a value; of an object that has none of its own only the name of its class."""
    if isinstance(value, PathLike):
        return str(cast("PathLike[str]", value))
    kind = type(value)
    has_text = kind.__str__ is not object.__str__ or kind.__repr__ is not object.__repr__
    return str(value) if has_text else kind.__qualname__
