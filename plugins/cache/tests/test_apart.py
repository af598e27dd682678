"""Nobody is answered with what another tenant, account, service or caller got."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from nexus_connector import Connector, hookimpl
from nexus_connector.state import MemoryStore
from nexus_connector.testing.emulator import Answer, Compute, VendorEmulator
from nexus_connector_cache._places import account_of

Opens = Callable[..., Any]

HOUR = {"Cache-Control": "max-age=3600"}


def whose(request: Any) -> object:
    """Answer with everything by which a vendor could know who asks."""
    return 200, dict(request.headers.pairs()), HOUR


def test_tenants_are_apart(world: Opens) -> None:
    """Each tenant, and no tenant, asks for itself and is answered with its own."""
    crm = world()
    count = iter(range(100))
    crm.answer(lambda request: (200, next(count), HOUR))
    tenants = ["a", "b", None, "=a", "a ", "A", "a/b"]
    first = [crm.call(tenant_id=tenant).json() for tenant in tenants]
    assert first == list(range(len(tenants)))
    assert [crm.call(tenant_id=tenant).json() for tenant in tenants] == first
    assert crm.sends == len(tenants)


class FindsNoName:
    """Finds a tenant without a name."""

    @hookimpl
    def resolve_tenant(self, call):
        return "" if call.operation.name == "GET /named" else None


def test_a_tenant_without_a_name_is_not_no_tenant(world: Opens) -> None:
    """A hook may find an empty name: it is a tenant of its own."""
    crm = world(plugins=[FindsNoName()])
    count = iter(range(100))
    crm.answer(lambda request: (200, next(count), HOUR))
    place = {"path_values": {"x": "named"}}
    assert crm.call("/{x}", **place).json() == 0
    assert crm.call("/named").json() == 1


def test_services_are_apart(world: Opens) -> None:
    """The same path of another service is another answer."""
    services = {name: {"base_url": "https://crm.example"} for name in ("crm", "erp")}
    crm = world(services=services)
    crm.answer((200, 1, HOUR))
    crm.call(service="crm")
    crm.call(service="erp")
    assert crm.sends == 2


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer abcdefgh"},
        {"X-Api-Key": "k"},
        {"Cookie": "session=1"},
        {"Proxy-Authorization": "Basic eDp5"},
        {"X-User-Email": "ann@example.com"},
    ],
    ids=str,
)
def test_a_caller_that_proves_who_it_is_is_never_answered_from_here(world: Opens, headers: dict[str, str]) -> None:
    """Credentials or a person in the call's own header fields: nothing is kept of it, and nothing kept is given."""
    crm = world()
    crm.answer(whose)
    crm.call(headers=headers)
    crm.call(headers=headers)
    assert crm.sends == 2
    assert crm.call().json() == {}
    crm.call(headers=headers)
    assert crm.sends == 4


def test_header_fields_of_the_caller_select_the_answer(world: Opens) -> None:
    """A vendor that tells accounts apart by a field of its own does not always say so in Vary."""
    crm = world()
    crm.answer(whose)
    for account in ("1", "2", "1"):
        assert crm.call(headers={"X-Account": account}).json() == {"X-Account": account}
    assert crm.call().json() == {}
    assert crm.sends == 3


def test_header_fields_that_follow_a_call_about_select_nothing(world: Opens) -> None:
    """Ids of traces differ with each call: they would keep every answer for nobody."""
    crm = world()
    crm.answer((200, 1, HOUR))
    for number in range(3):
        crm.call(headers={"traceparent": f"00-{number:032}-{number:016}-01", "X-Request-Id": str(number)})
    assert crm.sends == 1


def test_header_fields_of_the_service_do_not_keep_calls_out(world: Opens) -> None:
    """What every request carries, a secret too, belongs to the account; one that a call changes does not."""
    crm = world(service={"headers": {"X-Api-Key": "of-the-service", "X-Plan": "gold"}})
    crm.answer((200, 1, {**HOUR, "Vary": "X-Api-Key, X-Plan"}))
    crm.call()
    assert crm.call().attempts == 0
    crm.call(headers={"X-Plan": "silver"})
    crm.call(headers={"X-Api-Key": "of-the-caller"})
    assert crm.sends == 3


class Server(MemoryStore):
    """Outlives the connectors that use it."""

    def close(self) -> None:
        """Keep everything."""


class SharesStore:
    """Opens one memory store for several connectors, as a shared server would be."""

    def __init__(self, clock: Callable[[], float] = lambda: 0.0) -> None:
        self.kept = Server(clock)

    @hookimpl
    def store(self, url):
        return self.kept


def connect(url: str, shared: SharesStore, **service: Any) -> Connector:
    """A connector of another process, as it were."""
    config = {
        "stores": {"shared": "shared://here"},
        "services": {"crm": {"base_url": url, **service}},
        "plugins": {"only": ["cache"], "cache": {"enabled": True}},
    }
    return Connector.from_config(config, plugins=[shared])


@pytest.fixture
def accounts() -> list[dict[str, Any]]:
    """Configurations of one service that belong to different accounts."""
    secret = "NEXUS_TEST_TOKEN"
    return [
        {},
        {"credentials": {"token": {"env": f"{secret}_A"}}},
        {"credentials": {"token": {"env": f"{secret}_B"}}},
        {"credentials": {"key": {"env": f"{secret}_A"}, "query": "key"}},
        {"credentials": {"key": {"env": f"{secret}_B"}, "query": "key"}},
        {"credentials": {"username": "a", "password": {"env": f"{secret}_A"}}},
        {"credentials": {"username": "b", "password": {"env": f"{secret}_A"}}},
        {"headers": {"X-Account": "1"}},
        {"headers": {"X-Account": "2"}},
    ]


def test_accounts_on_one_store_are_apart(accounts: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes with other credentials, header fields or base URLs share a store and never an answer."""
    for name in "AB":
        monkeypatch.setenv(f"NEXUS_TEST_TOKEN_{name}", f"token-of-{name}")
    shared = SharesStore()
    with VendorEmulator() as vendor:
        vendor.on("*", Compute(lambda arrival: Answer(json=arrival.number, headers=HOUR)))
        urls = [(vendor.url, account) for account in accounts]
        urls.append((f"{vendor.url}/sandbox", {}))
        first: list[int] = []
        for url, account in urls:
            with connect(url, shared, **account) as connector:
                first.append(connector.service("crm").get("/x").json())
        again: list[int] = []
        for url, account in urls:
            with connect(url, shared, **account) as connector:
                again.append(connector.service("crm").get("/x").json())
    assert first == list(range(1, len(urls) + 1))
    assert again == first


def test_no_secret_stands_in_a_key(accounts: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither credentials nor the path and query, and the hash of an account is a slow one."""
    for name in "AB":
        monkeypatch.setenv(f"NEXUS_TEST_TOKEN_{name}", f"token-of-{name}")
    shared = SharesStore()
    with VendorEmulator() as vendor:
        vendor.on("*", Answer(json=1, headers=HOUR))
        with connect(vendor.url, shared, **accounts[1]) as connector:
            connector.service("crm").get("/people/ann", query={"q": "ann"}, tenant_id="acme")
            account = account_of(connector.runtime.target("crm"))
    keys = [*shared.kept._values, *shared.kept._states]
    assert sorted(key[:4] for key in keys) == [("crm", "cache", "=acme", "answers"), ("crm", "cache", "=acme", "path")]
    text = repr(keys)
    assert "token-of" not in text
    assert "ann" not in text
    assert account not in text
    assert len(account) == 64
