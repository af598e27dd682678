"""Content codings: takes a body out of them piece by piece, so that no bomb is ever held unfolded."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

import urllib3
from urllib3.exceptions import DecodeError, HTTPError

from . import SendError

if TYPE_CHECKING:
    from .answer import Answer

PIECE_BYTES = 65_536

Pull: TypeAlias = Callable[[int], bytes]
"""Returns the next piece of a body, at most so many bytes; empty at the end."""

_GZIP = 16 + zlib.MAX_WBITS
_GZIP_MAGIC = b"\x1f"


def open_body(answer: Answer, coding: str | None, *, whole: bool) -> Pull:
    """Return what reads the body of an answer without its content codings.

    Args:
        answer: The answer, its headers read.
        coding: Its Content-Encoding; one that neither zlib nor urllib3 knows here is left as it is.
        whole: Fill every piece; otherwise return what is there, as a stream wants it.
    """
    pull: Pull = answer.read if whole else answer.read1
    if not coding:
        return pull
    codings = [each.strip().lower() for each in coding.split(",")]
    if codings in (["gzip"], ["x-gzip"], ["deflate"]):
        return _Inflater(pull, is_gzip=codings != ["deflate"]).read
    if all(each in urllib3.HTTPResponse.CONTENT_DECODERS for each in codings):
        return _Urllib3Decoder(answer, codings, whole=whole).read
    return pull


class _Inflater:
    """Takes a body out of gzip or deflate. urllib3's own decoder takes a body that breaks off for a whole one."""

    def __init__(self, pull: Pull, *, is_gzip: bool) -> None:
        self._pull = pull
        self._is_gzip = is_gzip
        self._inflate = zlib.decompressobj(_GZIP) if is_gzip else None
        self._rest: bytes = b""
        self._head: bytes = b""
        self._is_empty = True
        self._is_over = False

    def read(self, size: int) -> bytes:
        try:
            while data := self._rest or self._pull(PIECE_BYTES):
                self._is_empty, self._rest = False, b""
                if piece := self._unfold(data, size):
                    return piece
            return self._last(size)
        except zlib.error as error:
            raise _undecodable() from error

    def _unfold(self, data: bytes, size: int) -> bytes:
        if self._is_over:
            return b""
        data, self._head = self._head + data, b""
        inflate = self._inflate
        if inflate is None:
            if len(data) < 2:
                self._head = data
                return b""
            inflate = self._inflate = zlib.decompressobj(_deflate_window(data))
        elif inflate.eof:
            # gzip bodies may be several in a row; anything else behind the end is padding.
            self._is_over = not (self._is_gzip and data.startswith(_GZIP_MAGIC))
            if self._is_over:
                return b""
            inflate = self._inflate = zlib.decompressobj(_GZIP)
        piece = inflate.decompress(data, size)
        self._rest = inflate.unconsumed_tail or inflate.unused_data
        return piece

    def _last(self, size: int) -> bytes:
        if self._is_empty:
            return b""
        inflate = self._inflate
        piece = b"" if inflate is None or inflate.eof else inflate.decompress(b"", size)
        if not piece and (inflate is None or not inflate.eof):
            raise _undecodable()
        return piece


def _deflate_window(head: bytes) -> int:
    # "deflate" is zlib's form by the RFC and the bare one by habit; two bytes tell which (RFC 1950 section 2.2).
    is_zlib = head[0] & 15 == 8 and int.from_bytes(head[:2], "big") % 31 == 0
    return zlib.MAX_WBITS if is_zlib else -zlib.MAX_WBITS


class _Urllib3Decoder:
    """Takes a body out of what urllib3 decodes if the packages for it are there: br, zstd, several in a row."""

    def __init__(self, answer: Answer, codings: list[str], *, whole: bool) -> None:
        response = urllib3.HTTPResponse(answer, headers={"content-encoding": ",".join(codings)}, preload_content=False)
        self._read: Pull = response.read if whole else response.read1

    def read(self, size: int) -> bytes:
        try:
            return self._read(size)
        except DecodeError as error:
            raise _undecodable() from error
        except HTTPError as error:
            # urllib3 wraps what happened on the wire; the transport explains that itself.
            raise error.__cause__ or error from None


def _undecodable() -> SendError:
    message = "The body of the answer is not what its Content-Encoding says."
    return SendError(message, phase="read", wrote=True, transient=False)
