"""Answers: http.client's reading of a response, held to the framing rules that it leaves open."""

from __future__ import annotations

import http.client
import re
import sys
from typing import TYPE_CHECKING, cast

from urllib3.exceptions import HeaderParsingError
from urllib3.util.response import assert_header_parsing

from ..headers import Headers
from . import SendError
from .fields import PlainFields, begin

if TYPE_CHECKING:
    import io

    from .fields import Fields

_FOLD = re.compile(r"[ \t]*\r?\n[ \t]+")


class MalformedAnswerError(http.client.HTTPException):
    """The answer breaks the rules of HTTP in a way that leaves its meaning open."""


class Answer(http.client.HTTPResponse):
    """A response under way.

    Attributes:
        limit: Largest body as it comes over the wire, bytes.
        reusable: Whether another request may follow on the same connection.
    """

    fp = cast("io.BufferedReader", None)  # closing one that was interrupted while it was made looks for it
    limit: int = sys.maxsize
    reusable: bool = True
    _taken: int = 0

    def begin(self) -> None:
        """Read status and headers, passing over interim answers (http.client passes over 100 only)."""
        begin(self)
        while 100 < self.status < 200 and self.status != 101:
            self.headers = None  # type: ignore[assignment]  # begin() reads on as long as there are none
            begin(self)

    def read(self, amt: int | None = None) -> bytes:
        """Read up to `amt` bytes, all of them where that many come; empty at the end."""
        return self._counted(super().read(amt), amt)

    def read1(self, n: int = -1) -> bytes:
        """Read what is there, at most `n` bytes; empty at the end."""
        return self._counted(super().read1(n), n)

    def _counted(self, piece: bytes, asked: int | None) -> bytes:
        if not piece and asked and self.length:
            raise broken_off()
        self._taken += len(piece)
        if self._taken > self.limit:
            raise too_large(self.limit)
        return piece

    def _read_next_chunk_size(self) -> int:
        # http.client takes a negative size and then reads without a bound.
        size = cast("int", super()._read_next_chunk_size())  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
        if size < 0:
            raise ValueError
        return size

    def fields(self) -> Headers:
        """Return the header fields.

        Raises:
            MalformedAnswerError: If they, or how they delimit the body, cannot be understood.
        """
        read = cast("Fields", self.msg)
        fields = Headers(read.pairs if isinstance(read, PlainFields) else _understood(read))
        length, coding = fields.get("content-length"), fields.get("transfer-encoding")
        if coding is not None:
            if not self.chunked:
                text = "its Transfer-Encoding is not known"
                raise MalformedAnswerError(text)
            self.reusable = self.reusable and length is None
        elif length is not None and (self.length is None or not _is_one_number(length)):
            text = "its Content-Length is not one number"
            raise MalformedAnswerError(text)
        return fields


def _is_one_number(length: str) -> bool:
    # The same length said twice is still one (RFC 9110 section 8.6).
    first, *others = length.split(", ")
    return first.isdecimal() and all(other == first for other in others)


def _understood(message: http.client.HTTPMessage) -> list[tuple[str, str]]:
    if message.defects or message.get_payload():
        try:
            assert_header_parsing(message)
        except HeaderParsingError as error:
            text = "a header line cannot be understood"
            raise MalformedAnswerError(text) from error
    return [
        (name, _FOLD.sub(" ", value).strip() if "\n" in value else value.rstrip(" \t"))
        for name, value in message.raw_items()
    ]


def broken_off() -> http.client.IncompleteRead:
    """Return what is raised for an answer that ends too early."""
    return http.client.IncompleteRead(b"")


def too_large(limit: int) -> SendError:
    """Return the failure of an answer whose body is larger than allowed."""
    message = f"The body of the answer is larger than max_body_bytes ({limit})."
    return SendError(message, phase="read", wrote=True, transient=False, own=True)
