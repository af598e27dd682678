from __future__ import annotations

import re

import pytest

APP = """
from nexus_connector import Connector, hookimpl
from nexus_connector.testing import fake

class Memory:
    def __init__(self): self.records = []
    @hookimpl
    def store_log(self, records): self.records += [record.as_dict() for record in records]
    @hookimpl
    def read_log(self, call_id): return [each for each in self.records if each["call_id"] == call_id] or None
    @hookimpl
    def before_request(self, call, request): return request.with_headers({"X-Trace": call.id})

connector = Connector.from_config({"services": {"crm": {"base_url": "https://crm.example"}}}, plugins=[Memory()])
with fake(connector) as vendors:
    vendors.answer("crm", {"ok": True})
    CALL = connector.service("crm").get("/orders").call.id
"""


@pytest.fixture
def called(app):
    """An application that has made one call; returns its name and the call's id."""
    import importlib

    name = app(APP)
    import sys

    sys.path.insert(0, "")
    return f"{name}:connector", importlib.import_module(name).CALL


def test_chain_of_a_service(nexus, called):
    """Every part of the chain is there, in the order of its slot, with its kind and where it comes from."""
    ran = nexus("--app", called[0], "explain", "crm")
    assert (ran.code, ran.err) == (0, "")
    rows = [line.split() for line in ran.out.splitlines()]
    slots = [int(row[0]) for row in rows if row and row[0].isdigit()]
    assert slots == sorted(slots)
    assert ["250", "Memory.before_request", "hook", "application"] in rows
    assert any(row[:4] == ["1000", "send", "core", "nexus-connector"] for row in rows)


def test_chain_as_json(nexus, called):
    """--json gives the same as data."""
    data = nexus("--app", called[0], "explain", "crm", "--json").json
    assert data["service"] == "crm"
    assert {"slot", "name", "kind", "distribution", "version"} == set(data["chain"][0])


def test_time_line_of_a_call(nexus, called):
    """A call's id gives its time line, in any case of letters."""
    module, call = called
    ran = nexus("--app", module, "explain", call.lower())
    assert (ran.code, ran.err) == (0, "")
    assert call in ran.out
    assert re.search(r"attempt 1 .* 200 done", ran.out)


def test_time_line_as_json(nexus, called):
    """--json gives the same as data."""
    module, call = called
    data = nexus("--app", module, "explain", call, "--json").json
    assert (data["call_id"], data["service"], data["outcome"]) == (call, "crm", "done")
    assert [step["kind"] for step in data["steps"] if step["kind"] != "wait"] == ["attempt"]


def test_unknown_call_is_not_found(nexus, called):
    """A call of which nothing is kept is a failure, not an empty time line."""
    ran = nexus("--app", called[0], "explain", "0" * 26)
    assert (ran.code, ran.out) == (1, "")
    assert "no records of the call" in ran.err


def test_without_keeper_nothing_can_be_explained(nexus, config):
    """Where no plugin keeps records, that is said, with what is missing."""
    config('[services.crm]\nbase_url = "https://crm.example"\n')
    ran = nexus("explain", "0" * 26)
    assert (ran.code, ran.out) == (2, "")
    assert "Nothing here keeps records" in ran.err


def test_service_may_be_called_like_a_call(nexus, config):
    """What is configured as a service is one, whatever its name looks like."""
    config(f'[services.{"0" * 26}]\nbase_url = "https://crm.example"\n')
    assert "attempt_record" in nexus("explain", "0" * 26).out


def test_unknown_service_names_the_nearest(nexus, config):
    """A misspelt service is wrong usage."""
    config('[services.crm]\nbase_url = "https://crm.example"\n')
    ran = nexus("explain", "cmr")
    assert ran.code == 2
    assert "Did you mean 'crm'?" in ran.err
