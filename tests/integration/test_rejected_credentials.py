"""A 401 is answered once with other credentials, if anybody has some; without newer ones it stands."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable
from typing import Any

import pytest

from nexus_connector import AuthMethod, Call, Connector, Credentials, Outcome, Response, Secret, hookimpl
from nexus_connector.errors import (
    AuthenticationError,
    ConnectorError,
    CredentialRefreshError,
    NotSentError,
    PluginError,
)
from nexus_connector.testing.emulator import Answer, Arrival, Compute, VendorEmulator

OLD, NEW = Credentials.bearer(Secret("old-canary-51H8")), Credentials.bearer(Secret("new-canary-51H8"))


class Tokens:
    """Somebody who knows credentials; keeps what was asked."""

    def __init__(self, *answers: Credentials | Exception | None) -> None:
        self.answers = list(answers)
        self.rejected: list[Credentials | None] = []

    @hookimpl
    def resolve_credentials(self, call: Call, rejected: Credentials | None) -> Credentials | None:
        self.rejected.append(rejected)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def only_new(arrival: Arrival) -> Answer:
    """Let the new token in."""
    return Answer(200, json={}) if arrival.headers.get("Authorization") == "Bearer new-canary-51H8" else Answer(401)


def connect(vendor: VendorEmulator, *hooks: object, retries: int = 0, **options: object) -> Connector:
    """Build a connector with these hooks."""
    service = {"base_url": vendor.url, "retry": {"max_retries": retries, "base_delay_seconds": 0.001}, **options}
    return Connector.from_config({"services": {"vendor": service}, "plugins": {"only": ["retry"]}}, plugins=hooks)


def sync_post(connector: Connector, **options: Any) -> Response:
    """Post on the blocking face."""
    response: Response = connector.service("vendor").post("/thing", **options)
    return response


def async_post(connector: Connector, **options: Any) -> Response:
    """Post on the awaited face."""

    async def post() -> Response:
        return await connector.as_async().service("vendor").post("/thing", **options)

    return asyncio.run(post())


@pytest.fixture(params=[sync_post, async_post], ids=["sync", "async"])
def post(request: pytest.FixtureRequest) -> Callable[..., Response]:
    """Each face in turn."""
    chosen: Callable[..., Response] = request.param
    return chosen


def test_once_more_with_newer_ones(post: Callable[..., Response]) -> None:
    """An unkeyed POST that met a 401 is sent again with newer credentials: it was refused, and this is no retry."""
    tokens = Tokens(OLD, NEW)
    with VendorEmulator() as vendor, connect(vendor, tokens, retries=0) as connector:
        vendor.on("/thing", Compute(only_new))
        assert post(connector, json={"n": 1}).attempts == 2
        assert [arrival.headers["Authorization"] for arrival in vendor.arrivals] == [
            "Bearer old-canary-51H8",
            "Bearer new-canary-51H8",
        ]
        assert [arrival.json() for arrival in vendor.arrivals] == [{"n": 1}] * 2
    assert tokens.rejected == [None, OLD]


def test_not_more_than_once(post: Callable[..., Response]) -> None:
    """If the newer ones are not accepted either, the second 401 stands, however many retries are allowed."""
    with VendorEmulator() as vendor, connect(vendor, Tokens(OLD, NEW, OLD, NEW), retries=5) as connector:
        vendor.on("/thing", Answer(401))
        with pytest.raises(AuthenticationError) as caught:
            post(connector)
        assert len(vendor.arrivals) == 2
    error = caught.value
    assert (error.status, error.attempts, error.outcome, error.retry_safe) == (401, 2, Outcome.REFUSED, True)
    assert not isinstance(error, NotSentError)
    assert "canary" not in f"{error} {error!r}"


@pytest.mark.parametrize("second", [None, OLD], ids=["none", "the_same"])
def test_without_newer_ones_it_stands(post: Callable[..., Response], second: Credentials | None) -> None:
    """Nobody knows others, or somebody answers with the rejected ones again: nothing is sent twice for that."""
    with VendorEmulator() as vendor, connect(vendor, Tokens(OLD, second), retries=5) as connector:
        vendor.on("/thing", Answer(401))
        with pytest.raises(AuthenticationError) as caught:
            post(connector)
        assert len(vendor.arrivals) == 1
    assert caught.value.attempts == 1


def test_static_credentials_have_nothing_newer() -> None:
    """What the configuration says is rejected once."""
    with VendorEmulator() as vendor, connect(vendor, credentials={"token": Secret("old-canary-51H8")}) as connector:
        vendor.on("/thing", Answer(401))
        with pytest.raises(AuthenticationError):
            sync_post(connector)
        assert len(vendor.arrivals) == 1


def test_the_next_one_is_asked() -> None:
    """A hook that only has the rejected ones does not stand in the way of one that has others."""
    with VendorEmulator() as vendor, connect(vendor, Tokens(OLD), Tokens(NEW)) as connector:
        vendor.on("/thing", Compute(only_new))
        assert sync_post(connector).attempts == 2


def test_without_credentials_a_401_stands() -> None:
    """A service without credentials asks nobody for others."""
    with VendorEmulator() as vendor, connect(vendor) as connector:
        vendor.on("/thing", Answer(401))
        with pytest.raises(AuthenticationError):
            sync_post(connector)
        assert len(vendor.arrivals) == 1


def test_a_403_is_not_about_who() -> None:
    """403 says that the credentials were understood: others are not tried."""
    tokens = Tokens(OLD, NEW)
    with VendorEmulator() as vendor, connect(vendor, tokens) as connector:
        vendor.on("/thing", Answer(403))
        with pytest.raises(AuthenticationError):
            sync_post(connector)
        assert len(vendor.arrivals) == 1
    assert tokens.rejected == [None]


def test_it_does_not_use_up_retries() -> None:
    """A 401 amid failures costs no retry: one of them is left for the 503 that follows it."""
    with VendorEmulator() as vendor, connect(vendor, Tokens(OLD, NEW, NEW), retries=1) as connector:
        vendor.on("/thing", Answer(401), Answer(503, headers={"Retry-After": "0"}), Answer(200, json={}))
        assert sync_post(connector).attempts == 3


def test_a_body_that_cannot_be_opened_again() -> None:
    """What was read from a pipe is gone: the 401 stands."""

    class Pipe(io.RawIOBase):
        left = b"data"

        def readable(self) -> bool:
            return True

        def read(self, size: int = -1, /) -> bytes:
            piece, self.left = self.left, b""
            return piece

    with VendorEmulator() as vendor, connect(vendor, Tokens(OLD, NEW)) as connector:
        vendor.on("/thing", Answer(401))
        with pytest.raises(AuthenticationError):
            sync_post(connector, content=Pipe())
        assert [arrival.body for arrival in vendor.arrivals] == [b"data"]


def test_a_failed_refresh_is_the_error() -> None:
    """Somebody who tried to get newer ones and could not says so: that is what is to be mended."""
    broken = CredentialRefreshError("The token endpoint is down.", hint="Try again later.")
    with VendorEmulator() as vendor, connect(vendor, Tokens(OLD, broken)) as connector:
        vendor.on("/thing", Answer(401))
        with pytest.raises(CredentialRefreshError) as caught:
            sync_post(connector)
        assert len(vendor.arrivals) == 1
    assert (caught.value.service, caught.value.attempts, caught.value.retry_safe) == ("vendor", 1, True)


@pytest.mark.parametrize("answer", [RuntimeError("boom"), "token"], ids=["raises", "no_credentials"])
def test_a_hook_that_breaks_its_contract(answer: Any) -> None:
    """A foreign exception, or something that is no credentials, is the plugin's error, and nothing is sent."""
    with VendorEmulator() as vendor, connect(vendor, Tokens(answer)) as connector:
        vendor.on("/thing", Answer(200))
        with pytest.raises(PluginError) as caught:
            sync_post(connector)
        assert vendor.arrivals == []
    assert caught.value.outcome is Outcome.NOT_SENT


def test_resolved_secrets_are_redacted() -> None:
    """What a hook resolved in this call is known to its redactor: a vendor that echoes it tells nobody."""
    opaque = Credentials(method=AuthMethod.API_KEY, headers={"X-Odd": Secret("no-known-form-canary")})
    with VendorEmulator() as vendor, connect(vendor, Tokens(opaque)) as connector:
        vendor.on("/thing", Compute(lambda arrival: Answer(400, json={"echo": arrival.headers["X-Odd"]})))
        with pytest.raises(ConnectorError) as caught:
            sync_post(connector)
        response = caught.value.response
    assert response is not None
    assert response.json() == {"echo": "no-known-form-canary"}  # the caller's own answer is whole
    assert "canary" not in f"{caught.value} {caught.value!r} {response!r}"
