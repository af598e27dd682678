"""The tables of the explanation say what the code does: slots, verdicts, repetitions."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest
from reference_pages.diagram import rows_of

from nexus_connector import Connector, Gate, Outcome, hookimpl
from nexus_connector.judge import lost, refuse
from nexus_connector.state import MemoryStore, Store
from nexus_connector.verdict import (
    DEFAULT_CLASSIFICATION,
    Reading,
    Safety,
    Verdict,
    may_repeat,
    read_failure,
    read_status,
)

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
    def store(self, url: str) -> Store:
        """Return a store that is as good as a durable one here."""
        return MemoryStore(lambda: 0.0)

    @hookimpl
    def gates(self, config: object) -> list[Gate]:
        """Return a gate."""
        gate = Gate()
        gate.name = "open"
        return [gate]


def test_the_table_of_slots_is_the_chain(docs: Docs) -> None:
    """order.md lists slot and name of every stage of the core and the shipped plugins, in the order of the chain."""
    urls = ["https://eu.crm.example", "https://us.crm.example"]
    services = {"crm": {"base_url": urls, "cache": True}}
    config = {"services": services, "stores": {"durable": "kept://"}}
    with Connector.from_config(config, plugins=[EverySlot()]) as connector:
        chain = [(entry.slot, entry.name) for entry in connector.explain("crm") if entry.kind in {"core", "stage"}]
    text = docs.page("explanation/order.md")
    assert [(int(slot), name.strip("`")) for slot, name, *_ in docs.rows(text)] == chain


def test_the_diagram_is_the_table(docs: Docs) -> None:
    """The diagram of order.md has the parts of the table in their order, and beside them only reserved slots."""
    text = docs.page("explanation/order.md")
    block = text.partition("```{generated} order\n")[2].partition("```")[0]
    drawn = [row for row in rows_of(block)[1:] if len(row) > 1]
    assert [row[:2] for row in drawn if not row[1].startswith("(")] == [
        (slot, name.strip("`")) for slot, name, *_ in docs.rows(text)
    ]
    assert [int(row[0]) for row in drawn] == sorted(int(row[0]) for row in drawn)
    assert [row[1].strip("()") for row in drawn if row[1].startswith("(")] == ["intent"]
    rows = rows_of(block)[1:]
    frames = {row[0].partition(":")[0]: after[0] for row, after in pairwise(rows) if len(row) == 1}
    assert frames == {"CALL": "50", "ATTEMPT": "500"}


def test_the_diagram_is_drawn(docs: Docs) -> None:
    """What Sphinx gets is well-formed SVG with every text of the diagram, in classes that the style sheet colours."""
    page = docs.filled("explanation/order.md")
    drawing = re.search(r"<svg.*?</svg>", page, re.DOTALL)
    assert drawing is not None
    svg = ET.fromstring(drawing[0])
    texts = {"".join(each.itertext()) for each in svg.iter("text")}
    block = docs.page("explanation/order.md").partition("```{generated} order\n")[2].partition("```")[0]
    cells = {cell.strip("()") for row in rows_of(block) for cell in row if len(row) > 1} - {"slot", "part", ""}
    assert texts >= cells
    used = {name for each in svg.iter() for name in each.get("class", "").split()}
    style = (docs.root / "docs/_static/pages.css").read_text("utf-8")
    assert {name for name in used if f".{name}" not in style} == {"call"}


STATUSES: Mapping[str, tuple[int, ...]] = {
    "below 400": (200, 204, 304),
    "408, 425, 429": (408, 425, 429),
    "any other 4xx": (400, 401, 403, 404, 409, 410, 422),
    "501, 505, 506, 510, 511": (501, 505, 506, 510, 511),
    "any other 5xx": (500, 502, 503, 504, 507, 599),
}
NO_CALL: Any = None
FAILURES: Mapping[str, Reading | Verdict] = {
    "before the first byte was written: name, connection, TLS": read_failure(wrote=False),
    "after it": read_failure(wrote=True),
    "a certificate that does not verify": read_failure(wrote=False, transient=False),
    "a body larger than `max_body_bytes`, or not what its encoding says": read_failure(wrote=True, transient=False),
    "our own refusal: a gate, a hook, no credentials": refuse(NO_CALL, None).verdict,
    "the call was cancelled while it was sent": lost().verdict,
}


def shown(found: Reading | Verdict) -> tuple[str, ...]:
    """Return a reading as safety.md shows it."""
    again = found.transient if isinstance(found, Reading) else found.retry
    return found.outcome.value, found.health, "yes" if again else "no"


def verdict_rows(docs: Docs, *, skip: int) -> dict[str, tuple[str, ...]]:
    """Return a table of verdicts by its first column."""
    text = docs.sections(docs.page("explanation/safety.md"), 2)["From an answer to a verdict"]
    return {name: tuple(cells) for name, *cells in docs.rows(text, skip=skip)}


def test_the_table_of_statuses(docs: Docs) -> None:
    """safety.md gives each status the outcome, health and transience that the core reads out of it."""
    found = verdict_rows(docs, skip=0)
    asked = found.pop("503 with Retry-After")
    assert shown(read_status(503, "1", DEFAULT_CLASSIFICATION, now=0.0)) == asked
    assert set(found) == set(STATUSES)
    for name, statuses in STATUSES.items():
        for status in statuses:
            assert shown(read_status(status, None, DEFAULT_CLASSIFICATION, now=0.0)) == found[name], status


def test_the_table_of_failures(docs: Docs) -> None:
    """safety.md gives each way to have no answer the outcome, health and transience that the core makes of it."""
    assert verdict_rows(docs, skip=1) == {name: shown(reading) for name, reading in FAILURES.items()}


@pytest.mark.parametrize("safety", ["safe", "idempotent", "keyed", "unsafe"])
def test_the_table_of_repetitions(docs: Docs, safety: Safety) -> None:
    """safety.md says of each safety after which outcomes a transient verdict is followed by another attempt."""
    text = docs.sections(docs.page("explanation/safety.md"), 2)["What is sent again"]
    words = {name.strip("`"): after for name, _, after in docs.rows(text)}
    named = re.findall(r"`(\w+)`", words[safety]) or ["not_sent", "refused", "unknown"]
    assert {outcome.value for outcome in Outcome if may_repeat(safety, outcome, transient=True)} == set(named)
    assert not any(may_repeat(safety, outcome, transient=False) for outcome in Outcome)
