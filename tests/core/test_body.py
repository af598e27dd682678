"""Request bodies: what can be sent is encoded exactly, what cannot is refused before anything is sent."""

from __future__ import annotations

import dataclasses
import enum
import io
import json
import os
from collections import OrderedDict, UserDict, deque
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from decimal import Decimal
from email import message_from_bytes
from email.message import Message
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import parse_qsl
from uuid import UUID

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus_connector import Secret
from nexus_connector.body import (
    CHUNK_BYTES,
    Source,
    encode_form,
    encode_json,
    encode_multipart,
    open_content,
    text_of,
    text_pairs,
)
from nexus_connector.errors import InvalidRequestError

HALF = "\ud800"
"""Half of a surrogate pair, as in a file name that is no UTF-8."""
UNIQUE = UUID("12345678-1234-5678-1234-567812345678")
MOMENT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


class Color(enum.Enum):
    RED = "red"


class Size(enum.IntEnum):
    BIG = 3


@attrs.frozen
class Item:
    price: Decimal
    sizes: tuple[int, ...] = ()


@dataclasses.dataclass(frozen=True)
class Order:
    items: list[Item]
    at: datetime
    note: str | None = None


def data_of(body: bytes | Source) -> bytes:
    """Read a body whole."""
    return body if isinstance(body, bytes) else b"".join(body.chunks())


JSON: list[tuple[Any, str | None]] = [
    (None, "null"),
    ({"price": Decimal("1.10")}, '{"price":"1.10"}'),
    (
        [UNIQUE, MOMENT, date(2026, 1, 2), time(3, 4)],
        f'["{UNIQUE}","2026-01-02T03:04:05+00:00","2026-01-02","03:04:00"]',
    ),
    (Order([Item(Decimal("0.5"), (1, 2))], MOMENT), None),
    ([Color.RED, Size.BIG, True, 1.5], '["red",3,true,1.5]'),
    (OrderedDict(a=1), '{"a":1}'),
    (UserDict({"a": (1, 2)}), '{"a":[1,2]}'),
    ([range(2), deque([1])], "[[0,1],[1]]"),
    ("ä€😀", '"ä€😀"'),
]


@pytest.mark.parametrize(("value", "text"), JSON, ids=lambda each: type(each).__name__)
def test_json(value: Any, text: str | None) -> None:
    """Decimal, UUID, times and enums have one obvious form; attrs and dataclasses become objects, at any depth."""
    if text is None:
        text = '{"items":[{"price":"0.5","sizes":[1,2]}],"at":"2026-01-02T03:04:05+00:00","note":null}'
    assert encode_json(value) == text.encode()


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(st.characters(exclude_categories=["Cs"])),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4)
        ),
        max_leaves=12,
    )
)
def test_plain_json_is_not_changed(value: Any) -> None:
    """What JSON itself can hold comes back as it was."""
    assert json.loads(encode_json(value)) == value


LOOP: list[Any] = []
LOOP.append(LOOP)


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        float("inf"),
        [-float("inf")],
        Decimal("NaN"),
        Decimal("Infinity"),
        {"token": Secret("canary-51H8")},
        [Secret("canary-51H8")],
        Item(Secret("canary-51H8")),  # type: ignore[arg-type]
        b"bytes",
        bytearray(b"bytes"),
        memoryview(b"bytes"),
        object(),
        len,
        {(1, 2): 3},
        HALF,
        {HALF: 1},
        LOOP,
        io.BytesIO(b"x"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_json_cannot_hold(value: Any) -> None:
    """NaN, secrets, bytes and objects of no known form are refused, before anything is sent, and no secret is shown."""
    with pytest.raises(InvalidRequestError, match="cannot be sent as JSON") as caught:
        encode_json(value)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a b", "a b"),
        ("", ""),
        (True, "true"),
        (False, "false"),
        (0, "0"),
        (1.5, "1.5"),
        (Decimal("1.10"), "1.10"),
        (UNIQUE, str(UNIQUE)),
        (MOMENT, "2026-01-02T03:04:05+00:00"),
        (date(2026, 1, 2), "2026-01-02"),
        (time(3, 4), "03:04:00"),
        (Color.RED, "red"),
        (Size.BIG, "3"),
    ],
    ids=repr,
)
def test_plain_values_as_text(value: object, text: str) -> None:
    """Each plain value has one text in queries, forms and paths; a boolean is lower case."""
    assert text_of(value, "query value") == text


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        {},
        (1,),
        object(),
        b"x",
        Secret("canary-51H8"),
        float("nan"),
        float("inf"),
        Decimal("NaN"),
        Decimal("sNaN"),
        HALF,
    ],
    ids=lambda value: type(value).__name__,
)
def test_values_without_a_text(value: object) -> None:
    """Above all no "None", and no "nan", reaches a vendor; the error names where it was meant to go."""
    with pytest.raises(InvalidRequestError, match=r"query value") as caught:
        text_of(value, "query value")
    assert "canary" not in str(caught.value)


def test_pairs() -> None:
    """A list or tuple repeats its name, an empty one leaves it out; None is refused by name, also inside a list."""
    assert text_pairs({"id": [1, 2], "q": ("a",), "none": [], "x": True}, "query value") == [
        ("id", "1"),
        ("id", "2"),
        ("q", "a"),
        ("x", "true"),
    ]
    for values in ({"page": None}, {"page": [1, None]}):
        with pytest.raises(InvalidRequestError, match=r"query value \(page\) cannot be None"):
            text_pairs(values, "query value")
    with pytest.raises(InvalidRequestError, match="name of a query value"):
        text_pairs({None: 1}, "query value")  # type: ignore[dict-item]
    with pytest.raises(InvalidRequestError, match="name of a query value"):
        text_pairs({HALF: 1}, "query value")


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@given(st.dictionaries(texts, texts | st.lists(texts, max_size=3), max_size=5))
def test_forms_can_be_read_again(form: dict[str, Any]) -> None:
    """A form comes back through the stdlib's parser pair by pair: no sign breaks out of its value."""
    encoded = encode_form(form).decode("ascii")
    assert parse_qsl(encoded, keep_blank_values=True) == text_pairs(form, "form value")


class Pipe(io.RawIOBase):
    """A stream that cannot be rewound."""

    def __init__(self, data: bytes) -> None:
        self._data = io.BytesIO(data)

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        return self._data.read(size)


def parse(content_type: str, body: bytes) -> list[Message]:
    """Parse a multipart body with the stdlib's email parser."""
    whole = message_from_bytes(f"Content-Type: {content_type}\r\n\r\n".encode() + body)
    assert whole.is_multipart()
    assert whole.defects == []
    return whole.get_payload()  # type: ignore[return-value]


printable = st.text(st.characters(min_codepoint=32, max_codepoint=126, exclude_characters='"'), min_size=1, max_size=12)
names = printable.filter(lambda name: not name.endswith("\\"))  # the stdlib takes the quote behind one for escaped


@given(
    st.dictionaries(names, st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20), max_size=3),
    st.dictionaries(names, st.binary(max_size=200), min_size=1, max_size=3),
)
def test_multipart_can_be_read_again(form: dict[str, str], files: dict[str, bytes]) -> None:
    """Fields and files come back through the stdlib's parser: names, file names, bytes, and the length is right."""
    content_type, source = encode_multipart(form, files)
    body = data_of(source)
    assert source.length == len(body)
    parts = parse(content_type, body)
    found = [tuple(part.get_param(key, header="Content-Disposition") for key in ("name", "filename")) for part in parts]
    assert found == [(name, None) for name in form] + [(name, name) for name in files]
    contents = [part.get_payload(decode=True) for part in parts]
    assert contents == [value.encode() for value in form.values()] + list(files.values())


@pytest.mark.parametrize("name", ["a\r\nb", "a\nb", "a\0b", f"a{HALF}"], ids=["crlf", "lf", "nul", "half"])
def test_no_name_breaks_a_multipart_head(name: str) -> None:
    """A line break, NUL or half a sign in a field or file name is refused: it would write headers of its own."""
    with pytest.raises(InvalidRequestError, match="field or file name"):
        encode_multipart({name: "x"} if HALF not in name else {}, {name: b"x"})


@pytest.mark.parametrize("sign", ['"', "\\", ";", "%"])
def test_quotes_stay_inside(sign: str) -> None:
    """A quote in a file name does not end it: the head has no parameter that was not meant."""
    content_type, source = encode_multipart({}, {f'a{sign}; filename="evil': b"x"})
    [part] = parse(content_type, data_of(source))
    parameters = dict(part.get_params(header="Content-Disposition") or [])
    assert set(parameters) == {"form-data", "name", "filename"}
    assert parameters["filename"] != "evil"


def test_file_names(tmp_path: Path) -> None:
    """A path gives its last part as file name, a file the last part of its own; bytes are called as their field."""
    path = tmp_path / "report.pdf"
    path.write_bytes(b"data")
    nameless = io.BytesIO(b"data")
    with path.open("rb") as file:
        content_type, source = encode_multipart({}, {"a": path, "b": file, "c": b"data", "d": nameless})
        parts = parse(content_type, data_of(source))
    assert [part.get_filename() for part in parts] == ["report.pdf", "report.pdf", "c", "d"]
    assert {part.get_payload(decode=True) for part in parts} == {b"data"}


def test_a_pipe_in_multipart_is_sent_once() -> None:
    """One part that cannot be opened again makes the whole body unrepeatable, and its length unknown."""
    _, source = encode_multipart({"a": "b"}, {"f": io.BufferedReader(Pipe(b"data")), "g": b"x"})
    assert (source.length, source.repeatable) == (None, False)


BIG = os.urandom(CHUNK_BYTES * 2 + 17)


def from_path(tmp_path: Path) -> Any:
    """Give a path."""
    path = tmp_path / "data.bin"
    path.write_bytes(BIG)
    return path


def from_file(tmp_path: Path) -> Any:
    """Give an open file."""
    return from_path(tmp_path).open("rb")


def from_memory(_: Path) -> Any:
    """Give a file in memory."""
    return io.BytesIO(BIG)


@pytest.mark.parametrize("make", [from_path, from_file, from_memory], ids=lambda make: make.__name__)
def test_a_source_opens_again(make: Callable[[Path], Any], tmp_path: Path) -> None:
    """Every attempt reads the same bytes from the start, in pieces of at most 64 KiB, and knows how many they are."""
    content: BinaryIO | Path = make(tmp_path)
    source = open_content(content)
    assert isinstance(source, Source)
    assert (source.length, source.repeatable) == (len(BIG), True)
    for _ in range(3):
        pieces = list(source.chunks())
        assert b"".join(pieces) == BIG
        assert max(map(len, pieces)) <= CHUNK_BYTES
    if not isinstance(content, Path):
        assert not content.closed  # the caller opened it, the caller closes it
        content.close()


def test_a_file_is_read_from_where_it_stands() -> None:
    """A file whose head was read already is sent from there on, every time."""
    file = io.BytesIO(b"headbody")
    file.seek(4)
    source = open_content(file)
    assert isinstance(source, Source)
    assert source.length == 4
    assert [data_of(source), data_of(source)] == [b"body", b"body"]


def test_a_half_read_source_starts_again() -> None:
    """An attempt that broke off in mid-body leaves nothing behind for the next one."""
    source = open_content(io.BytesIO(BIG))
    assert isinstance(source, Source)
    pieces = source.chunks()
    next(pieces)
    assert data_of(source) == BIG


def test_a_pipe_is_read_once() -> None:
    """What cannot be rewound is sent once, in chunks, and says that it cannot be opened again."""
    source = open_content(Pipe(b"data"))  # type: ignore[arg-type]
    assert isinstance(source, Source)
    assert (source.length, source.repeatable) == (None, False)
    assert data_of(source) == b"data"


@pytest.mark.parametrize("content", [b"x", bytearray(b"x"), memoryview(b"x")], ids=lambda each: type(each).__name__)
def test_bytes(content: Any) -> None:
    """Bytes of every kind are taken as they are, and copied: changing a buffer later changes no request."""
    body = open_content(content)
    if isinstance(content, bytearray):
        content[0] = 0
    assert body == b"x"


@pytest.mark.parametrize(
    "content", ["text", io.StringIO("text"), None, 5, [b"x"], {"a": 1}], ids=lambda each: type(each).__name__
)
def test_what_is_no_content(content: Any) -> None:
    """Text, and a file opened as text, are refused before anything is sent: their bytes would be a guess."""
    with pytest.raises(InvalidRequestError, match="Content is bytes, a path or a binary file"):
        open_content(content)


def test_a_text_file_is_no_content(tmp_path: Path) -> None:
    """The usual slip: open() without "rb"."""
    path = tmp_path / "a.txt"
    path.write_text("text", encoding="utf-8")
    with path.open(encoding="utf-8") as file, pytest.raises(InvalidRequestError, match="binary file"):
        open_content(file)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["missing", ".", "nul\0name"], ids=["missing", "directory", "nul"])
def test_a_path_that_cannot_be_read(name: str, tmp_path: Path) -> None:
    """A path that cannot be opened is an error now, not in mid-send."""
    with pytest.raises(InvalidRequestError, match="cannot be read"):
        open_content(tmp_path / name)
