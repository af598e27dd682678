"""Fingerprints: the same for the same arguments in every process, another one for others."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from itertools import combinations
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import attrs
import pytest

from nexus_connector import CallOptions, Money, build_request
from nexus_connector.message import Request
from nexus_connector_idempotency._fingerprint import fingerprint


def of(request: Request, *, value: object = None, id: str = "01A", parent: str | None = None, **options: Any) -> str:
    """The fingerprint of a call."""
    call = SimpleNamespace(
        id=id, parent_id=parent, operation=SimpleNamespace(value=value), options=CallOptions(**options)
    )
    return fingerprint(cast("Any", call), request)


def post(**options: Any) -> Request:
    """A request of ``POST /orders``."""
    return build_request("POST", options.pop("path", "/orders"), **options)


def differ(found: Sequence[str]) -> bool:
    """Say whether no two are alike."""
    return all(one != two for one, two in combinations(found, 2))


def test_each_argument_counts() -> None:
    """Method, path, query in its order, body, and whether there is one: no two of these are the same call."""
    requests = [
        post(),
        build_request("PUT", "/orders"),
        post(path="/order"),
        post(query={"a": 1}),
        post(query={"a": 1, "b": 2}),
        post(query={"b": 2, "a": 1}),
        post(query={"a": [1, 2]}),
        post(query={"a": "1b"}),
        post(json={"a": 1}),
        post(json={"a": "1"}),
        post(form={"a": "1"}),
        post(content=b'{"a":2}'),
        post(content=io.BytesIO(b"")),
        post(content=io.BytesIO(b"xx")),
    ]
    assert differ([of(request) for request in requests])


def test_header_fields_do_not_count() -> None:
    """They carry traces and credentials, and hooks change them."""
    assert of(post(json={"a": 1})) == of(post(json={"a": 1}, headers={"X-Trace": "7"}))


def test_a_body_that_is_read_while_it_is_sent_counts_by_its_length(tmp_path: Path) -> None:
    """It is not read for this: two files of one length are alike, and so are two forms with files of one length."""
    one, two, three = (tmp_path / name for name in ("one", "two", "three"))
    for path, data in ((one, b"aa"), (two, b"bb"), (three, b"ccc")):
        path.write_bytes(data)
    assert of(post(content=one)) == of(post(content=two))
    assert of(post(content=one)) != of(post(content=three))
    forms = [post(form={"a": "1"}, files={"f": data}) for data in (b"x", b"y", b"xx")]
    assert of(forms[0]) == of(forms[1]) != of(forms[2])


def test_the_id_of_the_call_is_no_argument() -> None:
    """An adapter may write it into a request, as its own reference: a repeat has another one and is the same call."""
    first = of(post(path="/o/01A", json={"ref": "01A", "parent": "01P"}, query={"r": "x-01A"}), id="01A", parent="01P")
    again = of(post(path="/o/01B", json={"ref": "01B", "parent": "01Q"}, query={"r": "x-01B"}), id="01B", parent="01Q")
    assert first == again
    assert first != of(post(path="/o/01C", json={"ref": "01B", "parent": "01Q"}, query={"r": "x-01B"}), id="01B")


@attrs.frozen
class Charge:
    amount: object
    note: str = ""


@dataclass
class Refund:
    amount: object
    note: str = ""


class Kind(Enum):
    FIRST = "first"


class Plain:
    """Has no text of its own: its default one names an address in memory."""


def test_a_domain_value_stands_for_the_request() -> None:
    """Where there is one the bytes do not matter; what it holds does, and so do the extra fields of the caller."""
    value = Charge(Money(amount=Decimal("1.10"), currency="EUR"))
    same = Charge(Money(amount=Decimal("1.10"), currency="EUR"))
    assert of(post(json={"n": 1}), value=value) == of(post(json={"n": 2}, path="/other"), value=same)
    others: list[object] = [
        Charge(Money(amount=Decimal("1.1"), currency="EUR")),
        Charge(Money(amount=Decimal("1.10"), currency="USD")),
        Charge(1),
        Charge("1"),
        Charge(1.5),
        Charge(True),
        Charge(None),
        Charge(b"1"),
        Charge([1, 2]),
        Charge([12]),
        Charge(["a", "b"]),
        Charge(["atext:b"]),
        Charge(["atext:1:b"]),
        Charge([[1], 2]),
        Charge({"a": 1}),
        Charge({"b": 1}),
        Charge({"a", "b"}),
        Charge(Path("/a")),
        Charge(datetime(2026, 1, 1, tzinfo=UTC)),
        Charge(1, "x"),
        Refund(1),
        ("amount", "1"),
    ]
    assert differ([of(post(), value=each) for each in [value, *others]])
    assert of(post(), value=value) != of(post(), value=value, extra={"stripe": {"capture": False}})
    assert of(post(), value=Charge({"a": 1, "b": 2})) == of(post(), value=Charge({"b": 2, "a": 1}))
    assert of(post(), value=Charge(Kind.FIRST)) == of(post(), value=Charge("first"))
    assert of(post(), value=Charge(Plain())) == of(post(), value=Charge(Plain()))


def test_every_process_finds_the_same() -> None:
    """Sets and texts hash otherwise in each process: the fingerprint must not."""
    code = (
        "from types import SimpleNamespace as N; from nexus_connector import CallOptions, Request;"
        "from nexus_connector_idempotency._fingerprint import fingerprint;"
        "value = {'tags': {'a', 'b', 'c', 'd', 'e'}, 'x': frozenset('pqrst')};"
        "call = N(id='1', parent_id=None, operation=N(value=value), options=CallOptions());"
        "print(fingerprint(call, Request()))"
    )
    found = {
        subprocess.run(
            [sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": seed}
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(found) == 1


def test_a_value_without_an_end_is_refused() -> None:
    """One that holds itself cannot be compared; it is said instead of recursing."""
    loop: list[object] = []
    loop.append(loop)
    with pytest.raises(ValueError, match="too deeply"):
        of(post(), value=loop)
