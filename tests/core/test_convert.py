"""Conversion of answers: strictly, so that nothing is guessed, and with the place of what does not fit."""

from __future__ import annotations

import dataclasses
import enum
import json
import pickle
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, NamedTuple, Optional, TypedDict, TypeVar, Union
from uuid import UUID

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus_connector import CallInfo, Headers, Outcome, Response
from nexus_connector.errors import OutcomeUnknownError, ResponseFormatError

T = TypeVar("T")


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1


class Status(enum.StrEnum):
    PAID = "paid"


class Kind(str, enum.Enum):  # noqa: UP042  # the old form is the case
    NEW = "new"


class OrderId(str):
    """A kind of text of its own."""

    __slots__ = ()


@attrs.frozen
class Item:
    price: Decimal
    color: Color = Color.RED


@attrs.frozen
class Cart:
    items: list[Item]
    owner: str | None = None


@dataclasses.dataclass(frozen=True)
class Order:
    id: UUID
    at: datetime
    lines: Mapping[str, Item]


@attrs.frozen
class Paged(Generic[T]):
    data: list[T]


class Point(NamedTuple):
    x: int
    y: str = ""


class Noted(TypedDict, total=False):
    note: str


class Row(Noted):
    id: int


CALL = CallInfo(id="01J", service="erp", operation="GET /carts/{id}", tenant_id="acme", attempts=2)


def answer(body: str | bytes) -> Response:
    """Return a 200 with this body."""
    return Response(
        status=200,
        headers=Headers({"Content-Type": "application/json"}),
        body=body.encode() if isinstance(body, str) else body,
        call=CALL,
    )


def into(body: str | bytes, kind: Any) -> Any:
    """Convert a body."""
    return answer(body).into(kind)


UNIQUE = "12345678-1234-5678-1234-567812345678"

FITS: list[tuple[Any, str, Any]] = [
    (str, '"a"', "a"),
    (str, '""', ""),
    (int, "7", 7),
    (float, "1.5", 1.5),
    (float, "1", 1.0),
    (bool, "true", True),
    (Decimal, "1.10", Decimal("1.10")),
    (Decimal, '"1.10"', Decimal("1.10")),
    (Decimal, "0.1000000000000000000000001", Decimal("0.1000000000000000000000001")),
    (Decimal, "7", Decimal(7)),
    (UUID, f'"{UNIQUE}"', UUID(UNIQUE)),
    (datetime, '"2026-01-02T03:04:05Z"', datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
    (date, '"2026-01-02"', date(2026, 1, 2)),
    (Path, '"/a"', Path("/a")),
    (Color, '"blue"', Color.BLUE),
    (Level, "1", Level.LOW),
    (Status, '"paid"', Status.PAID),
    (Kind, '"new"', Kind.NEW),
    (Status | None, '"paid"', Status.PAID),
    (list[Status], '["paid"]', [Status.PAID]),
    (dict[Status, Level], '{"paid": 1}', {Status.PAID: Level.LOW}),
    (OrderId, '"o_1"', OrderId("o_1")),
    (Literal["a", 1] | None, '"a"', "a"),
    (Literal["a", 1] | None, "null", None),
    (str | None, "null", None),
    (str | None, '"a"', "a"),
    (Optional[Decimal], "1.5", Decimal("1.5")),  # noqa: UP045  # the old form is the case
    (float | None, "1", 1.0),
    (int | float, "1", 1),
    (int | float, "1.5", 1.5),
    (Union[float, str], "1.5", 1.5),  # noqa: UP007  # the old form is the case
    (float | str, "2", 2.0),
    (int | str | None, "null", None),
    (bool | str, "true", True),
    (Annotated[int, "unit"], "1", 1),
    (list[int], "[1, 2]", [1, 2]),
    (list, '[1, "a", 1.5]', [1, "a", 1.5]),
    (Sequence[int], "[1]", [1]),
    (tuple[int, ...], "[1, 2]", (1, 2)),
    (tuple[int, str], '[1, "a"]', (1, "a")),
    (set[str], '["a", "a"]', {"a"}),
    (frozenset[int], "[1]", frozenset({1})),
    (AbstractSet[int], "[1]", frozenset({1})),
    (dict[str, int], '{"a": 1}', {"a": 1}),
    (Mapping[str, float], '{"a": 1}', {"a": 1.0}),
    (dict, '{"a": 1.5}', {"a": 1.5}),
    (dict[date, int], '{"2026-01-02": 1}', {date(2026, 1, 2): 1}),
    (Any, '{"a": [1.5, null]}', {"a": [1.5, None]}),
    (object, "1.5", 1.5),
    (Cart, '{"items": [{"price": 1.10, "color": "blue"}], "more": 1}', Cart([Item(Decimal("1.10"), Color.BLUE)])),
    (
        Order,
        f'{{"id": "{UNIQUE}", "at": "2026-01-02T03:04:05+00:00", "lines": {{"a": {{"price": "2"}}}}}}',
        Order(UUID(UNIQUE), datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), {"a": Item(Decimal(2))}),
    ),
    (Paged[Item], '{"data": [{"price": 1}]}', Paged([Item(Decimal(1))])),
    (list[Cart], '[{"items": []}]', [Cart([])]),
    (Point, '[1, "a"]', Point(1, "a")),
    (list[Point], '[[1, "a"]]', [Point(1, "a")]),
    (Row, '{"id": 1}', {"id": 1}),
    (list[Row], '[{"id": 1, "note": "x"}]', [{"id": 1, "note": "x"}]),
]


@pytest.mark.parametrize(("kind", "body", "value"), FITS, ids=lambda each: str(each)[:40])
def test_what_fits(kind: Any, body: str, value: Any) -> None:
    """Classes of attrs and dataclasses, containers, unions and plain kinds are built, with exactly these types."""
    found = into(body, kind)
    assert found == value
    assert type(found) is type(value)


DOES_NOT_FIT: list[tuple[Any, str, str]] = [
    (str, "null", "expected text, got null"),
    (str, "1", "expected text, got a number"),
    (str, "true", "expected text, got a boolean"),
    (str, '["a"]', "expected text, got a list"),
    (int, '"1"', "expected a whole number, got text"),
    (int, "1.0", "expected a whole number, got a number"),
    (int, "true", "expected a whole number, got a boolean"),
    (int, "null", "got null"),
    (float, '"1.5"', "expected a finite number, got text"),
    (float, "false", "expected a finite number, got a boolean"),
    (float, "NaN", "expected a finite number"),
    (float, "1e999", "expected a finite number"),
    (bool, "1", "expected true or false, got a number"),
    (bool, '"true"', "expected true or false, got text"),
    (Decimal, '"abc"', "expected a decimal number, got text"),
    (Decimal, '"NaN"', "expected a decimal number"),
    (Decimal, "Infinity", "expected a decimal number"),
    (Decimal, "true", "expected a decimal number, got a boolean"),
    (Decimal, "null", "expected a decimal number, got null"),
    (UUID, '"x"', "expected a UUID, got text of another form"),
    (datetime, "1700000000", "expected a time"),
    (datetime, '"yesterday"', "expected a time"),
    (date, '"2026-13-01"', "expected a date"),
    (bytes, '"a"', "JSON holds no bytes"),
    (Color, '"green"', "expected one of 'red', 'blue'"),
    (Level, "true", "expected one of 1"),
    (Level, "2", "expected one of 1"),
    (Status, '"void"', "expected one of 'paid'"),
    (Kind, '"old"', "expected one of 'new'"),
    (Status | None, '"void"', "expected one of 'paid'"),
    (OrderId, "1", "expected text, got a number"),
    (Literal["a"], '"b"', "expected one of 'a'"),
    (Literal[1], "true", "expected one of 1"),
    (Literal["a"], '["a"]', "expected one of 'a'"),
    (str | None, "1", "expected text, got a number"),
    (int | str, "1.5", "expected a whole number or text, got a number"),
    (int | str, "true", "got a boolean"),
    (int | str, "null", "got null"),
    (int | str | None, "[]", "got a list"),
    (list[str], '"abc"', "expected a list, got text"),
    (list[str], '{"a": 1}', "expected a list, got an object"),
    (tuple[int, str], "[1]", "expected a list of 2, got 1"),
    (tuple[int, ...], "null", "expected a list, got null"),
    (dict[str, int], "[]", "expected an object, got a list"),
    (Cart, "null", "expected an object, got null"),
    (Cart, "[]", "expected an object, got a list"),
    (Point, "[1]", "expected a list of 2, got 1"),
    (Point, '"ab"', "expected a list, got text"),
    (Row, "[]", "expected an object, got a list"),
]


@pytest.mark.parametrize(("kind", "body", "problem"), DOES_NOT_FIT, ids=lambda each: str(each)[:40])
def test_what_does_not_fit(kind: Any, body: str, problem: str) -> None:
    """Nothing is guessed: null is no text, text no number, 1.0 no int, true no 1, text no list of its letters."""
    with pytest.raises(ResponseFormatError, match=problem):
        into(body, kind)


PATHS: list[tuple[Any, str, str, str]] = [
    (Cart, '{"items": [{"price": 1}, {"price": null}]}', "items[1].price", "got null"),
    (Cart, '{"items": [{"color": "red"}]}', "items[0].price", "is missing"),
    (Cart, "{}", "items", "is missing"),
    (Cart, '{"items": {}}', "items", "expected a list"),
    (
        Order,
        f'{{"id": "{UNIQUE}", "at": "2026-01-02", "lines": {{"a": {{"price": []}}}}}}',
        "lines.a.price",
        "got a list",
    ),
    (list[Cart], '[{"items": []}, {"items": [1]}]', "[1].items[0]", "expected an object"),
    (dict[str, list[int]], '{"a": [1, "x"]}', "a[1]", "got text"),
    (Paged[Item], '{"data": [{"price": 1, "color": "green"}]}', "data[0].color", "expected one of"),
    (tuple[int, str], "[1, 2]", "[1]", "expected text"),
    (list[Point], '[[1, "a"], [1, 2]]', "[1][1]", "expected text"),
    (Row, '{"id": "x"}', "id", "got text"),
    (Row, '{"note": "x"}', "id", "is missing"),
    (dict[date, int], '{"soon": 1}', "soon", "expected a date"),
    (dict[str, int | str], '{"a": null}', "a", "got null"),
]


@pytest.mark.parametrize(("kind", "body", "path", "problem"), PATHS, ids=[path for _, _, path, _ in PATHS])
def test_the_place_is_named(kind: Any, body: str, path: str, problem: str) -> None:
    """The error says where in the answer and what was expected; the call itself was done."""
    with pytest.raises(ResponseFormatError, match=problem) as caught:
        into(body, kind)
    error = caught.value
    assert error.path == path
    assert f"at {path} " in str(error)
    assert (error.outcome, error.retry_safe) == (Outcome.DONE, False)
    assert not isinstance(error, OutcomeUnknownError)
    assert (error.service, error.operation, error.call_id, error.tenant_id, error.attempts) == (
        "erp",
        "GET /carts/{id}",
        "01J",
        "acme",
        2,
    )
    assert error.response == answer(body)
    assert type(pickle.loads(pickle.dumps(error))) is ResponseFormatError


@pytest.mark.parametrize(
    "kind", [int, Decimal, Color, UUID, datetime, list[int], Cart, Literal["a"], int | bool], ids=str
)
def test_no_value_is_repeated(kind: Any) -> None:
    """What stood there may be personal or secret: the text of the error says its kind, never itself."""
    for body in ('"canary-51H8"', '{"items": "canary-51H8", "canary-51H8": "canary-51H8"}'):
        with pytest.raises(ResponseFormatError) as caught:
            into(body, kind)
        assert "canary" not in str(caught.value)


@given(
    st.text(st.characters(exclude_categories=["Cs"]))
    | st.integers()
    | st.none()
    | st.booleans()
    | st.lists(st.integers())
)
def test_text_is_text(value: Any) -> None:
    """Into str goes text and nothing else: never a str() of something."""
    if isinstance(value, str):
        assert into(json.dumps(value), str) == value
    else:
        with pytest.raises(ResponseFormatError):
            into(json.dumps(value), str)


@given(st.decimals(allow_nan=False, allow_infinity=False, places=12))
def test_decimals_keep_their_digits(value: Decimal) -> None:
    """A JSON number becomes a Decimal digit by digit, not by way of a float."""
    cart = into(f'{{"items": [{{"price": {value:f}}}]}}', Cart)
    assert cart.items[0].price.as_tuple() == value.as_tuple()


def test_nothing_of_ours_leaves() -> None:
    """Where no kind is named, numbers are Python's own: they pickle, and other JSON libraries know them."""
    for kind in (Any, object, dict, list[Any], dict[str, Any], Mapping[str, object]):
        body = "[1.5]" if kind == list[Any] else '{"a": 1.5, "b": [2.5, {"c": 3.5}]}'
        found = into(body, kind)
        numbers = [found[0]] if isinstance(found, list) else [found["a"], found["b"][0], found["b"][1]["c"]]
        assert {type(number) for number in numbers} == {float}
    assert type(into("1.5", int | float)) is float


CALLABLES: list[tuple[Callable[[Any], Any], Any]] = [
    (lambda parsed: parsed["a"], 1.5),
    (lambda parsed: type(parsed["a"]), float),
    (len, 1),
    (json.dumps, '{"a": 1.5}'),
    (lambda parsed: None, None),
]


@pytest.mark.parametrize(("function", "value"), CALLABLES, ids=["item", "type", "builtin", "function", "none"])
def test_any_callable_gets_the_json(function: Callable[[Any], Any], value: Any) -> None:
    """A function, a method or a validator of another library is given plain JSON and decides alone."""
    assert into('{"a": 1.5}', function) == value


def test_another_librarys_class_method() -> None:
    """A bound class method is a callable too, and gets the JSON itself."""

    class Model:
        def __init__(self, value: Any) -> None:
            self.value = value

        @classmethod
        def validate(cls, parsed: Any) -> Model:
            return cls(parsed)

    assert into("[1]", Model.validate).value == [1]


def test_a_class_nobody_described() -> None:
    """A class that is neither attrs nor a dataclass is not built by guessing its arguments."""

    class Opaque:
        def __init__(self, **fields: Any) -> None:
            self.fields = fields

    with pytest.raises(ResponseFormatError):
        into('{"a": 1}', Opaque)
