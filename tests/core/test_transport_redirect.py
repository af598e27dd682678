"""Redirects: where they lead, what they may carry, and that they are off."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from nexus_connector.body import Source
from nexus_connector.headers import Headers
from nexus_connector.message import Request
from nexus_connector.testing.emulator import Answer, DripBody, VendorEmulator
from nexus_connector.transport import Received, SendError, TransportOptions
from nexus_connector.transport.pool import PoolTransport
from nexus_connector.transport.redirect import next_request

ON = TransportOptions(follow_redirects=True, allowed_hosts=("files.example", "127.0.0.1"))
CREDENTIALS = (
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
HARMLESS = {
    "Accept": "text/plain",
    "Accept-Language": "de",
    "User-Agent": "mine/1",
    "Range": "bytes=0-9",
    "If-None-Match": '"1"',
    "If-Modified-Since": "Mon, 01 Jan 2024 00:00:00 GMT",
}
REQUEST = Request(
    path="/a/b",
    query=(("token", "secret"),),
    base_url="https://api.example/v1",
    headers=Headers({**dict.fromkeys(CREDENTIALS, "secret"), **HARMLESS, "X-Unknown": "secret"}),
)


@pytest.mark.parametrize(
    ("location", "url"),
    [
        ("/c?d=e", "https://api.example/c?d=e"),
        ("c", "https://api.example/v1/a/c"),
        ("../c", "https://api.example/v1/c"),
        ("?d=e", "https://api.example/v1/a/b?d=e"),
        ("https://api.example:443/c#part", "https://api.example/c"),
        ("//api.example/c", "https://api.example/c"),
        ("https://API.EXAMPLE./c", "https://api.example/c"),
        ("https://files.example", "https://files.example/"),
        ("https://files.example:8443/c?x=%2B+%20&y", "https://files.example:8443/c?x=%2B+%20&y"),
        ("https://FILES.example/c d/\xc3\xa9", "https://files.example/c%20d/%C3%A9"),
        ("http://127.0.0.1:80/c", "http://127.0.0.1/c"),
    ],
)
def test_the_location_alone_says_where(location: str, url: str) -> None:
    """A Location is resolved against the request; nothing of the request's own query is carried over."""
    following = next_request(REQUEST, 302, location, ON)
    assert following is not None
    assert following.url == url
    assert "secret" not in following.url


@pytest.mark.parametrize(
    "location",
    [
        "https://evil.example/",
        "//evil.example/",
        "https://api.example.evil.example/",
        "https://sub.files.example/",
        "https://api.example:8443/",
        "http://api.example/",
        "http://files.example/",
        "https://files.example@evil.example/",
        "https://user:pass@files.example/",
        "https://evil.example\\@files.example/",
        "https://files.example\t.evil.example/",
        "ftp://files.example/",
        "javascript:alert(1)",
        "https://[::1/",
        "https://files.example:port/",
    ],
)
def test_a_location_that_leads_astray_fails(location: str) -> None:
    """A host that is not allowed, a step down to plain HTTP, anything that is no https URL: no answer, and for good."""
    with pytest.raises(SendError) as caught:
        next_request(REQUEST, 302, location, ON)
    assert (caught.value.phase, caught.value.wrote, caught.value.transient) == ("read", True, False)


def test_a_refusal_names_the_host_and_the_remedy() -> None:
    """The failure says which host it was, and where it would have to be allowed."""
    with pytest.raises(SendError, match=r"evil\.example.*allowed_hosts"):
        next_request(REQUEST, 302, "https://evil.example/", ON)


def test_no_credential_crosses_an_origin() -> None:
    """Only headers known to be harmless go to another origin; on the own origin all stay."""
    crossing = next_request(REQUEST, 302, "https://files.example/c", ON)
    staying = next_request(REQUEST, 302, "/c", ON)
    assert crossing is not None
    assert staying is not None
    assert dict(crossing.headers) == HARMLESS
    assert staying.headers == REQUEST.headers
    back = next_request(
        crossing, 302, "https://api.example/c", TransportOptions(follow_redirects=True, allowed_hosts=("api.example",))
    )
    assert back is not None
    assert dict(back.headers) == HARMLESS


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    "request_",
    [
        Request(method="POST", base_url="https://api.example"),
        Request(method="PUT", base_url="https://api.example", body=b"x"),
        Request(method="DELETE", base_url="https://api.example"),
        Request(method="GET", base_url="https://api.example", body=b"x"),
        Request(method="GET", base_url="https://api.example", source=Source(parts=())),
    ],
)
def test_only_reads_are_followed(status: int, request_: Request) -> None:
    """The answer to anything but a GET or HEAD without a body stands, whatever its status asks for."""
    assert next_request(request_, status, "/c", ON) is None


@pytest.mark.parametrize(
    ("status", "location"), [(200, "/c"), (201, "/c"), (300, "/c"), (304, "/c"), (302, None), (302, "")]
)
def test_only_redirects_are_followed(status: int, location: str | None) -> None:
    """A status that is no redirect, or one that leads nowhere, stands."""
    assert next_request(REQUEST, status, location, ON) is None


# On the wire


@pytest.fixture
def vendor() -> Iterator[VendorEmulator]:
    with VendorEmulator() as vendor:
        yield vendor


@pytest.fixture
def other() -> Iterator[VendorEmulator]:
    with VendorEmulator(name="other") as other:
        other.on("*", Answer(body=b"there"))
        yield other


def send(options: TransportOptions, request: Request, *, seconds: float = 10.0, stream: bool = False) -> Received:
    transport = PoolTransport(options)
    try:
        received = transport.send(request, deadline=time.monotonic() + seconds, stream=stream)
        if received.stream is not None:
            received.stream.close()
        return received
    finally:
        transport.close()


def test_redirects_are_off(vendor: VendorEmulator) -> None:
    """Unless the service says otherwise, a redirect is the answer."""
    vendor.on("*", Answer(302, headers={"Location": "/there"}))
    assert send(TransportOptions(), Request(base_url=vendor.url)).status == 302
    assert len(vendor.arrivals) == 1


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_redirects_are_followed_on_one_connection(vendor: VendorEmulator, method: str) -> None:
    """On the own origin headers stay, the method stays, and the connection is shared."""
    vendor.on(
        "*", *(Answer(status, headers={"Location": f"/{status}"}) for status in (301, 302, 303, 307, 308)), Answer()
    )
    headers = Headers({"Authorization": "secret"})
    assert send(ON, Request(method=method, path="/0", base_url=vendor.url, headers=headers)).status == 200
    arrivals = vendor.arrivals
    assert [arrival.target for arrival in arrivals] == ["/0", "/301", "/302", "/303", "/307", "/308"]
    assert {arrival.headers["Authorization"] for arrival in arrivals} == {"secret"}
    assert {arrival.method for arrival in arrivals} == {method}
    assert vendor.connections == 1


@pytest.mark.parametrize("stream", [False, True])
def test_a_sixth_redirect_fails(vendor: VendorEmulator, stream: bool) -> None:
    """Five redirects are followed, a loop ends, and the connections come back."""
    vendor.on("*", Answer(302, headers={"Location": "/again"}))
    with pytest.raises(SendError) as caught:
        send(ON, Request(base_url=vendor.url), stream=stream)
    assert (caught.value.phase, caught.value.wrote, caught.value.transient) == ("read", True, False)
    assert len(vendor.arrivals) == 6


@pytest.mark.parametrize("stream", [False, True])
def test_no_credential_arrives_at_another_origin(vendor: VendorEmulator, other: VendorEmulator, stream: bool) -> None:
    """Of twelve ways to carry a credential, and the query, none arrives; another port is another origin."""
    vendor.on("*", Answer(302, headers={"Location": f"{other.url}/there"}))
    request = Request(base_url=vendor.url, path="/", query=REQUEST.query, headers=REQUEST.headers)
    assert send(ON, request, stream=stream).status == 200
    arrival = other.arrivals[0]
    assert arrival.target == "/there"
    assert "secret" not in str(arrival.raw_headers)
    assert not {name.lower() for name in CREDENTIALS} & {name.lower() for name, _ in arrival.raw_headers}


@pytest.mark.parametrize("stream", [False, True])
def test_a_redirect_astray_arrives_nowhere(vendor: VendorEmulator, other: VendorEmulator, stream: bool) -> None:
    """A host that is not allowed is not asked."""
    vendor.on("*", Answer(302, headers={"Location": f"{other.url}/there"}))
    with pytest.raises(SendError, match="allowed_hosts"):
        send(TransportOptions(follow_redirects=True), Request(base_url=vendor.url), stream=stream)
    assert not other.connections


def test_one_deadline_holds_for_all_hops(vendor: VendorEmulator) -> None:
    """Each redirect uses up the same time: it gives no new one."""
    vendor.on("*", *[Answer(302, headers={"Location": "/again"}, delay_seconds=0.1)] * 3, DripBody())
    begun = time.monotonic()
    with pytest.raises(SendError) as caught:
        send(ON, Request(base_url=vendor.url), seconds=0.5)
    assert caught.value.timed_out
    assert time.monotonic() - begun < 2
