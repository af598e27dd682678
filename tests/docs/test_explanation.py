"""The tables of the explanation say what the code does: slots, verdicts, repetitions."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

import pytest

from nexus_connector import Connector, Gate, Outcome, hookimpl
from nexus_connector.verdict import DEFAULT_CLASSIFICATION, Reading, Safety, may_repeat, read_failure, read_status

if TYPE_CHECKING:
    from conftest import Docs


class EverySlot:
    """Makes each part of the core's chain appear."""

    @hookimpl
    def before_request(self, call: object) -> None:
        """Do nothing."""

    @hookimpl
    def before_attempt(self, call: object) -> None:
        """Do nothing."""

    @hookimpl
    def resolve_credentials(self, call: object) -> None:
        """Do nothing."""

    @hookimpl
    def gates(self, config: object) -> list[Gate]:
        """Return a gate."""
        gate = Gate()
        gate.name = "open"
        return [gate]


def test_the_table_of_slots_is_the_chain(docs: Docs) -> None:
    """order.md lists slot and name of every stage that the core and the shipped plugins put into a chain, in its order."""
    config = {"services": {"crm": {"base_url": "https://crm.example"}}}
    with Connector.from_config(config, plugins=[EverySlot()]) as connector:
        chain = [(entry.slot, entry.name) for entry in connector.explain("crm") if entry.kind in {"core", "stage"}]
    text = docs.page("explanation/order.md")
    assert [(int(slot), name.strip("`")) for slot, name, *_ in docs.rows(text)] == chain
    diagram = text.partition("```text\n")[2].partition("```")[0]
    drawn = re.findall(r"^(?:CALL|ATTEMPT)? +(\d{3,4}) +([\w.]+)", diagram, re.MULTILINE)
    reserved = re.findall(r"^ +(\d{3}) .*\(reserved\)", diagram, re.MULTILINE)
    assert [(int(slot), name) for slot, name in drawn if slot not in reserved and slot != "050"] == chain[1:]
    assert {slot for slot, _ in drawn} - set(reserved) >= {f"{slot:03}" for slot, _ in chain}


STATUSES: Mapping[str, tuple[int, ...]] = {
    "below 400": (200, 204, 304),
    "408, 425, 429": (408, 425, 429),
    "any other 4xx": (400, 401, 403, 404, 409, 410, 422),
    "501, 505, 506, 510, 511": (501, 505, 506, 510, 511),
    "any other 5xx": (500, 502, 503, 504, 507, 599),
}


def reading_row(reading: Reading) -> tuple[str, ...]:
    """Return a reading as safety.md shows it."""
    return reading.outcome.value, reading.health, "yes" if reading.transient else "no"


def test_the_table_of_statuses(docs: Docs) -> None:
    """safety.md gives each status the outcome, health and transience that the core reads out of it."""
    found = {
        name: tuple(cells)
        for name, *cells in docs.rows(
            docs.sections(docs.page("explanation/safety.md"), 2)["From an answer to a verdict"]
        )
    }
    asked = found.pop("503 with Retry-After")
    assert reading_row(read_status(503, "1", DEFAULT_CLASSIFICATION, now=0.0)) == asked
    assert set(found) == set(STATUSES)
    for name, statuses in STATUSES.items():
        for status in statuses:
            assert reading_row(read_status(status, None, DEFAULT_CLASSIFICATION, now=0.0)) == found[name], status


def test_the_table_of_failures(docs: Docs) -> None:
    """safety.md gives a send without an answer the outcome that the core reads out of whether anything was written."""
    found = {
        name: tuple(cells)
        for name, *cells in docs.rows(
            docs.sections(docs.page("explanation/safety.md"), 2)["From an answer to a verdict"], skip=1
        )
    }
    for name, cells in found.items():
        if name.startswith("before the first byte"):
            assert reading_row(read_failure(wrote=False)) == cells
        elif name == "after it":
            assert reading_row(read_failure(wrote=True)) == cells
        elif "certificate" in name:
            assert reading_row(read_failure(wrote=False, transient=False)) == cells
        elif "max_body_bytes" in name:
            assert reading_row(read_failure(wrote=True, transient=False)) == cells
    assert Refusal(NotSentError("no")).error.outcome is Outcome.NOT_SENT


@pytest.mark.parametrize("safety", ["safe", "idempotent", "keyed", "unsafe"])
def test_the_table_of_repetitions(docs: Docs, safety: Safety) -> None:
    """safety.md says of each safety after which outcomes a transient verdict is followed by another attempt."""
    words = {
        name.strip("`"): after
        for name, _, after in docs.rows(docs.sections(docs.page("explanation/safety.md"), 2)["What is sent again"])
    }
    sent = {outcome.value for outcome in Outcome if may_repeat(safety, outcome, transient=True)}
    named = re.findall(r"`(\w+)`", words[safety]) or ["not_sent", "refused", "unknown"]
    assert sent == set(named)
    assert not any(may_repeat(safety, outcome, transient=False) for outcome in Outcome)
