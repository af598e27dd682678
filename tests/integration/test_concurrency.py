"""Threads, loops, forks, cancellation and sudden ends."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from nexus_connector import AsyncConnector, Connector, IntegrationLog, hookimpl
from nexus_connector.errors import ConnectorClosedError, ConnectorError, DeadlineExceededError
from nexus_connector.testing.emulator import Answer, Hang, Stream, VendorEmulator
from nexus_connector.transport.pool import PoolTransport

SOON = 20.0


class Sink:
    def __init__(self) -> None:
        self.records: list[IntegrationLog] = []

    @hookimpl
    def store_log(self, records: Sequence[IntegrationLog]) -> None:
        self.records.extend(records)


def config(url: str, **service: object) -> dict[str, object]:
    return {"services": {"crm": {"base_url": url, **service}}, "plugins": {"only": []}}


def test_cancelling_a_call_ends_its_socket_and_settles() -> None:
    """A cancelled await ends the socket at once; its permit comes back and its record says the outcome is unknown."""
    sink = Sink()

    async def main() -> None:
        with VendorEmulator() as vendor:
            vendor.on("/hang", Hang())
            vendor.on("/x", Answer(200))
            async with AsyncConnector.from_config(config(vendor.url, max_concurrency=1), plugins=[sink]) as connector:
                call = asyncio.ensure_future(connector.service("crm").get("/hang"))
                await asyncio.to_thread(vendor.wait_for, 1, "/hang")
                started = time.monotonic()
                call.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await call
                assert time.monotonic() - started < SOON / 2  # the call itself would hang for 30 s
                assert (await connector.service("crm").get("/x")).status == 200
                await connector.flush()

    asyncio.run(main())
    attempt, call = sink.records[:2]
    assert (attempt.kind, attempt.outcome.value, call.kind, call.outcome.value) == (
        "attempt",
        "unknown",
        "call",
        "unknown",
    )


def test_cancelling_a_wait_for_a_permit_sends_nothing() -> None:
    """A call cancelled while it waits for a permit was never sent and takes no permit with it."""

    async def main() -> None:
        with VendorEmulator() as vendor:
            vendor.on("/hang", Hang())
            vendor.on("/x", Answer(200))
            async with AsyncConnector.from_config(config(vendor.url, max_concurrency=1)) as connector:
                first = asyncio.ensure_future(connector.service("crm").get("/hang"))
                await asyncio.to_thread(vendor.wait_for, 1, "/hang")
                second = asyncio.ensure_future(connector.service("crm").get("/x"))
                await asyncio.sleep(0)
                second.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await second
                first.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await first
                assert (await connector.service("crm").get("/x")).status == 200
            assert len(vendor.arrivals_of("/x")) == 1

    asyncio.run(main())


def test_a_full_service_is_refused_by_the_deadline() -> None:
    """When every permit is taken, a call ends by its own deadline, and says max_concurrency."""
    with VendorEmulator() as vendor:
        vendor.on("/hang", Hang())
        with Connector.from_config(config(vendor.url, max_concurrency=1)) as connector:

            def hang() -> None:
                with pytest.raises(ConnectorError):
                    connector.service("crm").get("/hang")

            thread = threading.Thread(target=hang)
            thread.start()
            vendor.wait_for(1, "/hang")
            with pytest.raises(DeadlineExceededError, match="max_concurrency") as caught:
                connector.service("crm").get("/x", timeout_seconds=0.05)
            assert caught.value.outcome.value == "not_sent"
            connector.close()
            thread.join(SOON)
            assert not thread.is_alive()


def test_close_ends_what_is_in_flight_on_both_faces() -> None:
    """close() ends calls that hang, once and for all; later calls say that the connector is closed."""

    async def main(connector: Connector, vendor: VendorEmulator) -> None:
        aconnector = connector.as_async()
        call = asyncio.ensure_future(aconnector.service("crm").get("/hang"))
        await asyncio.to_thread(vendor.wait_for, 1, "/hang")
        await aconnector.close()
        with pytest.raises(ConnectorError):
            await asyncio.wait_for(call, SOON)
        with pytest.raises(ConnectorClosedError):
            await aconnector.service("crm").get("/x")

    with VendorEmulator() as vendor:
        vendor.on("/hang", Hang())
        connector = Connector.from_config(config(vendor.url))
        asyncio.run(main(connector, vendor))
        connector.close()
        with pytest.raises(ConnectorClosedError):
            connector.service("crm").get("/x")


def test_a_thousand_awaits_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    """A thousand concurrent awaits are served by threads; none fails. The figure is printed."""
    count = 1000

    async def main(url: str) -> float:
        async with AsyncConnector.from_config(config(url, max_concurrency=count)) as connector:
            service = connector.service("crm")
            started = time.perf_counter()
            answers = await asyncio.gather(*[service.get("/x", timeout_seconds=60) for _ in range(count)])
            assert {answer.status for answer in answers} == {200}
            return time.perf_counter() - started

    with VendorEmulator(record=False) as vendor:
        vendor.on("/x", Answer(200, delay_seconds=0.1))
        elapsed = asyncio.run(main(vendor.url))
    with capsys.disabled():
        print(f"\n1000 concurrent awaits x 100 ms, connections cold: {elapsed:.2f} s")


def test_the_faces_share_permits() -> None:
    """Both faces of one runtime take their permits from one place."""

    async def main(connector: Connector, vendor: VendorEmulator) -> None:
        call = asyncio.ensure_future(connector.as_async().service("crm").get("/hang"))
        await asyncio.to_thread(vendor.wait_for, 1, "/hang")
        with pytest.raises(DeadlineExceededError, match="max_concurrency"):
            connector.service("crm").get("/x", timeout_seconds=0.05)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call

    with VendorEmulator() as vendor:
        vendor.on("/hang", Hang())
        with Connector.from_config(config(vendor.url, max_concurrency=1)) as connector:
            asyncio.run(main(connector, vendor))


def test_a_stream_keeps_its_permit_until_it_is_closed() -> None:
    """A streamed answer holds its permit, and gives it back when the block ends, read or not."""
    with VendorEmulator() as vendor:
        vendor.on("/big", Stream(megabytes=4))
        vendor.on("/x", Answer(200))
        with Connector.from_config(config(vendor.url, max_concurrency=1)) as connector:
            service = connector.service("crm")
            with service.stream("/big") as stream:
                first = next(iter(stream))
                assert 0 < len(first) <= 65_536
                with pytest.raises(DeadlineExceededError):
                    service.get("/x", timeout_seconds=0.05)
            assert service.get("/x").status == 200
            with service.stream("/big") as stream:
                assert sum(len(piece) for piece in stream) == 4 * 1024 * 1024
            assert service.get("/x").status == 200


FORK = """
import faulthandler, json, os, signal, sys, threading, traceback
from nexus_connector import Connector

url, count, folder = sys.argv[1], int(sys.argv[2]), sys.argv[3]
services = {"crm": {"base_url": url}}
plugins = {"only": ["retry", "jsonl"], "jsonl": {"path": folder}}
connector = Connector.from_config({"services": services, "plugins": plugins})
service = connector.service("crm")
stop = threading.Event()

def load():
    while not stop.is_set():
        service.get("/x")

def child(write):
    status = service.get("/x").status
    connector.flush(timeout_seconds=60)
    draw = connector.runtime.process.random.random()
    mine = connector.runtime.process.pid == os.getpid()
    os.write(write, json.dumps([status, draw, mine]).encode())

faulthandler.register(signal.SIGUSR1)
threads = [threading.Thread(target=load) for _ in range(4)]
for thread in threads:
    thread.start()
service.get("/x")
draws = []
try:
    for number in range(count):
        read, write = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                child(write)
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(0)
        os.close(write)
        with os.fdopen(read, "rb") as answer:
            draws.append(json.loads(answer.read() or "null"))
        os.waitpid(pid, 0)
finally:
    stop.set()
for thread in threads:
    thread.join()
connector.close()
print(json.dumps(draws))
"""


def test_fifty_forks_under_load(tmp_path: Path) -> None:
    """A child forked under load makes its own calls with its own pools, writer and random sequence; none deadlocks."""
    count = 50
    with VendorEmulator() as vendor:
        vendor.on("/x", Answer(200))
        command = [
            sys.executable,
            "-W",
            "ignore::DeprecationWarning",
            "-c",
            FORK,
            vendor.url,
            str(count),
            str(tmp_path),
        ]
        # Unmeasured: a thread may hold the lock of coverage's own data while another one forks, and its child hangs.
        env = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=env)
    assert done.returncode == 0, done.stderr
    draws = json.loads(done.stdout)
    assert [status for status, _, _ in draws] == [200] * count
    assert len({draw for _, draw, _ in draws}) == count
    assert all(mine for _, _, mine in draws)
    lines = [json.loads(line) for file in tmp_path.glob("*.jsonl") for line in file.read_text().splitlines()]
    assert len({line["id"] for line in lines}) == len(lines)
    assert len(list(tmp_path.glob("*.jsonl"))) == count + 1


ENDLESS = """
import sys
from nexus_connector import Connector

plugins = {"only": ["jsonl"], "jsonl": {"path": sys.argv[2]}}
connector = Connector.from_config({"services": {"crm": {"base_url": sys.argv[1]}}, "plugins": plugins})
service = connector.service("crm")
while True:
    service.get("/x")
"""


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGINT])
def test_a_sudden_end_leaves_no_broken_file(ending: signal.Signals, tmp_path: Path) -> None:
    """Kill -9 or Ctrl-C at any moment: every whole line of the records is JSON, at most the last one is torn."""
    with VendorEmulator() as vendor:
        vendor.on("/x", Answer(200))
        process = subprocess.Popen([sys.executable, "-c", ENDLESS, vendor.url, str(tmp_path)], stderr=subprocess.PIPE)
        vendor.wait_for(200, timeout_seconds=60)
        process.send_signal(ending)
        _, stderr = process.communicate(timeout=60)
    if ending is signal.SIGINT:
        assert b"KeyboardInterrupt" in stderr
    [file] = tmp_path.glob("*.jsonl")
    *lines, last = file.read_bytes().split(b"\n")
    assert [json.loads(line)["kind"] for line in lines]
    if ending is signal.SIGINT:
        assert last == b""


def test_leaving_without_close_loses_nothing(tmp_path: Path) -> None:
    """A program that just ends has its queued records written."""
    code = ENDLESS.replace("while True:", "for _ in range(100):")
    with VendorEmulator() as vendor:
        vendor.on("/x", Answer(200))
        subprocess.run([sys.executable, "-c", code, vendor.url, str(tmp_path)], check=True, timeout=60)
    kinds = [json.loads(line)["kind"] for file in tmp_path.glob("*.jsonl") for line in file.read_text().splitlines()]
    assert kinds.count("attempt") == kinds.count("call") == 100


def test_ctrl_c_in_a_call_leaks_no_permit() -> None:
    """A KeyboardInterrupt in the middle of a call gives its permit and its connection back."""
    with VendorEmulator() as vendor:
        vendor.on("/hang", Hang())
        vendor.on("/x", Answer(200))
        with Connector.from_config(config(vendor.url, max_concurrency=1)) as connector:
            for number in range(3):

                def interrupt(count: int = number + 1) -> None:
                    vendor.wait_for(count, "/hang")
                    os.kill(os.getpid(), signal.SIGINT)

                thread = threading.Thread(target=interrupt)
                thread.start()
                with pytest.raises(KeyboardInterrupt):
                    connector.service("crm").get("/hang")
                thread.join(SOON)
                assert connector.service("crm").get("/x").status == 200
            assert connector.runtime.process.wire("crm").permits.free == 1


def test_services_share_their_tls_contexts() -> None:
    """Loading the certificate authorities takes milliseconds: services of one process share the result."""
    services = {name: {"base_url": f"https://{name}.example"} for name in ("a", "b")}
    with Connector.from_config({"services": services, "plugins": {"only": []}}) as connector:
        process = connector.runtime.process
        transports = [process.wire(name).transport for name in services]
        assert all(isinstance(transport, PoolTransport) for transport in transports)
        contexts = {id(vars(transport)["_contexts"]) for transport in transports}
    assert contexts == {id(process.contexts)}
