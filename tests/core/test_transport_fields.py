"""Header fields as they come: what is read at once is what http.client's own parser reads."""

from __future__ import annotations

import http.client
import io
from typing import Any, cast

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nexus_connector.transport import fields as module
from nexus_connector.transport.answer import Answer, MalformedAnswerError
from nexus_connector.transport.fields import PlainFields, read_fields

ASKED = ("transfer-encoding", "content-length", "connection", "keep-alive", "proxy-connection", "X-Id")
"""What http.client asks of a message, and one it does not know."""

names = st.sampled_from(
    [
        "Content-Length",
        "content-length",
        "Transfer-Encoding",
        "Connection",
        "Keep-Alive",
        "X-Id",
        "x-id",
        "From",
        "Set-Cookie",
    ]
) | st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters=":"), min_size=1, max_size=6)
values = st.sampled_from(
    ["5", "0", "-1", "+5", "5, 5", "abc", "chunked", "Chunked", "gzip, chunked", "close", "keep-alive", "Close, x", ""]
) | st.text(st.characters(min_codepoint=9, max_codepoint=255, exclude_characters="\r\n"), max_size=8)
blanks = st.sampled_from(["", " ", "  ", "\t", " \t "])
plain_lines = st.builds("{}:{}{}{}\r\n".format, names, blanks, values, blanks).map(lambda line: line.encode("latin-1"))
odd_lines = st.sampled_from(
    [
        b" folded\r\n",
        b"X-Id: 1\n",
        b"X-Id : 1\r\n",
        b"no colon\r\n",
        b": no name\r\n",
        b"X-Id: a\x0bb\r\n",
        b"X-Id: a\x85b\r\n",
        b"X-Id: a\rb\r\n",
        b"X-Id: \0\r\n",
        b"From me\r\n",
        b"X-\xc3\xa9: 1\r\n",
    ]
) | st.binary(max_size=12).map(lambda data: data + b"\r\n")
heads = st.lists(plain_lines, max_size=6).map(b"".join) | st.lists(plain_lines | odd_lines, max_size=6).map(b"".join)


class Sock:
    """A socket that has an answer to give."""

    def __init__(self, data: bytes) -> None:
        self.file = io.BufferedReader(cast("Any", io.BytesIO(data)))

    def makefile(self, mode: str) -> io.BufferedReader:
        return self.file


def answered(data: bytes, method: str) -> tuple[Answer, io.BufferedReader]:
    sock = Sock(data)
    return Answer(cast("Any", sock), method=method), sock.file


def known(data: bytes, method: str) -> object:
    """What becomes of an answer: how it is framed, its fields, what stands behind its head; or how it is refused."""
    answer, file = answered(data, method)
    try:
        answer.begin()
        framing = (answer.status, answer.reason, answer.length, bool(answer.chunked), answer.will_close)
        return (*framing, answer.fields().pairs(), answer.reusable, file.read())
    except (http.client.HTTPException, ValueError) as error:
        return type(error), str(error)


@settings(max_examples=1000)
@given(
    heads, st.sampled_from(["GET", "HEAD"]), st.sampled_from([b"1.1 200 OK", b"1.0 200 OK", b"1.1 204 No", b"1.1 304"])
)
@example(b"Content-Length: 5\r\ncontent-length: 5\r\n", "GET", b"1.1 200 OK")
@example(b"Content-Length: 5\r\ncontent-length: 6\r\n", "GET", b"1.1 200 OK")
@example(b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n", "GET", b"1.1 200 OK")
@example(b"Connection:close\r\nX-Id: \r\nX-Id:\t a  b \t\r\n", "GET", b"1.1 200 OK")
@example(b"Keep-Alive: 5\r\nConnection: keep-alive\r\n", "GET", b"1.0 200 OK")
@example(b"X-Id: " + b"x" * 9000 + b"\r\n", "GET", b"1.1 200 OK")
@example(b"X-Id: 1\r\n" * 99, "GET", b"1.1 200 OK")
@example(b"X-Id: 1\r\n" * 100, "GET", b"1.1 200 OK")
@example(b"X-Id: 1\r\n" * 101, "GET", b"1.1 200 OK")
@example(b"", "GET", b"1.1 200 OK")
def test_fields_are_http_clients(head: bytes, method: str, line: bytes) -> None:
    """Framing, fields, refusals and what is left to read are the same with http.client's parser for every line."""
    data = b"HTTP/" + line + b"\r\n" + head + b"\r\nabcde and more\r\n\r\n"
    ours = known(data, method)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_PLAIN", _Nothing())
        theirs = known(data, method)
    assert ours == theirs


class _Nothing:
    """A pattern that nothing matches."""

    def fullmatch(self, head: bytes) -> None:
        return None


@given(st.lists(plain_lines, min_size=1, max_size=6).map(b"".join))
def test_a_plain_head_answers_as_a_message(head: bytes) -> None:
    """What http.client asks of a message it gets from plain fields too: the first value, in any case of the name."""
    found = read_fields(io.BufferedReader(cast("Any", io.BytesIO(head + b"\r\n"))))
    message = http.client.parse_headers(io.BytesIO(head + b"\r\n"))
    for name in ASKED:
        assert found.get(name) == message.get(name)
        assert found.get(name, "none") == message.get(name, "none")


@pytest.mark.parametrize(
    ("head", "is_plain"),
    [
        (b"Content-Type: application/json\r\nX-Id: 1\r\n\r\n", True),
        (b"X-Id: 1\r\n folded\r\n\r\n", False),
        (b"X-Id: \xe9\r\n\r\n", False),
        (b"X-Id : 1\r\n\r\n", False),
        (b"X-Id: 1 \r\n\r\n", False),
        (b"X-Id: 1\n\n", False),
        (b"X-Id: 1\r\n", False),
        (b"\r\n", False),
    ],
)
def test_only_what_is_plain_is_read_at_once(head: bytes, is_plain: bool) -> None:
    """Anything about which two parsers could disagree goes to http.client's."""
    found = read_fields(io.BufferedReader(cast("Any", io.BytesIO(head))))
    assert isinstance(found, PlainFields) is is_plain


class InPieces(io.RawIOBase):
    """A stream that comes in pieces of a few bytes."""

    def __init__(self, data: bytes, size: int) -> None:
        self._data = io.BytesIO(data)
        self._size = size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        piece = self._data.read(min(self._size, len(buffer)))
        buffer[: len(piece)] = piece
        return len(piece)


@pytest.mark.parametrize("size", [1, 7, 20])
def test_a_head_in_pieces_is_read(size: int) -> None:
    """A head that is not here in one piece is waited for, line by line."""
    head = b"Content-Type: text/plain\r\nContent-Length: 2\r\n\r\n"
    file = io.BufferedReader(InPieces(head + b"ok", size))
    assert read_fields(file).get("content-length") == "2"
    assert file.read() == b"ok"


def test_a_malformed_head_is_refused() -> None:
    """A line that is no field makes the answer malformed, as ever."""
    answer, _ = answered(b"HTTP/1.1 200 OK\r\nX-Id: 1\r\nno colon\r\n\r\n", "GET")
    answer.begin()
    with pytest.raises(MalformedAnswerError):
        answer.fields()


def test_http_client_looks_up_its_parser_as_we_think() -> None:
    """`begin` finds what reads the header lines by its name; were that another one, ours would never be asked."""
    assert "parse_headers" in http.client.HTTPResponse.begin.__code__.co_names
    answer, _ = answered(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "GET")
    answer.begin()
    assert isinstance(answer.msg, PlainFields)
