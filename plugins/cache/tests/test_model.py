"""Random histories of readers, writers, failures and time, held to what a cache may ever answer."""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from nexus_connector import Connector, Response
from nexus_connector.errors import ConnectorError
from nexus_connector.testing import fake

LONG = os.environ.get("NEXUS_LONG") == "1"
TENANTS = st.sampled_from(["a", "b"])
ACCEPTS = st.sampled_from(["en", "de"])
QUERIES = st.sampled_from([1, 2])
STALE = 30.0


class CacheModel(RuleBasedStateMachine):
    """One thing of a vendor with versions, read by two tenants in two languages; every answer says what it is."""

    def __init__(self) -> None:
        super().__init__()
        self.versions: list[float] = [0.0]
        self.wrote: dict[str, int] = {}
        self.fails = False
        self.sends = 0

    @initialize(max_age=st.sampled_from([0, 10, 60]), tagged=st.booleans(), vary=st.booleans())
    def connect(self, max_age: int, tagged: bool, vary: bool) -> None:
        self.max_age, self.tagged, self.vary = max_age, tagged, vary
        config: dict[str, object] = {
            "services": {"crm": {"base_url": "https://crm.example"}},
            "plugins": {"only": ["cache"], "cache": {"enabled": True, "stale_if_error_seconds": STALE}},
        }
        self.connector = Connector.from_config(config)
        self.faking = fake(self.connector)
        self.vendors = self.faking.__enter__()
        self.vendors.answer("", self.answer)
        self.crm = self.connector.service("crm")

    @property
    def now(self) -> float:
        """Virtual seconds."""
        return self.vendors.clock.elapsed_seconds

    def answer(self, request: Any) -> object:
        """The vendor: says version, tenant, language and query of what it answers."""
        self.sends += 1
        if self.fails:
            return 503
        if request.method == "PUT":
            self.versions.append(self.now)
            return 204
        version, language = len(self.versions) - 1, request.headers["Accept"]
        fields = {"Cache-Control": f"max-age={self.max_age}"}
        if self.vary:
            fields["Vary"] = "Accept"
        if self.tagged:
            fields["ETag"] = f'"{version}-{language}"'
            if request.headers.get("If-None-Match") == fields["ETag"]:
                return 304, None, fields
        said = {"version": version, "tenant": request.headers["X-Tenant"], "language": language}
        return 200, {**said, "query": dict(request.query)["q"]}, fields

    @rule(tenant=TENANTS, language=ACCEPTS, query=QUERIES)
    def read(self, tenant: str, language: str, query: int) -> None:
        """Whatever comes is this tenant's, in this language, to this query, and no older than it may be."""
        sends = self.sends
        headers = {"Accept": language, "X-Tenant": tenant}
        try:
            answer: Response = self.crm.get("/x", tenant_id=tenant, headers=headers, query={"q": query})
        except ConnectorError:
            assert self.fails, "a vendor that answers is no error"
            return
        said = answer.json()
        assert (said["tenant"], said["query"]) == (tenant, str(query))
        assert said["language"] == language or not self.vary
        version = said["version"]
        assert version >= self.wrote.get(tenant, 0), "it is older than what this tenant wrote"
        replaced = self.versions[version + 1] if version + 1 < len(self.versions) else self.now
        allowed = self.max_age + (STALE if self.fails and self.sends > sends else 0.0)
        assert self.now - replaced <= allowed, "it was replaced longer ago than the vendor and the options allow"

    @rule(tenant=TENANTS)
    def write(self, tenant: str) -> None:
        """A tenant makes a new version."""
        try:
            self.crm.put("/x", tenant_id=tenant)
        except ConnectorError:
            assert self.fails
        else:
            self.wrote[tenant] = len(self.versions) - 1

    @rule()
    def replace(self) -> None:
        """Somebody else makes a new version."""
        self.versions.append(self.now)

    @rule(seconds=st.sampled_from([0.5, 5.0, 11.0, 29.0, 31.0, 61.0]))
    def wait(self, seconds: float) -> None:
        """Time passes."""
        self.vendors.clock.advance(seconds)

    @rule()
    def turn(self) -> None:
        """The vendor breaks down, or comes back."""
        self.fails = not self.fails

    @invariant()
    def nothing_is_under_way(self) -> None:
        """Between calls nobody waits for anybody."""
        if hasattr(self, "connector"):
            assert not self.connector.runtime.process.locks._locks

    def teardown(self) -> None:
        """Leave nothing open."""
        if hasattr(self, "connector"):
            self.faking.__exit__(None, None, None)
            self.connector.close()


TestCacheModel = CacheModel.TestCase
TestCacheModel.settings = settings(
    max_examples=2_000 if LONG else 100, stateful_step_count=50 if LONG else 40, deadline=None
)


def test_the_model_sees_a_cache_that_serves_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same histories fail if stale answers are used as if they were fresh: the model can fail."""
    monkeypatch.setattr("nexus_connector_cache._stage.usable", lambda *_: True)
    once = settings(
        max_examples=200,
        stateful_step_count=40,
        deadline=None,
        phases=[Phase.generate],
        database=None,
        derandomize=True,
    )
    with pytest.raises(AssertionError, match="longer ago than the vendor"):
        run_state_machine_as_test(CacheModel, settings=once)
