"""The designed order of things, held for a connector with everything that is installed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from nexus_connector import (
    Call,
    ChainEntry,
    Connector,
    Credentials,
    Gate,
    Request,
    Response,
    Secret,
    ServiceSetup,
    Verdict,
    hookimpl,
)
from nexus_connector.testing import fake

CHAIN = """
  50 core  tenant
  50 hook  Application.resolve_tenant
 100 core  record
 150 core  deliver
 150 hook  Application.transform_response
 250 core  before_request
 250 hook  Application.before_request
 500 core  region
 550 core  reauthenticate
 600 core  gates.check
 700 core  credentials
 700 hook  Application.resolve_credentials
 700 hook  nexus_connector.credentials.resolve_credentials
 800 core  gates.ask
 800 gate  mine
 850 core  before_attempt
 850 hook  Application.before_attempt
 960 core  attempt_record
1000 core  send
1000 hook  Application.classify
""".strip("\n").splitlines()
"""The core and an application that takes part everywhere."""
STAGES = {"idempotency": 200, "cache": 300, "retry": 400, "region": 500, "intent": 750, "moves": 900}
"""Where the design puts the stages of plugins, those that do not exist yet included."""


class Application:
    """Takes part wherever an application can, and writes down when."""

    def __init__(self) -> None:
        self.journal: list[str] = []

    @hookimpl
    def resolve_tenant(self, call: Call) -> str:
        self.journal.append("resolve_tenant")
        return "acme"

    @hookimpl
    def before_request(self, call: Call, request: Request) -> None:
        self.journal.append("before_request")

    @hookimpl
    def before_attempt(self, call: Call, request: Request) -> None:
        self.journal.append("before_attempt")

    @hookimpl
    def classify(self, call: Call, verdict: Verdict, response: Response | None) -> None:
        self.journal.append("classify")

    @hookimpl
    def transform_response(self, call: Call, response: Response) -> None:
        self.journal.append("transform_response")

    @hookimpl
    def resolve_credentials(self, call: Call, rejected: Credentials | None) -> None:
        self.journal.append("resolve_credentials")

    @hookimpl
    def gates(self, config: ServiceSetup) -> Sequence[Gate]:
        gate = Gate()
        gate.name = "mine"
        return [gate]


def build(application: Application) -> Connector:
    """A connector with every installed plugin."""
    credentials = {"token": Secret("token-of-a-test")}
    regions = ["https://eu.erp.example", "https://us.erp.example"]
    services = {
        "crm": {"base_url": "https://crm.example", "credentials": credentials},
        "erp": {"base_url": regions, "credentials": credentials},
    }
    return Connector.from_config({"services": services}, plugins=[application])


def is_brought(entry: ChainEntry) -> bool:
    """Whether an installed plugin brought it."""
    return entry.distribution not in {"nexus-connector", "application"}


def test_the_chain_is_as_designed() -> None:
    """Slots, names and kinds of the core's parts and an application's, outermost first; the table of the design."""
    with build(Application()) as connector:
        entries = [entry for entry in connector.explain("crm") if not is_brought(entry)]
        assert [f"{entry.slot:4} {entry.kind:5} {entry.name}" for entry in entries] == CHAIN
        assert connector.as_async().explain("crm") == connector.explain("crm")


def test_installed_stages_stand_where_the_design_puts_them() -> None:
    """Each is called as its plugin, stands in its plugin's slot, and explain says which distribution brought it."""
    with build(Application()) as connector:
        stages = [entry for entry in connector.explain("erp") if is_brought(entry) and entry.kind == "stage"]
        assert {"retry", "region"} <= {stage.name for stage in stages}
        for stage in stages:
            assert stage.slot == STAGES[stage.name]
            assert stage.distribution in {each.distribution for each in connector.runtime.installed}
            assert stage.version


def test_hooks_run_in_the_order_that_explain_shows() -> None:
    """A call passes them as listed; what stands beside the send or the way out comes after it."""
    application = Application()
    with build(application) as connector, fake(connector) as vendors:
        vendors.answer("crm", 200)
        connector.service("crm").get("/x")
        asyncio.run(connector.as_async().service("crm").get("/x"))
    once = [
        "resolve_tenant",
        "before_request",
        "resolve_credentials",
        "before_attempt",
        "classify",
        "transform_response",
    ]
    assert application.journal == once * 2
