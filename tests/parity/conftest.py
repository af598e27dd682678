"""Playing one scenario on both faces: against a fake, where even ids are equal, and against a vendor on loopback."""

from __future__ import annotations

import asyncio
import inspect
import re
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from datetime import datetime
from enum import Enum
from typing import Any, TypeAlias

import attrs
import pytest

from nexus_connector import AsyncConnector, Connector, Event, IntegrationLog, Request, Response, hookimpl
from nexus_connector.testing import fake
from nexus_connector.testing.emulator import Answer, Behaviour, Hang, Reset, VendorEmulator

Step: TypeAlias = Callable[[Any], Any]
"""What is done with the connector of a face; the same for both."""
Script: TypeAlias = Callable[[], Generator[Step, Any, None]]
Trace: TypeAlias = list[Any]

_ID = re.compile(r"[0-9A-HJKMNP-TV-Z]{26}")
_TIMES = {"duration_ms", "duration_seconds", "at", "created_at", "date"}


class Sink:
    """Keeps the records of a face."""

    def __init__(self) -> None:
        self.records: list[IntegrationLog] = []

    @hookimpl
    def store_log(self, records: Sequence[IntegrationLog]) -> None:
        self.records.extend(records)


def plain(value: Any) -> Any:
    """Take a result, error, record or event apart into what can be compared and read."""
    if isinstance(value, BaseException):
        fields = {name: each for name, each in vars(value).items() if name not in {"_redactor", "__notes__"}}
        kinds = [kind.__name__ for kind in type(value).__mro__[:-2]]
        return {"kinds": kinds, "text": str(value), "cause": type(value.__cause__).__name__, **plain(fields)}
    if isinstance(value, Response):
        return {
            "status": value.status,
            "headers": {name.lower(): each for name, each in value.headers.items()},
            "body": value.body,
            "call": plain(attrs.evolve(value.call, response=None)),
        }
    if isinstance(value, Enum):
        return value.value
    if attrs.has(type(value)):
        fields = {field.name: getattr(value, field.name) for field in attrs.fields(type(value)) if field.eq}
        return {"kind": type(value).__name__, **plain(fields)}
    if isinstance(value, Mapping):
        return {str(name): plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return "a function" if callable(value) else value


def without_chance(trace: Trace, *, ordered: bool) -> Trace:
    """Leave out of a real trace what no two runs share: times, and which id a call got."""
    ids: dict[str, str] = {}

    def clean(value: Any) -> Any:
        if isinstance(value, str):
            return _ID.sub(lambda match: ids.setdefault(match[0], f"<id {len(ids) if ordered else ''}>"), value)
        if isinstance(value, bytes):
            return clean(value.decode("latin-1"))
        if isinstance(value, dict):
            return {name: clean(each) for name, each in value.items() if name not in _TIMES}
        if isinstance(value, list):
            return [clean(each) for each in value]
        return "a time" if isinstance(value, datetime) else value

    kept: Trace = clean(trace)
    return kept if ordered else [sorted(part, key=repr) if isinstance(part, list) else part for part in kept]


def sync_play(connector: Connector, script: Script, after: Callable[[], float]) -> Trace:
    """Run a script on the blocking face."""
    trace: Trace = []
    steps = script()
    step = _following(steps, None)
    while step is not None:
        try:
            value = _finished(step(connector))
        except Exception as error:
            value = error
        trace.append([after(), plain(value)])
        step = _following(steps, value)
    connector.flush()
    connector.close()
    return trace


def _finished(value: Any) -> Any:
    if isinstance(value, AbstractContextManager):
        with value as stream:
            return [stream.status, b"".join(stream)]
    return list(value) if isinstance(value, Iterator) else value


async def async_play(connector: AsyncConnector, script: Script, after: Callable[[], float]) -> Trace:
    """Run a script on the awaited face."""
    trace: Trace = []
    steps = script()
    step = _following(steps, None)
    while step is not None:
        try:
            value = await _awaited(step(connector))
        except Exception as error:
            value = error
        trace.append([after(), plain(value)])
        step = _following(steps, value)
    await connector.flush()
    await connector.close()
    return trace


async def _awaited(value: Any) -> Any:
    if isinstance(value, AbstractAsyncContextManager):
        async with value as stream:
            return [stream.status, b"".join([piece async for piece in stream])]
    if isinstance(value, AsyncIterator):
        return [each async for each in value]
    return await value if inspect.isawaitable(value) else value


def _following(steps: Generator[Step, Any, None], value: Any) -> Step | None:
    """Give a script the last result, or the error, and get its next step."""
    try:
        return steps.send(value)
    except StopIteration:
        return None


def build(scenario: Any, face: str, base_url: str, retry: Mapping[str, object]) -> tuple[Any, Sink, list[Event]]:
    """Build the connector of a face with everything that listens to it."""
    sink, events = Sink(), list[Event]()
    service = {"base_url": base_url, "retry": retry, **scenario.service}
    services = {"crm": service, "erp": {"base_url": base_url, "retry": False}, **scenario.services(base_url)}
    config = {"services": services, "domains": {"email": {"service": "mail", "sender": "billing@example.com"}}}
    if "mail" not in services:
        del config["domains"]
    kind = Connector if face == "sync" else AsyncConnector
    connector = kind.from_config(config, plugins=[sink, *scenario.hooks()], check=False)
    connector.on(Event)(events.append)
    return connector, sink, events


def play(connector: Any, scenario: Any, after: Callable[[], float] = lambda: 0.0) -> Trace:
    """Run a scenario on whichever face the connector is."""
    if isinstance(connector, Connector):
        return sync_play(connector, scenario.script, after)
    return asyncio.run(async_play(connector, scenario.script, after))


@pytest.fixture
def play_fake() -> Callable[[Any, str], Trace]:
    """Play against a fake with a seed: nothing is left out of the comparison, not even ids and times."""

    def playing(scenario: Any, face: str) -> Trace:
        connector, sink, events = build(scenario, face, "https://crm.example", {"max_retries": 3})
        routes = {route: list(replies) for route, replies in scenario.answers.items()}

        def answer(request: Request) -> object:
            replies = routes[f"{request.method} {request.path}"]
            return _fake_answer(replies.pop(0) if len(replies) > 1 else replies[0])

        with fake(connector, seed=11) as vendors:
            vendors.answer("", answer)
            trace = play(connector, scenario, lambda: vendors.clock.elapsed_seconds)
            sent = [plain(each.request) for each in vendors.sent()]
        return [trace, plain([record.as_dict() for record in sink.records]), plain(events), sent]

    return playing


@pytest.fixture
def play_real(vendor_emulator: VendorEmulator) -> Callable[[Any, str], Trace]:
    """Play against a vendor on loopback, over sockets and in threads."""

    def playing(scenario: Any, face: str) -> Trace:
        vendor_emulator.clear()
        for route, replies in scenario.answers.items():
            vendor_emulator.on(route, *[_real_answer(reply) for reply in replies])
        retry = {"max_retries": 3, "base_delay_seconds": 0.001, "jitter": "none"}
        connector, sink, events = build(scenario, face, vendor_emulator.url, retry)
        trace = play(connector, scenario)
        arrivals = [[each.method, each.target, dict(each.headers), each.body] for each in vendor_emulator.arrivals]
        whole = [trace, plain([record.as_dict() for record in sink.records]), plain(events), arrivals]
        return without_chance(whole, ordered=not scenario.concurrent)

    return playing


def _fake_answer(reply: Any) -> object:
    return {"lost": ConnectionResetError(), "slow": TimeoutError()}[reply] if isinstance(reply, str) else reply


def _real_answer(reply: Any) -> Behaviour:
    if isinstance(reply, int):
        return Answer(reply)
    if isinstance(reply, str):
        return Reset() if reply == "lost" else Hang()
    status, value, headers = (*reply, None, None)[:3] if isinstance(reply, tuple) else (200, reply, None)
    if isinstance(value, bytes):
        return Answer(status, body=value, headers=headers or {})
    return Answer(status, json=value, headers=headers or {})
