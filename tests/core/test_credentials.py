"""Credentials: how they are put on a request, and that nothing of them is shown."""

from __future__ import annotations

import pickle
from base64 import b64decode
from collections.abc import Mapping
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus_connector import AuthMethod, Connector, Credentials, Request, Secret
from nexus_connector.errors import ConfigurationError, InvalidRequestError
from nexus_connector.testing import fake

TEXT = "canary-51H8xLKJ"
SECRET = Secret(TEXT)


def test_bearer() -> None:
    """A token goes into the Authorization header (RFC 6750 section 2.1)."""
    at = datetime(2026, 1, 1, tzinfo=UTC)
    credentials = Credentials.bearer(SECRET, method=AuthMethod.OAUTH2, expires_at=at)
    assert credentials.apply(Request()).headers["Authorization"] == f"Bearer {TEXT}"
    assert (credentials.method, credentials.expires_at) == (AuthMethod.OAUTH2, at)


def test_api_key() -> None:
    """A key goes into X-Api-Key, another header, or a query parameter, and nowhere else."""
    for credentials, headers, query in (
        (Credentials.api_key(SECRET), {"X-Api-Key": TEXT}, ()),
        (Credentials.api_key(SECRET, header="X-Token"), {"X-Token": TEXT}, ()),
        (Credentials.api_key(SECRET, query="key"), {}, (("key", TEXT),)),
    ):
        request = credentials.apply(Request())
        assert (dict(request.headers), request.query) == (headers, query)


@given(
    st.text(st.characters(exclude_characters=":", exclude_categories=["Cs"])),
    st.text(st.characters(exclude_categories=["Cs"])),
)
def test_basic(username: str, password: str) -> None:
    """User name and password come back out of the header as they were, whatever signs they hold (RFC 7617, UTF-8)."""
    header = Credentials.basic(username, Secret(password)).apply(Request()).headers["Authorization"]
    scheme, _, pair = header.partition(" ")
    assert (scheme, b64decode(pair).decode()) == ("Basic", f"{username}:{password}")


def test_they_replace() -> None:
    """Credentials of a second attempt take the place of the first ones, and leave everything else."""
    old, new = Credentials.api_key(Secret("old"), query="key"), Credentials.api_key(Secret("new"), query="key")
    request = Request(query=(("page", "2"),))
    assert new.apply(old.apply(request)).query == (("page", "2"), ("key", "new"))
    again = Credentials.bearer(Secret("new")).apply(Credentials.bearer(Secret("old")).apply(request))
    assert dict(again.headers) == {"Authorization": "Bearer new"}
    assert dict(request.headers) == {}


def test_nothing_is_shown() -> None:
    """Repr and text show no value, a pickle is refused, and every value in clear is known to the redactor."""
    everything = (
        Credentials.bearer(SECRET),
        Credentials.api_key(SECRET),
        Credentials.api_key(SECRET, query="key"),
        Credentials.basic("user", SECRET),
    )
    for credentials in everything:
        assert TEXT not in f"{credentials!r} {credentials}"
        assert TEXT in credentials.revealed()
        with pytest.raises(TypeError):
            pickle.dumps(credentials)
    pair = Credentials.basic("user", SECRET).headers["Authorization"].reveal().removeprefix("Basic ")
    assert pair in Credentials.basic("user", SECRET).revealed()
    assert Credentials(method=AuthMethod.API_KEY, secrets=(Secret(""),)).revealed() == ()


def connect(credentials: Mapping[str, object]) -> Connector:
    """Build a connector of one service with these credentials."""
    service = {"base_url": "https://erp.example", "credentials": credentials}
    return Connector.from_config({"services": {"erp": service}, "plugins": {"only": []}})


@pytest.mark.parametrize(
    ("table", "header"),
    [
        ({"token": SECRET}, ("Authorization", f"Bearer {TEXT}")),
        ({"method": "bearer", "token": SECRET}, ("Authorization", f"Bearer {TEXT}")),
        ({"key": SECRET}, ("X-Api-Key", TEXT)),
        ({"method": "api_key", "key": SECRET, "header": "X-Token"}, ("X-Token", TEXT)),
        ({"username": "u", "password": SECRET}, ("Authorization", "Basic dTpjYW5hcnktNTFIOHhMS0o=")),
    ],
    ids=["bearer_guessed", "bearer", "key_guessed", "key", "basic_guessed"],
)
def test_configured_credentials_are_sent(table: Mapping[str, object], header: tuple[str, str]) -> None:
    """What ``[services.NAME.credentials]`` says is on every request."""
    with connect(table) as connector, fake(connector) as vendors:
        seen: list[Request] = []
        vendors.answer("", lambda request: seen.append(request) or 200)  # type: ignore[func-returns-value]
        connector.service("erp").get("/x")
        assert seen[0].headers[header[0]] == header[1]


@pytest.mark.parametrize(
    "table",
    [
        {"method": "bearer"},
        {"method": "bearer", "token": TEXT},
        {"method": "baerer", "token": SECRET},
        {"token": SECRET, "colour": "red"},
        {"key": SECRET, "header": "X", "query": "x"},
        {"username": "u"},
        {"token": {"env": "NEXUS_TEST_NO_SUCH_VARIABLE"}},
    ],
    ids=["missing", "literal", "misspelt", "unknown", "two_places", "half", "unset"],
)
def test_wrong_tables(table: Mapping[str, object]) -> None:
    """A table that cannot be used is refused at the start, by its path, and no secret is shown."""
    with pytest.raises(ConfigurationError, match=r"services\.erp\.credentials") as caught:
        connect(table)
    assert TEXT not in str(caught.value)


@pytest.mark.parametrize("value", ["line\r\nX-Evil: 1", "nul\0", "€uro"])
def test_a_secret_that_no_header_can_hold(value: str) -> None:
    """A secret read with a stray line break is refused before the wire, and not shown."""
    with connect({"token": Secret(f"{TEXT}{value}")}) as connector, fake(connector) as vendors:
        vendors.answer("", 200)
        with pytest.raises(InvalidRequestError, match="Authorization") as caught:
            connector.service("erp").get("/x")
        assert vendors.sent() == []
    assert TEXT not in str(caught.value)


def test_a_user_name_holds_no_colon() -> None:
    """RFC 7617: a colon in the user name would begin the password."""
    with pytest.raises(ConfigurationError, match="colon"):
        Credentials.basic("a:b", Secret("secret"))
