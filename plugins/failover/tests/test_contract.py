"""The stages keep what the core asks of every stage."""

from __future__ import annotations

from typing import ClassVar

from nexus_connector import Call, Next, Request, Result, Stage
from nexus_connector.config import Region
from nexus_connector.testing import StageContract
from nexus_connector_failover import FailoverOptions
from nexus_connector_failover._stage import FailoverStage, MovesStage

URLS = ("https://eu.vendor.example", "https://us.vendor.example")
REGIONS = tuple(Region(url.partition("://")[2], url) for url in URLS)


def picker() -> FailoverStage:
    """The stage of a service with two regions."""
    return FailoverStage(REGIONS, FailoverOptions(), lambda operation: "")


class TestFailoverStage(StageContract):
    service: ClassVar = {"base_url": URLS}
    prefix: ClassVar = "failover."

    def make_stage(self) -> Stage:
        return picker()


class Both(Stage):
    """The second stage means nothing without the first: here they stand right behind each other."""

    name, slot = "region", 500

    def __init__(self) -> None:
        self._picker, self._moves = picker(), MovesStage(REGIONS)

    async def __call__(self, call: Call, request: Request, next: Next) -> Result:
        return await self._picker(call, request, lambda call, request: self._moves(call, request, next))


class TestBothStages(StageContract):
    service: ClassVar = {"base_url": URLS}
    prefix: ClassVar = "failover."

    def make_stage(self) -> Stage:
        return Both()
