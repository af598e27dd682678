"""Outcomes on both faces: the stage that keeps claims is asked; the core adds order and refuses what makes no sense."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from nexus_connector import Connector, Outcome, PendingOutcome, ServiceSetup, Stage, hookimpl
from nexus_connector.errors import ConfigurationError, InvalidRequestError
from nexus_connector.io import Io

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def pending(call_id: str, service: str = "crm", minutes: int = 0) -> PendingOutcome:
    """A call of which nobody knows."""
    return PendingOutcome(
        service=service,
        operation="POST /orders",
        idempotency_key=call_id,
        tenant_id=None,
        call_id=call_id,
        since=NOON + timedelta(minutes=minutes),
        state="unknown",
    )


class Keeps(Stage):
    """A stage that keeps claims."""

    name, slot = "keeps", 200
    claims_keys = True

    def __init__(self, *kept: PendingOutcome) -> None:
        self.kept = list(kept)
        self.settled: list[tuple[PendingOutcome, Outcome]] = []
        self.waited_with: list[Io] = []

    async def pending(self, io: Io) -> Sequence[PendingOutcome]:
        await io.sleep(0)
        self.waited_with.append(io)
        return self.kept

    async def settle(self, io: Io, pending: PendingOutcome, outcome: Outcome) -> None:
        await io.sleep(0)
        self.settled.append((pending, outcome))


class Brings:
    """What an application gives: a stage for the services that keep claims."""

    def __init__(self, **stages: Keeps) -> None:
        self.by_service = stages

    @hookimpl
    def stages(self, config: ServiceSetup) -> Sequence[Stage]:
        return [self.by_service[config.name]] if config.name in self.by_service else []


class Face:
    """The outcomes of one face, called the same way."""

    def __init__(self, connector: Connector, *, is_async: bool) -> None:
        self.connector = connector
        self.is_async = is_async

    def list(self, *args: Any) -> list[PendingOutcome]:
        if not self.is_async:
            return self.connector.outcomes.list(*args)
        return asyncio.run(self._awaited("list", *args))  # type: ignore[no-any-return]  # the same

    def settle(self, *args: Any) -> None:
        if self.is_async:
            asyncio.run(self._awaited("settle", *args))
        else:
            self.connector.outcomes.settle(*args)

    async def _awaited(self, name: str, *args: Any) -> Any:
        return await getattr(self.connector.as_async().outcomes, name)(*args)


def build(**stages: Keeps) -> Connector:
    """A connector with two services."""
    services = {name: {"base_url": f"https://{name}.example"} for name in ("crm", "shop")}
    return Connector.from_config({"services": services, "plugins": {"only": []}}, plugins=[Brings(**stages)])


faces = pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])


@faces
def test_all_services_are_asked(*, is_async: bool) -> None:
    """Oldest first over all services that keep claims, or those of one; each stage waits through the Io of the face."""
    crm, shop = Keeps(pending("b", minutes=2), pending("a", minutes=1)), Keeps(pending("c", "shop"))
    with build(crm=crm, shop=shop) as connector:
        face = Face(connector, is_async=is_async)
        assert [each.call_id for each in face.list()] == ["c", "a", "b"]
        assert [each.call_id for each in face.list("crm")] == ["a", "b"]
        runtime = connector.runtime
        assert set(map(id, crm.waited_with)) == {id(runtime.loop_io if is_async else runtime.blocking_io)}


@faces
def test_a_service_without_claims_is_left_out_unless_asked_for(*, is_async: bool) -> None:
    """Asked for by name it is an error that says what is missing; an unknown name is refused as everywhere."""
    with build(crm=Keeps(pending("a"))) as connector:
        face = Face(connector, is_async=is_async)
        assert [each.call_id for each in face.list()] == ["a"]
        with pytest.raises(ConfigurationError, match=r"Nothing keeps the outcomes of shop.*stores\.durable"):
            face.list("shop")
        with pytest.raises(ConfigurationError, match="no service 'crn'"):
            face.list("crn")
        with pytest.raises(ConfigurationError, match="Nothing keeps"):
            face.settle(pending("x", "shop"), Outcome.DONE)


@faces
@pytest.mark.parametrize("outcome", [Outcome.DONE, Outcome.REFUSED, Outcome.NOT_SENT])
def test_a_settled_outcome_reaches_its_stage(outcome: Outcome, *, is_async: bool) -> None:
    """What the caller found out is written down by the stage of the call's service."""
    crm, shop = Keeps(), Keeps()
    with build(crm=crm, shop=shop) as connector:
        Face(connector, is_async=is_async).settle(pending("a"), outcome)
    assert crm.settled == [(pending("a"), outcome)]
    assert shop.settled == []


@faces
def test_unknown_settles_nothing(*, is_async: bool) -> None:
    """Nobody can settle that they do not know."""
    crm = Keeps()
    with build(crm=crm) as connector, pytest.raises(InvalidRequestError, match="done, refused or not_sent"):
        Face(connector, is_async=is_async).settle(pending("a"), Outcome.UNKNOWN)
    assert crm.settled == []
