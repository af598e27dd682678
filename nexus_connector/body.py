"""Request bodies: bytes, or a source that can be opened again; JSON, forms and multipart in their encoded form."""

from __future__ import annotations

import dataclasses
import io
import json as jsonlib
import os
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import BinaryIO, TypeAlias, cast
from urllib.parse import urlencode
from uuid import UUID

import attrs

from .errors import InvalidRequestError
from .secret import Secret

Content: TypeAlias = bytes | BinaryIO | os.PathLike[str]
"""A body or file: bytes, an open binary file, or the path of one; the last two are read while they are sent."""

CHUNK_BYTES = 65_536


@attrs.frozen(kw_only=True)
class Source:
    """A body that is read while it is sent.

    Attributes:
        parts: Opens each part as a binary stream, positioned at its start; called anew for every attempt.
        length: Bytes in all; ``None`` if not known (sent in chunks).
        repeatable: Whether it can be opened again; otherwise the call has one attempt.
    """

    parts: Sequence[Callable[[], BinaryIO]]
    length: int | None = None
    repeatable: bool = True

    def chunks(self) -> Iterator[bytes]:
        """Yield the bytes from the start, in pieces of at most 64 KiB."""
        for part in self.parts:
            with part() as stream:
                while piece := stream.read(CHUNK_BYTES):
                    yield piece


class _Unclosed(io.RawIOBase):
    """Reads somebody else's file without closing it: the caller opened it, the caller closes it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        return self._file.read(size)


def open_content(content: Content) -> bytes | Source:
    """Turn what a caller gives as content into a body.

    Args:
        content: Bytes, a path (opened for every attempt), or a binary file (rewound for every attempt if it can be).

    Raises:
        InvalidRequestError: If it is none of these, or the path cannot be read.
    """
    if isinstance(content, bytes | bytearray | memoryview):
        return bytes(content)
    if isinstance(content, os.PathLike):
        return _open_path(Path(os.fspath(content)))
    if hasattr(content, "read") and not isinstance(cast("object", content), io.TextIOBase):
        return _open_file(content)
    message = f"Content is bytes, a path or a binary file, not {type(content).__name__}."
    raise InvalidRequestError(message, hint="Encode text first: content=text.encode(), open(path, 'rb').")


def _open_path(path: Path) -> Source:
    try:
        length = path.stat().st_size
        path.open("rb").close()
    except (OSError, ValueError) as error:  # ValueError: a NUL in it
        message = f"{path} cannot be read: {getattr(error, 'strerror', None) or error}."
        raise InvalidRequestError(message, hint="Check the path; nothing was sent.") from error
    return Source(parts=[lambda: path.open("rb")], length=length)


def _open_file(file: BinaryIO) -> Source:
    try:
        start = file.tell()
        length = file.seek(0, os.SEEK_END) - start
        file.seek(start)
    except (OSError, AttributeError, ValueError):
        return Source(parts=[lambda: _binary(_Unclosed(file))], repeatable=False)

    def rewind() -> BinaryIO:
        file.seek(start)
        return _binary(_Unclosed(file))

    return Source(parts=[rewind], length=length)


def _binary(stream: io.RawIOBase) -> BinaryIO:
    return stream  # type: ignore[return-value]  # reads and closes, which is all that chunks() asks for


def encode_json(value: object) -> bytes:
    """Encode a payload as compact JSON; Decimal, UUID and times become text, attrs and dataclasses objects.

    Raises:
        InvalidRequestError: For NaN, infinities, secrets and anything else that JSON cannot hold.

    >>> encode_json({"price": Decimal("1.10")})
    b'{"price":"1.10"}'
    """
    try:
        return jsonlib.dumps(value, default=_plain, allow_nan=False, separators=(",", ":"), ensure_ascii=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        message = f"The payload cannot be sent as JSON: {error}."
        raise InvalidRequestError(message, hint="Use plain values, attrs or dataclasses; nothing was sent.") from error


def _plain(value: object) -> object:
    """Give a value that json does not know a form it knows."""
    if isinstance(value, Secret):
        message = "a Secret is not sent in a payload; reveal() it where that is meant"
        raise TypeError(message)
    if isinstance(value, Decimal) and not value.is_finite():
        message = "NaN and infinities have no form in JSON"
        raise ValueError(message)
    if isinstance(value, Decimal | UUID):
        return str(value)
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    return value.value if isinstance(value, Enum) else _container(value)


def _container(value: object) -> object:
    kind = type(value)
    if attrs.has(kind):
        return {field.name: getattr(value, field.name) for field in attrs.fields(kind)}
    if dataclasses.is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return dict(cast("Mapping[object, object]", value))
    if isinstance(value, set | frozenset | Sequence) and not isinstance(value, bytes | bytearray | memoryview):
        return list(cast("Sequence[object]", value))
    message = f"{kind.__name__} has no form in JSON"
    raise TypeError(message)


def text_of(value: object, what: str) -> str:
    """Write a plain value as text for a query, a form or a path; booleans become ``true`` and ``false``.

    Raises:
        InvalidRequestError: For ``None`` and for values without an obvious text.

    >>> text_of(True, "query value"), text_of(Decimal("1.10"), "query value")
    ('true', '1.10')
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Enum):
        return text_of(value.value, what)
    if isinstance(value, float | Decimal) and not Decimal(value).is_finite():
        message = f"A {what} cannot be {value}."
        raise InvalidRequestError(message, hint="Leave it out, or give a finite number.")
    if isinstance(value, str | int | float | Decimal | UUID):
        return _encodable(str(value), what)
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    message = f"A {what} cannot be {'None' if value is None else 'a ' + type(value).__name__}."
    raise InvalidRequestError(message, hint="Leave it out, or give text, a number, a time or a UUID.")


def _encodable(text: str, what: str) -> str:
    """Refuse text that no bytes stand for: half of a surrogate pair, say out of a file name."""
    try:
        text.encode()
    except UnicodeEncodeError:
        message = f"A {what} holds a sign that has no form in UTF-8."
        raise InvalidRequestError(message, hint="Check where it comes from; nothing was sent.") from None
    return text


def text_pairs(values: Mapping[str, object], what: str) -> list[tuple[str, str]]:
    """Write a mapping as pairs of text; a list or tuple repeats its name.

    >>> text_pairs({"id": [1, 2]}, "query value")
    [('id', '1'), ('id', '2')]
    """
    pairs: list[tuple[str, str]] = []
    for name, value in values.items():
        for each in cast("list[object]", value) if isinstance(value, list | tuple) else (value,):
            pairs.append((text_of(name, f"name of a {what}"), text_of(each, f"{what} ({name})")))  # noqa: PERF401  # the nested loop reads best as one
    return pairs


def encode_form(form: Mapping[str, object]) -> bytes:
    """Encode a form as ``application/x-www-form-urlencoded``."""
    return urlencode(text_pairs(form, "form value")).encode()


def encode_multipart(form: Mapping[str, object], files: Mapping[str, Content]) -> tuple[str, Source]:
    """Encode a form with files as ``multipart/form-data`` (RFC 7578), reading the files only while they are sent.

    Returns:
        The content type with its boundary, and the source.

    Raises:
        InvalidRequestError: If a name or file name holds CR, LF or NUL.
    """
    boundary = secrets.token_hex(16)
    pieces: list[bytes | Source] = []
    for name, value in text_pairs(form, "form value"):
        pieces.append(
            f'--{boundary}\r\nContent-Disposition: form-data; name="{_quoted(name)}"\r\n\r\n{value}\r\n'.encode()
        )
    for name, content in files.items():
        file_name = _quoted(_file_name(name, content))
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="{_quoted(name)}"; filename="{file_name}"'
        pieces += [f"{head}\r\nContent-Type: application/octet-stream\r\n\r\n".encode(), open_content(content), b"\r\n"]
    pieces.append(f"--{boundary}--\r\n".encode())
    return f"multipart/form-data; boundary={boundary}", _join(pieces)


def _join(pieces: Sequence[bytes | Source]) -> Source:
    parts: list[Callable[[], BinaryIO]] = []
    length: int | None = 0
    for piece in pieces:
        size = len(piece) if isinstance(piece, bytes) else piece.length
        length = None if length is None or size is None else length + size
        parts += [lambda data=piece: io.BytesIO(data)] if isinstance(piece, bytes) else piece.parts  # type: ignore[misc]  # the default binds the piece
    return Source(
        parts=parts, length=length, repeatable=all(isinstance(piece, bytes) or piece.repeatable for piece in pieces)
    )


def _file_name(name: str, content: Content) -> str:
    path = os.fspath(content) if isinstance(content, os.PathLike) else getattr(content, "name", None)
    return Path(path).name if isinstance(path, str) and path else name


def _quoted(name: str) -> str:
    if any(sign in name for sign in "\r\n\0"):
        message = "A form field or file name holds a line break or NUL."
        raise InvalidRequestError(message, hint="Remove it; nothing was sent.")
    return _encodable(name, "form field or file name").replace("\\", "\\\\").replace('"', "%22")
