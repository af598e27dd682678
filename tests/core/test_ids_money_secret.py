"""Small values of the core: ids that sort, amounts that are exact, secrets that show nothing."""

from __future__ import annotations

import copy
import json
import logging
import pickle
from decimal import Decimal
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus_connector import Connector, Money, Secret
from nexus_connector.errors import ConnectorError, InvalidRequestError
from nexus_connector.ids import ulid
from nexus_connector.testing import fake

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
milliseconds = st.integers(0, 2**48 - 1)
entropies = st.integers(0, 2**80 - 1)


def decoded(text: str) -> int:
    """Read Crockford's base 32, written apart from the code."""
    value = 0
    for sign in text:
        value = value * 32 + ALPHABET.index(sign)
    return value


@pytest.mark.parametrize(
    ("wall_ms", "entropy", "expected"),
    [
        (0, 0, "0" * 26),
        (1469918176385, 0, "01ARYZ6S41" + "0" * 16),  # the time part of the specification's example
        (1469922850259, 0, "01ARZ3NDEK" + "0" * 16),  # the time part of its sample 01ARZ3NDEKTSV4RRFFQ69G5FAV
        (2**48 - 1, 2**80 - 1, "7" + "Z" * 25),  # its largest valid ULID
        (0, 1, "0" * 25 + "1"),
        (1, 0, "0" * 9 + "1" + "0" * 16),
    ],
    ids=["zero", "seed_time", "sample", "largest", "least_entropy", "least_time"],
)
def test_published_values(wall_ms: int, entropy: int, expected: str) -> None:
    """Ids are ULIDs as https://github.com/ulid/spec writes them: 48 bits of time, 80 of chance, Crockford's base 32."""
    assert ulid(wall_ms, entropy) == expected


@given(milliseconds, entropies)
def test_both_parts_can_be_read_again(wall_ms: int, entropy: int) -> None:
    """26 signs of the alphabet, the first at most 7; the first ten are the time, the rest the chance."""
    text = ulid(wall_ms, entropy)
    assert len(text) == 26
    assert set(text) <= set(ALPHABET)
    assert text[0] <= "7"
    assert (decoded(text[:10]), decoded(text[10:])) == (wall_ms, entropy)


@given(st.tuples(milliseconds, entropies), st.tuples(milliseconds, entropies))
def test_text_order_is_time_order(one: tuple[int, int], other: tuple[int, int]) -> None:
    """Sorting ids as text sorts them by time, and different parts give different ids."""
    assert (ulid(*one) < ulid(*other)) is (one < other)
    assert (ulid(*one) == ulid(*other)) is (one == other)


@given(st.integers(-(2**60), 2**60), st.integers(-(2**100), 2**100))
def test_out_of_range_is_still_an_id(wall_ms: int, entropy: int) -> None:
    """A clock before 1970 or after 10889 still gives an id of the right form: a wrong clock stops no call."""
    text = ulid(wall_ms, entropy)
    assert (len(text), text[0] <= "7") == (26, True)


def test_calls_have_ids_of_their_own() -> None:
    """Five hundred calls of one millisecond of virtual time have five hundred ids, all of that time."""
    config = {"services": {"erp": {"base_url": "https://erp.example"}}}
    with Connector.from_config(config) as connector, fake(connector) as vendors:
        vendors.answer("", 200)
        ids = [connector.service("erp").get("/x").call.id for _ in range(500)]
    assert len(set(ids)) == 500
    assert len({text[:10] for text in ids}) == 1


@pytest.mark.parametrize(
    "amount", [12.5, 0.1, True, None, b"1", "12,50", "", "abc", "NaN", "Infinity", "1e99999999999999999999"]
)
def test_an_amount_is_exact(amount: Any) -> None:
    """A float, and what is no finite number, is refused: an amount that was rounded once cannot be mended."""
    with pytest.raises(InvalidRequestError, match=r"amount|Amount"):
        Money(amount, "EUR")


@pytest.mark.parametrize(
    ("amount", "text"), [("12.50", "12.50"), (12, "12"), (Decimal("0.001"), "0.001"), ("-5", "-5")]
)
def test_amounts(amount: Any, text: str) -> None:
    """Text, int and Decimal are kept digit by digit, trailing zeros too."""
    assert str(Money(amount, "EUR").amount) == text


@given(st.decimals(allow_nan=False, allow_infinity=False))
def test_any_finite_decimal_is_kept(amount: Decimal) -> None:
    """No amount is changed on its way in, whether it comes as Decimal or as text."""
    assert Money(amount, "EUR").amount == amount == Money(f"{amount:f}", "EUR").amount


@pytest.mark.parametrize("currency", ["eur", "EU", "EURO", "", "E R", "EUR\n", "€", "ＥＵＲ", None, 978])  # noqa: RUF001  # full-width letters are the case
def test_a_currency_is_an_iso_code(currency: Any) -> None:
    """Three capital ASCII letters; nothing is guessed from lower case or a sign."""
    with pytest.raises(InvalidRequestError, match="currency"):
        Money("1", currency)


def test_money_is_a_value() -> None:
    """Equal by value whatever the zeros, hashable, frozen, and it survives a pickle."""
    money = Money("12.50", "EUR")
    assert money == Money("12.5", "EUR") != Money("12.5", "USD")
    assert len({money, Money("12.5", "EUR")}) == 1
    assert pickle.loads(pickle.dumps(money)) == money
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        money.amount = Decimal(1)  # type: ignore[misc]


TEXT = "sk-canary-51H8xLKJ"
SECRET = Secret(TEXT)


@attrs.frozen
class Holder:
    """Something of the application that has a secret in it."""

    token: Secret = SECRET


@pytest.mark.parametrize(
    "show",
    [
        repr,
        str,
        ascii,
        "{}".format,
        "{!r:>40}".format,
        "{:>40}".format,
        lambda secret: f"{secret} {secret!r} {secret:s}",
        lambda secret: "%s %r" % (secret, secret),  # noqa: UP031  # the old form is the case
        lambda secret: repr([secret, {"token": secret}, (secret,), Holder(secret)]),
        lambda secret: repr(attrs.asdict(Holder(secret))),
        lambda secret: repr(getattr(secret, "__dict__", {})),
        lambda secret: str(dir(secret)),
    ],
    ids=lambda show: getattr(show, "__name__", "?"),
)
def test_no_text_shows_a_secret(show: Any) -> None:
    """However a secret is written, its value is not in the text; only `reveal` gives it out."""
    assert TEXT not in show(SECRET)
    assert SECRET.reveal() == TEXT


def test_no_log_shows_a_secret(caplog: pytest.LogCaptureFixture) -> None:
    """Nor does a log record that holds it as argument."""
    logging.getLogger("test").warning("token %s, %r, %s", SECRET, SECRET, [SECRET])
    assert TEXT not in caplog.text


@pytest.mark.parametrize("leave", [pickle.dumps, copy.deepcopy, json.dumps], ids=lambda leave: leave.__name__)
@pytest.mark.parametrize("thing", [SECRET, [SECRET], {"token": SECRET}], ids=lambda thing: type(thing).__name__)
def test_a_secret_does_not_leave_by_copying(leave: Any, thing: object) -> None:
    """Pickle, deepcopy and JSON refuse a secret, also deep inside something else, and their error does not show it."""
    with pytest.raises(TypeError) as caught:
        leave(thing)
    assert TEXT not in str(caught.value)


def test_a_traceback_shows_no_secret() -> None:
    """An error made of a secret shows its mask."""
    error = ConnectorError(f"rejected {SECRET}", hint=f"{SECRET!r}")
    assert TEXT not in f"{error} {error!r}"


@pytest.mark.parametrize("value", [b"bytes", None, 5, Secret("x")], ids=["bytes", "none", "int", "secret"])
def test_a_secret_holds_text(value: Any) -> None:
    """Anything but text is refused, and not shown."""
    with pytest.raises(TypeError, match="holds text"):
        Secret(value)


def test_secrets_compare_by_value() -> None:
    """Two secrets of one value are equal and hash alike; a text is never equal to a secret."""
    assert Secret("ä") == Secret("ä") != Secret("b")
    assert len({Secret("a"), Secret("a")}) == 1
    assert Secret("a") != "a"
    assert (bool(Secret("a")), bool(Secret(""))) == (True, False)
    assert hash(Secret("a")) != hash("a")


@pytest.mark.parametrize("amount", ["1_000", " 1", "1 ", "\uff11", "1e3", "+1", ".5", "1.", "0x1", ""])
def test_money_reads_digits_and_a_point_only(amount: str) -> None:
    """What Decimal reads out of kindness, an amount does not."""
    with pytest.raises(InvalidRequestError):
        Money(amount, "EUR")
