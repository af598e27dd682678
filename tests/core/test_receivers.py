"""Receivers and sinks hear of everything, and can neither change, slow nor fail a call."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Sequence

import attrs
import pytest

from nexus_connector import (
    AttemptFinished,
    CallFailed,
    CallStarted,
    CallSucceeded,
    Connector,
    Event,
    IntegrationLog,
    PluginFailed,
    RecordsDropped,
    hookimpl,
)
from nexus_connector.background import Background
from nexus_connector.errors import ConfigurationError
from nexus_connector.testing import fake
from nexus_connector.testing.emulator import Answer, VendorEmulator

CONFIG = {
    "services": {"crm": {"base_url": "https://crm.example"}, "erp": {"base_url": "https://erp.example"}},
    "plugins": {"only": []},
}


def test_lambdas_and_bound_methods_stay_connected() -> None:
    """Receivers are held strongly: a lambda and the method of a forgotten object still hear."""
    heard: list[str] = []

    class Listener:
        def hear(self, event: CallSucceeded) -> None:
            heard.append("method")

    with Connector.from_config(CONFIG) as connector, fake(connector) as vendors:
        connector.on(CallSucceeded)(lambda event: heard.append("lambda"))
        connector.on(CallSucceeded)(Listener().hear)
        gc.collect()
        vendors.answer("crm", 200)
        connector.service("crm").get("/")
    assert heard == ["lambda", "method"]


def test_receivers_run_in_the_order_of_connecting() -> None:
    """Order is that of connecting, whether connected to the class, its parent, or one service."""
    heard: list[int] = []
    with Connector.from_config(CONFIG) as connector, fake(connector) as vendors:
        connector.on(CallSucceeded, service="crm")(lambda event: heard.append(0))
        connector.on(Event)(lambda event: heard.append(1) if isinstance(event, CallSucceeded) else None)
        connector.on(CallSucceeded)(lambda event: heard.append(2))
        connector.on(CallSucceeded, service="erp")(lambda event: heard.append(3))
        vendors.answer("", 200)
        connector.service("crm").get("/")
        connector.service("erp").get("/")
    assert heard == [0, 1, 2, 1, 2, 3]


def test_a_receiver_that_comes_later_hears_what_comes_later() -> None:
    """Whoever connects after events of a class and service were delivered hears the next ones."""
    heard: list[str] = []
    with Connector.from_config(CONFIG) as connector, fake(connector) as vendors:
        vendors.answer("", 200)
        connector.on(CallSucceeded)(lambda event: heard.append("first"))
        connector.service("crm").get("/")
        connector.on(CallSucceeded, service="crm")(lambda event: heard.append("crm"))
        connector.service("crm").get("/")
        connector.on(Event)(lambda event: heard.append("any") if isinstance(event, CallSucceeded) else None)
        connector.service("crm").get("/")
        connector.service("erp").get("/")
    assert heard == ["first", "first", "crm", "first", "crm", "any", "first", "any"]


def test_a_raising_receiver_concerns_no_other() -> None:
    """What one receiver raises neither stops the rest nor reaches the call; PluginFailed tells of it."""
    heard: list[object] = []
    with Connector.from_config(CONFIG) as connector, fake(connector) as vendors:

        @connector.on(CallSucceeded)
        def broken(event: CallSucceeded) -> None:
            raise RuntimeError("receiver")

        connector.on(CallSucceeded)(lambda event: heard.append("second"))
        connector.on(PluginFailed)(lambda event: heard.append((event.hook, event.message)))
        vendors.answer("crm", 200)
        assert connector.service("crm").get("/").status == 200
    assert heard == [("CallSucceeded", "raised RuntimeError"), "second"]


def test_a_receiver_cannot_mutate_what_others_hear() -> None:
    """Events are frozen: a receiver that tries to change one fails alone."""
    heard: list[str] = []
    with Connector.from_config(CONFIG) as connector, fake(connector) as vendors:

        @connector.on(CallSucceeded)
        def mutate(event: CallSucceeded) -> None:
            event.operation = "changed"  # type: ignore[misc]  # that is what is tried

        connector.on(CallSucceeded)(lambda event: heard.append(event.operation))
        vendors.answer("crm", 200)
        connector.service("crm").get("/x")
    assert heard == ["GET /x"]


def test_a_record_has_every_field_in_its_place() -> None:
    """Sinks write the fields in the order of the class: none is missing, none is there that the class has not."""
    records: list[IntegrationLog] = []

    class Sink:
        @hookimpl
        def store_log(self, records: Sequence[IntegrationLog]) -> None:
            kept.extend(records)

    kept = records
    with Connector.from_config(CONFIG, plugins=[Sink()]) as connector, fake(connector) as vendors:
        vendors.answer("", 200)
        connector.service("crm").get("/x")
    assert {record.kind for record in records} == {"attempt", "call"}
    for record in records:
        assert list(vars(record)) == [field.name for field in attrs.fields(IntegrationLog)]
        assert record == IntegrationLog(**vars(record))


def test_a_slow_receiver_does_not_hold_a_call_up() -> None:
    """While a receiver is stuck, calls go on and their records come through."""
    stuck, release = threading.Event(), threading.Event()
    records: list[IntegrationLog] = []

    class Sink:
        @hookimpl
        def store_log(self, records: Sequence[IntegrationLog]) -> None:
            kept.extend(records)

    kept: list[IntegrationLog] = records
    with VendorEmulator() as vendor:
        vendor.on("/", Answer(200))
        config = {"services": {"crm": {"base_url": vendor.url}}, "plugins": {"only": []}}
        connector = Connector.from_config(config, plugins=[Sink()])

        @connector.on(CallStarted)
        def slow(event: CallStarted) -> None:
            stuck.set()
            release.wait(30)

        connector.service("crm").get("/")
        assert stuck.wait(10)
        for _ in range(20):
            assert connector.service("crm").get("/").status == 200
        release.set()
        connector.flush(20)
        connector.close()
    assert len([record for record in records if record.kind == "attempt"]) == 21


def test_flush_waits_for_everything_and_says_when_it_cannot() -> None:
    """flush() returns when all queued so far was heard; past its time it raises TimeoutError."""
    heard: list[int] = []
    release = threading.Event()
    with VendorEmulator() as vendor:
        vendor.on("/", Answer(200))
        with Connector.from_config(
            {"services": {"crm": {"base_url": vendor.url}}, "plugins": {"only": []}}
        ) as connector:
            connector.flush()
            connector.on(CallSucceeded)(lambda event: heard.append(event.attempts))
            connector.service("crm").get("/")
            connector.flush()
            assert heard == [1]
            connector.on(CallStarted)(lambda event: release.wait(30))
            connector.service("crm").get("/")
            with pytest.raises(TimeoutError):
                connector.flush(0.05)
            release.set()


def test_async_receivers_run_on_the_loop() -> None:
    """An async receiver runs on the async connector's loop; the sync face refuses it."""
    heard: list[object] = []

    async def main() -> None:
        with VendorEmulator() as vendor:
            vendor.on("/", Answer(200))
            config = {"services": {"crm": {"base_url": vendor.url}}, "plugins": {"only": []}}
            connector = Connector.from_config(config)
            done = asyncio.Event()

            async def receiver(event: CallSucceeded) -> None:
                heard.append(asyncio.get_running_loop())
                done.set()

            with pytest.raises(ConfigurationError, match="AsyncConnector"):
                connector.on(CallSucceeded)(receiver)
            async with connector.as_async() as aconnector:
                aconnector.on(CallSucceeded)(receiver)
                await aconnector.service("crm").get("/")
                await asyncio.wait_for(done.wait(), 10)
            assert heard == [asyncio.get_running_loop()]

    asyncio.run(main())


def test_only_events_can_be_connected_to() -> None:
    """Connecting to anything but a class of events is an error."""
    with Connector.from_config(CONFIG) as connector, pytest.raises(ConfigurationError, match="events"):
        connector.on(int)(lambda event: None)  # type: ignore[type-var]  # that is what is tried


def test_a_failing_sink_is_told_and_counted() -> None:
    """A store_log hook that raises concerns neither the call nor the other sinks; PluginFailed names it."""
    heard: list[tuple[str, str]] = []
    kept: list[IntegrationLog] = []

    class Broken:
        @hookimpl
        def store_log(self, records: Sequence[IntegrationLog]) -> None:
            raise OSError("disk full")

    class Good:
        @hookimpl
        def store_log(self, records: Sequence[IntegrationLog]) -> None:
            kept.extend(records)

    with Connector.from_config(CONFIG, plugins=[Broken(), Good()]) as connector, fake(connector) as vendors:
        connector.on(PluginFailed)(lambda event: heard.append((event.plugin, event.hook)))
        vendors.answer("crm", 200)
        connector.service("crm").get("/")
    assert set(heard) == {("Broken", "store_log")}
    assert [record.kind for record in kept] == ["attempt", "call"]


def test_a_full_queue_drops_and_counts() -> None:
    """What does not fit into the queue is counted and told, and never blocks."""
    entered, release = threading.Event(), threading.Event()

    class Sinks:
        dropped: tuple[int, int] = (0, 0)
        events = 0

        def deliver_records(self, records: Sequence[IntegrationLog]) -> None:
            raise AssertionError

        def deliver_event(self, event: Event) -> None:
            entered.set()
            release.wait(30)
            self.events += 1

        def deliver_dropped(self, records: int, events: int) -> None:
            self.dropped = (self.dropped[0] + records, self.dropped[1] + events)

    sinks = Sinks()
    background = Background(sinks, limit=5)
    event = RecordsDropped(service="", call_id=None, at=None, records=0, events=0)  # type: ignore[arg-type]  # never read
    background.event(lambda: event)
    assert entered.wait(10)
    for _ in range(8):
        background.event(lambda: event)
    release.set()
    assert background.flush(10)
    background.close(10)
    assert (sinks.events, sinks.dropped) == (6, (0, 3))


def test_what_was_dropped_is_told() -> None:
    """RecordsDropped says how much was lost; it is one error in the log, too."""
    heard: list[RecordsDropped] = []
    with Connector.from_config(CONFIG) as connector, fake(connector):
        connector.on(RecordsDropped)(heard.append)
        connector.runtime.delivery.deliver_dropped(2, 3)
    assert [(event.records, event.events, event.service) for event in heard] == [(2, 3, "")]


def test_events_that_nobody_wants_are_not_made() -> None:
    """Only classes with a receiver, and classes derived from those, are wanted."""

    class Derived(CallStarted):
        pass

    with Connector.from_config(CONFIG) as connector:
        signals = connector.runtime.signals
        assert not signals.hears(CallStarted)
        assert not signals.hears(Derived)
        connector.on(CallStarted)(lambda event: None)
        assert signals.hears(CallStarted)
        assert not signals.hears(CallSucceeded)
        assert signals.hears(Derived)
        assert signals.hears(type("Later", (CallStarted,), {}))


def test_what_every_call_asks_for_is_always_answered() -> None:
    """The events of every call are looked up without a question, also when nobody has asked for them before."""
    with Connector.from_config(CONFIG) as connector:
        signals = connector.runtime.signals
        assert signals.heard == {CallStarted: False, AttemptFinished: False, CallSucceeded: False}
        connector.on(CallSucceeded)(lambda event: None)
        assert signals.heard == {CallStarted: False, AttemptFinished: False, CallSucceeded: True}


def test_an_async_receiver_whose_loop_is_closed_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    """Nobody could run it any more; that is no failure of the receiver."""
    heard: list[Event] = []
    failed: list[PluginFailed] = []

    async def receive(event: Event) -> None:
        heard.append(event)

    connector = Connector.from_config(CONFIG)
    face = connector.as_async()
    connector.on(PluginFailed)(failed.append)

    async def main() -> None:
        face.on(CallStarted)(receive)
        async with asyncio.timeout(30):
            with fake(face) as vendors:
                vendors.answer("crm", 200)
                await face.service("crm").get("/")

    asyncio.run(main())
    known = len(heard)
    with connector, fake(connector) as vendors:
        vendors.answer("crm", 200)
        connector.service("crm").get("/")
    assert (len(heard), failed, caplog.text) == (known, [], "")


def test_nothing_is_queued_and_no_thread_runs_for_nobody() -> None:
    """Without receivers and sinks a call starts no thread."""
    with VendorEmulator() as vendor:
        vendor.on("/", Answer(200))
        with Connector.from_config(
            {"services": {"crm": {"base_url": vendor.url}}, "plugins": {"only": []}}
        ) as connector:
            connector.service("crm").get("/")
            assert not [thread for thread in threading.enumerate() if thread.name == "nexus-background"]


def test_a_failed_call_is_told() -> None:
    """CallFailed names the error and what is known about the effect."""
    heard: list[CallFailed] = []
    with Connector.from_config(CONFIG) as connector, fake(connector) as vendors:
        connector.on(CallFailed)(heard.append)
        vendors.answer("crm", 404)
        with pytest.raises(Exception, match="404"):
            connector.service("crm").get("/x")
    [event] = heard
    assert (event.error, event.outcome.value, event.attempts) == ("NotFoundError", "refused", 1)
