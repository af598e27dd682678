"""Redirects: off unless the service asks for them, and no credential crosses an origin."""

from __future__ import annotations

import pytest

from nexus_connector import Connector, Outcome, Secret
from nexus_connector.errors import ConnectorError, OutcomeUnknownError, TransportError
from nexus_connector.testing.emulator import Answer, VendorEmulator

STATUSES = [301, 302, 303, 307, 308]


def connect(vendor: VendorEmulator, **options: object) -> Connector:
    """Build a connector of one service with a credential, a header of its own, and retries."""
    service = {
        "base_url": f"{vendor.url}/api",
        "credentials": {"token": Secret("canary-51H8")},
        "headers": {"X-Account": "acme"},
        "retry": {"max_retries": 3, "base_delay_seconds": 0.001},
        **options,
    }
    return Connector.from_config({"services": {"vendor": service}, "plugins": {"only": ["retry"]}})


@pytest.mark.parametrize("status", STATUSES)
def test_off(status: int) -> None:
    """By default the redirect itself is the answer, and nothing else is asked."""
    with VendorEmulator() as vendor, connect(vendor) as connector:
        vendor.on("/api/a", Answer(status, headers={"Location": "/api/b"}))
        for send in (connector.service("vendor").get, connector.service("vendor").post):
            response = send("/a")
            assert (response.status, response.headers["location"], response.attempts) == (status, "/api/b", 1)
        assert [arrival.path for arrival in vendor.arrivals] == ["/api/a"] * 2


@pytest.mark.parametrize("status", STATUSES)
def test_on(status: int) -> None:
    """Where it is on, a GET follows to the same origin with its headers; it is one attempt."""
    with VendorEmulator() as vendor, connect(vendor, follow_redirects=True) as connector:
        vendor.on("/api/a", Answer(status, headers={"Location": "/other/b?c=%2F"}))
        vendor.on("/other/b", Answer(json={"ok": True}))
        response = connector.service("vendor").get("/a")
        assert (response.status, response.attempts) == (200, 1)
        first, second = vendor.arrivals
        assert second.target == "/other/b?c=%2F"
        assert second.headers["Authorization"] == first.headers["Authorization"] == "Bearer canary-51H8"


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_only_reads_follow(method: str) -> None:
    """What changes something is not sent to another place than the caller named."""
    with VendorEmulator() as vendor, connect(vendor, follow_redirects=True) as connector:
        vendor.on("/api/a", Answer(307, headers={"Location": "/api/b"}))
        assert getattr(connector.service("vendor"), method)("/a").status == 307
        assert len(vendor.arrivals) == 1


def test_no_credential_crosses_an_origin() -> None:
    """To another allowed origin go only headers known to be harmless: no token, no header of the service."""
    with (
        VendorEmulator() as vendor,
        VendorEmulator() as other,
        connect(vendor, follow_redirects=True, allowed_hosts=["127.0.0.1"]) as connector,
    ):
        vendor.on("/api/a", Answer(302, headers={"Location": f"{other.url}/b"}))
        other.on("/b", Answer(json={}))
        connector.service("vendor").get("/a", headers={"Accept": "application/json", "X-Session": "canary"})
        [arrival] = other.arrivals
        sent = {name.lower() for name in arrival.headers}
        assert sent <= {"host", "accept", "accept-encoding", "user-agent", "connection"}
        assert "canary" not in str(arrival.raw_headers)


@pytest.mark.parametrize(
    "location",
    [
        "https://evil.example/b",
        "//evil.example/b",
        "http://evil.example/",
        "ftp://127.0.0.1/",
        "file:///etc/passwd",
        "http://[::1",
    ],
)
def test_it_leads_nowhere_else(location: str) -> None:
    """A redirect to a host that is not allowed, or to no web address, is an error, not tried again."""
    with VendorEmulator() as vendor, connect(vendor, follow_redirects=True) as connector:
        vendor.on("/api/a", Answer(302, headers={"Location": location}))
        with pytest.raises(TransportError) as caught:
            connector.service("vendor").get("/a")
        assert len(vendor.arrivals) == 1
    assert (caught.value.attempts, caught.value.outcome) == (1, Outcome.UNKNOWN)
    assert not isinstance(caught.value, OutcomeUnknownError)  # a GET does nothing
    assert "canary" not in str(caught.value)


def test_a_circle_ends() -> None:
    """A redirect to itself is followed five times, then it is an error."""
    with VendorEmulator() as vendor, connect(vendor, follow_redirects=True) as connector:
        vendor.on("/api/a", Answer(302, headers={"Location": "/api/a"}))
        with pytest.raises(ConnectorError, match="redirects more than 5 times"):
            connector.service("vendor").get("/a")
        assert len(vendor.arrivals) == 6
