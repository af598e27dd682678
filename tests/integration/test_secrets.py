"""Secrets: none leaves through an exception, repr, pickle, log, record or event, whatever shape it had on the way."""

from __future__ import annotations

import base64
import logging
import pickle
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import quote, quote_plus

import attrs
import pytest

from nexus_connector import (
    Call,
    Connector,
    Credentials,
    Event,
    IntegrationLog,
    Request,
    Response,
    Secret,
    Service,
    hookimpl,
)
from nexus_connector.errors import ConnectorError, InvalidRequestError
from nexus_connector.testing import fake
from nexus_connector.testing.emulator import Answer, VendorEmulator

CANARY = "c4nary/S3cret+value&42"
QUOTED = quote(CANARY, safe="")
BASE64 = base64.b64encode(CANARY.encode()).decode()


@attrs.frozen
class Payload:
    note: str


def echo(text: str, content_type: str = "text/plain") -> Answer:
    return Answer(400, body=text.encode(), headers={"Content-Type": content_type})


def post(**options: Any) -> Callable[[Service], object]:
    return lambda service: service.post("/x", **options)


# 36 shapes in which a secret may travel: what the caller does, and what the vendor answers.
SHAPES: dict[str, tuple[Callable[[Service], object], Answer]] = {
    "credentials header": (lambda s: s.get("/x"), Answer(400)),
    "caller's header": (lambda s: s.get("/x", headers={"X-Auth-Token": CANARY}), Answer(400)),
    "caller's odd header": (lambda s: s.get("/x", headers={"X-Thing": CANARY}), Answer(400)),
    "query by sensitive name": (lambda s: s.get("/x", query={"api_key": CANARY}), Answer(400)),
    "query by odd name": (lambda s: s.get("/x", query={"q": CANARY}), Answer(400)),
    "path value": (lambda s: s.get("/x/{id}", path_values={"id": CANARY}), Answer(400)),
    "JSON by sensitive key": (post(json={"password": CANARY}), Answer(400)),
    "JSON by odd key": (post(json={"note": CANARY}), Answer(400)),
    "JSON nested": (post(json={"a": [{"b": {"client_secret": CANARY}}]}), Answer(400)),
    "JSON as a key": (post(json={CANARY: 1}), Answer(400)),
    "JSON in text": (post(json={"raw": f'{{"token": "{CANARY}"}}'}), Answer(400)),
    "JSON list": (post(json=[CANARY]), Answer(400)),
    "JSON inside text": (post(json={"note": f"it is {CANARY}."}), Answer(400)),
    "attrs payload": (post(json=Payload(CANARY)), Answer(400)),
    "form by sensitive name": (post(form={"access_token": CANARY}), Answer(400)),
    "form by odd name": (post(form={"note": CANARY}), Answer(400)),
    "multipart": (post(form={"note": CANARY}, files={"f": CANARY.encode()}), Answer(400)),
    "raw content": (post(content=CANARY.encode()), Answer(400)),
    "non-UTF-8 content": (post(content=b"\xff\xfe" + CANARY.encode()), Answer(400)),
    "idempotency key": (lambda s: s.get("/x", headers={"X-Key": f"k-{CANARY}"}), Answer(400)),
    "echoed as text": (lambda s: s.get("/x"), echo(f"bad token {CANARY}")),
    "echoed as JSON": (lambda s: s.get("/x"), Answer(400, json={"error": {"token": CANARY}})),
    "echoed as JSON text": (lambda s: s.get("/x"), Answer(400, json={"message": f"bad token {CANARY}"})),
    "echoed quoted": (lambda s: s.get("/x"), echo(f"https://x.example/?t={QUOTED}")),
    "echoed quoted with plus": (
        lambda s: s.get("/x"),
        echo(f"t={quote_plus(CANARY)}", "application/x-www-form-urlencoded"),
    ),
    "echoed as base64": (lambda s: s.get("/x"), echo(f"Basic {BASE64}")),
    "echoed as HTML": (lambda s: s.get("/x"), echo(f"<p>{CANARY}</p>", "text/html")),
    "echoed as a repr": (lambda s: s.get("/x"), echo(repr({"Authorization": f"Bearer {CANARY}"}))),
    "echoed with escapes": (lambda s: s.get("/x"), echo(f'{{\\"token\\": \\"{CANARY}\\"}}')),
    "echoed in a header": (lambda s: s.get("/x"), Answer(400, headers={"X-Echo": CANARY})),
    "set as a cookie": (lambda s: s.get("/x"), Answer(400, headers={"Set-Cookie": f"session={CANARY}"})),
    "echoed as a list": (lambda s: s.get("/x"), Answer(400, json=[[CANARY]])),
    "cut off JSON": (lambda s: s.get("/x"), echo('{"token": "' + CANARY, "application/json")),
    "server error page": (lambda s: s.get("/x"), Answer(500, body=f"Traceback: {CANARY}".encode())),
    "wrong JSON form": (lambda s: s.get("/x", into=list[int]), Answer(200, json={"token": CANARY})),
    "not JSON at all": (lambda s: s.get("/x", into=dict[str, int]), Answer(200, body=CANARY.encode())),
}


def spellings(secret: str) -> set[str]:
    return {secret, quote(secret, safe=""), quote_plus(secret), base64.b64encode(secret.encode()).decode()}


class Everything:
    """Keeps all that leaves the connector."""

    def __init__(self) -> None:
        self.records: list[IntegrationLog] = []
        self.events: list[Event] = []

    @hookimpl
    def store_log(self, records: Sequence[IntegrationLog]) -> None:
        self.records.extend(records)


def chain_of(error: BaseException | None) -> list[str]:
    texts: list[str] = []
    while error is not None:
        texts += [str(error), repr(error), repr(error.args)]
        error = error.__cause__ or error.__context__
    return texts


def test_there_are_36_shapes() -> None:
    """The list of shapes is whole."""
    assert len(SHAPES) == 36


@pytest.mark.parametrize("shape", SHAPES)
def test_no_secret_leaves_in_any_shape(shape: str, caplog: pytest.LogCaptureFixture) -> None:
    """The canary is in no exception, repr, pickle, log, record or event."""
    act, answer = SHAPES[shape]
    kept = Everything()
    with VendorEmulator() as vendor, caplog.at_level(logging.DEBUG):
        vendor.on("/*", answer)
        config = {
            "services": {"crm": {"base_url": vendor.url, "credentials": {"token": Secret(CANARY)}}},
            "plugins": {"only": ["retry"]},
        }
        with Connector.from_config(config, plugins=[kept]) as connector:
            connector.on(Event)(kept.events.append)
            with pytest.raises(ConnectorError) as caught:
                act(connector.service("crm"))
            connector.flush()
    error = caught.value
    left = [
        *chain_of(error),
        repr(error.response),
        repr([record.as_dict() for record in kept.records]),
        repr(kept.records),
        repr(kept.events),
        caplog.text,
    ]
    assert kept.records
    assert kept.events
    for text in left:
        for spelling in spellings(CANARY):
            assert spelling not in text
    pickled = pickle.dumps(error)
    for spelling in spellings(CANARY):
        assert spelling.encode() not in pickled
    assert str(pickle.loads(pickled)) == str(error)


def test_credentials_of_a_hook_are_hidden_too() -> None:
    """Secrets that a hook resolves for one call are masked in its records and errors."""
    kept = Everything()

    class Vault:
        @hookimpl
        def resolve_credentials(self, call: Call, rejected: Credentials | None) -> Credentials | None:
            return Credentials.bearer(Secret(CANARY))

    config = {"services": {"crm": {"base_url": "https://crm.example"}}, "plugins": {"only": []}}
    with Connector.from_config(config, plugins=[kept, Vault()]) as connector, fake(connector) as vendors:
        vendors.answer("crm", (403, {"why": f"{CANARY} is not allowed"}))
        with pytest.raises(ConnectorError) as caught:
            connector.service("crm").get("/x")
    assert CANARY not in repr(kept.records)
    assert CANARY.encode() not in pickle.dumps(caught.value)


def test_secret_headers_of_the_configuration_are_hidden() -> None:
    """A header of the configuration may be a secret; its value is masked wherever it turns up."""
    kept = Everything()
    service = {"base_url": "https://crm.example", "headers": {"X-Partner": Secret(CANARY), "X-Plain": "plain"}}
    config = {"services": {"crm": service}, "plugins": {"only": []}}
    with Connector.from_config(config, plugins=[kept]) as connector, fake(connector) as vendors:
        vendors.answer("crm", {"echo": CANARY})
        connector.service("crm").get("/x")
        [sent] = vendors.sent()
    assert (sent.request.headers["X-Partner"], sent.request.headers["X-Plain"]) == (CANARY, "plain")
    assert CANARY not in repr(kept.records)
    assert CANARY not in repr(connector.runtime.config)


BREAK = "a\r\nX-Evil: 1"


class Injecting:
    @hookimpl
    def before_attempt(self, call: Call, request: Request) -> Request:
        return request.with_headers({"X-Hook": BREAK}) if call.operation.name == "GET /hook" else request


TEN_PLACES: dict[str, Callable[[Service], object]] = {
    "header value": lambda s: s.get("/x", headers={"X-A": BREAK}),
    "header name": lambda s: s.get("/x", headers={BREAK: "1"}),
    "path": lambda s: s.get(f"/x{BREAK}"),
    "path value": lambda s: s.get("/x/{id}", path_values={"id": BREAK}),
    "query name": lambda s: s.get("/x", query={BREAK: "1"}),
    "query value": lambda s: s.get("/x", query={"q": BREAK}),
    "idempotency key": lambda s: s.post("/x", idempotency_key=BREAK),
    "file name": lambda s: s.post("/x", files={BREAK: b"1"}),
    "form field": lambda s: s.post("/x", form={BREAK: BREAK}, files={"f": b"1"}),
    "a hook's header": lambda s: s.get("/hook"),
}


@pytest.mark.parametrize("place", TEN_PLACES)
def test_line_breaks_never_reach_the_wire(place: str) -> None:
    """CR and LF in any of ten places are refused before the wire, or quoted; no header is ever split."""
    with VendorEmulator() as vendor:
        vendor.on("/*", Answer(200))
        config = {
            "services": {"crm": {"base_url": vendor.url, "idempotency_header": "Idempotency-Key"}},
            "plugins": {"only": []},
        }
        with Connector.from_config(config, plugins=[Injecting()]) as connector:
            try:
                TEN_PLACES[place](connector.service("crm"))
            except InvalidRequestError as error:
                assert "Nothing was sent" in str(error) or "nothing was sent" in str(error)  # noqa: PT017
        for arrival in vendor.arrivals:
            assert "x-evil" not in arrival.headers
            assert "\r" not in arrival.target


@pytest.mark.parametrize(
    "path",
    [
        "//evil.example/",
        "/../x",
        "/a/../../x",
        "https://evil.example/",
        "/a/%2e%2e/x",
        "\\\\evil",
        "x",
        "",
        "/a?b=1",
        "/a#b",
        "/\\evil.example",
    ],
)
def test_hostile_paths_stay_on_the_services_host(path: str) -> None:
    """A path that names another host or climbs out of its place is refused before anything is sent."""
    with VendorEmulator() as vendor:
        vendor.on("/*", Answer(200))
        config = {"services": {"crm": {"base_url": f"{vendor.url}/api"}}, "plugins": {"only": []}}
        with Connector.from_config(config) as connector, pytest.raises(InvalidRequestError):
            connector.service("crm").get(path)
        assert vendor.arrivals == []


@pytest.mark.parametrize("value", ["a/b", "a?b=c", "a#b", "%2e%2e", "a b", "ü", "a\\b", "a;b", "a:b@c", "a&b=c+d"])
def test_hostile_path_values_stay_in_their_segment(value: str) -> None:
    """A path value is quoted whole: it fills one segment, whatever it holds."""
    with VendorEmulator() as vendor:
        vendor.on("/*", Answer(200))
        config = {"services": {"crm": {"base_url": f"{vendor.url}/api"}}, "plugins": {"only": []}}
        with Connector.from_config(config) as connector:
            connector.service("crm").get("/x/{id}/y", path_values={"id": value})
        [arrival] = vendor.arrivals
    assert arrival.target == f"/api/x/{quote(value, safe='')}/y"


CREDENTIAL_HEADERS = (
    "Authorization",
    "Proxy-Authorization",
    "Cookie",
    "X-Api-Key",
    "X-Auth-Token",
    "X-Postmark-Server-Token",
    "X-Amz-Security-Token",
    "Api-Key",
    "X-Goog-Api-Key",
    "X-Shopify-Access-Token",
    "Ocp-Apim-Subscription-Key",
    "Private-Token",
)


def test_redirects_carry_no_credentials_to_another_origin() -> None:
    """Where redirects are followed, 0 of 12 credential headers cross an origin."""
    with VendorEmulator() as other, VendorEmulator() as vendor:
        other.on("/*", Answer(200, json={"there": True}))
        vendor.on("/*", Answer(302, headers={"Location": f"{other.url}/landed"}))
        service = {
            "base_url": vendor.url,
            "follow_redirects": True,
            "allowed_hosts": ["127.0.0.1"],
            "credentials": {"token": Secret(CANARY)},
            "headers": dict.fromkeys(CREDENTIAL_HEADERS[1:], CANARY),
        }
        with Connector.from_config({"services": {"crm": service}, "plugins": {"only": []}}) as connector:
            assert connector.service("crm").get("/x", query={"api_key": CANARY}).json() == {"there": True}
        [first], [landed] = vendor.arrivals, other.arrivals
    assert all(name in first.headers for name in CREDENTIAL_HEADERS)
    assert [name for name in CREDENTIAL_HEADERS if name in landed.headers] == []
    assert CANARY not in landed.target


def test_a_response_of_an_error_is_the_real_one_here_and_redacted_in_a_pickle() -> None:
    """In this process error.response is what the vendor sent; what leaves in a pickle is redacted."""
    config = {"services": {"crm": {"base_url": "https://crm.example"}}, "plugins": {"only": []}}
    with Connector.from_config(config) as connector, fake(connector) as vendors:
        vendors.answer("crm", (400, {"password": "hunter2-and-more", "code": "E1"}))
        with pytest.raises(ConnectorError) as caught:
            connector.service("crm").get("/x")
    response = caught.value.response
    assert isinstance(response, Response)
    assert response.json()["password"] == "hunter2-and-more"
    copy: ConnectorError = pickle.loads(pickle.dumps(caught.value))
    assert copy.response is not None
    assert copy.response.json()["code"] == "E1"
    assert "hunter2" not in str(copy.response.json())
