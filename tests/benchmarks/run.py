"""A first harness: our calls against bare urllib3, side by side in one run.

The server runs in a process of its own. Candidates take turns within each round, so that what the machine does
meanwhile hits all of them; each round gives a median, the table the median of medians. One candidate runs twice: the
ratio of the two is the control, and says how far to trust the rest.

    nox -s bench
    nox -s bench -- --rounds 31 --json bench.json
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

import attrs
import urllib3

from nexus_connector import CallSucceeded, Connector, Headers, Request, Secret, hookimpl
from nexus_connector.process import Wire
from nexus_connector.transport import Abort, Received

BODY = {"text": "x" * 1000}
CONTROL = (0.95, 1.05)
CONCURRENT = 1000


class Hook:
    """One hook, as in most applications."""

    @hookimpl
    def before_request(self, request: Request) -> Request:
        return request.with_headers({"X-Trace": "bench"})


class Stub:
    """A transport that answers at once: what is left is the pipeline."""

    answer = Received(200, Headers({"Content-Type": "application/json"}), b'{"ok": true}')

    def send(self, request: Request, *, deadline: float, abort: Abort | None = None, stream: bool = False) -> Received:
        return self.answer

    def close(self) -> None:
        pass


@attrs.frozen
class Row:
    """One line of the table."""

    name: str
    microseconds: float
    ratio: float
    p99: float


@contextmanager
def server(delay_seconds: float = 0.0) -> Generator[str]:
    """Run the emulator in a process of its own; yields its URL."""
    command = [
        sys.executable,
        "-m",
        "nexus_connector.testing.emulator",
        "--port",
        "0",
        "--delay-seconds",
        str(delay_seconds),
    ]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.stdin.close() if process.stdin is not None else None


def full(url: str, records: Path) -> Connector:
    """The stack of the issue: retry, jsonl, credentials, one hook, one receiver."""
    service = {"base_url": url, "credentials": {"token": Secret("a-token-of-the-bench")}}
    plugins = {"only": ["retry", "jsonl"], "jsonl": {"path": str(records)}}
    connector = Connector.from_config({"services": {"vendor": service}, "plugins": plugins}, plugins=[Hook()])
    connector.on(CallSucceeded)(lambda event: None)
    return connector


def plain(url: str) -> Connector:
    """No plugin at all."""
    return Connector.from_config({"services": {"vendor": {"base_url": url}}, "plugins": {"only": []}})


def stubbed(connector: Connector) -> Connector:
    """The same connector over a transport that answers at once."""
    connector.runtime.process._wires["vendor"] = Wire(Stub(), 100)
    return connector


def measure(candidates: Mapping[str, Callable[[], object]], rounds: int, calls: int) -> dict[str, list[list[float]]]:
    """Time every candidate in every round, in turns."""
    for call in candidates.values():
        for _ in range(50):
            call()
    samples: dict[str, list[list[float]]] = {name: [] for name in candidates}
    for number in range(rounds):
        names = list(candidates)
        shift = number % len(names)
        for name in names[shift:] + names[:shift]:
            call, times = candidates[name], []
            for _ in range(calls):
                started = time.perf_counter()
                call()
                times.append(time.perf_counter() - started)
            samples[name].append(times)
    return samples


def rows(samples: Mapping[str, list[list[float]]], base: str) -> list[Row]:
    """Reduce the samples: medians of medians, ratios to the base, p99 over everything."""
    medians = {name: statistics.median(map(statistics.median, each)) for name, each in samples.items()}
    table = []
    for name, each in samples.items():
        everything = sorted(time for times in each for time in times)
        p99 = everything[int(len(everything) * 0.99)]
        table.append(Row(name, medians[name] * 1e6, medians[name] / medians[base], p99 * 1e6))
    return table


def over_the_wire(rounds: int, calls: int) -> list[Row]:
    """GET and a POST of 1 KB against bare urllib3."""
    with server() as url, tempfile.TemporaryDirectory() as folder:
        bare = urllib3.PoolManager()
        encoded = json.dumps(BODY).encode()
        headers = {"Content-Type": "application/json"}
        with full(url, Path(folder)) as stack, plain(url) as core:
            table = rows(
                measure(
                    {
                        "urllib3 GET": lambda: bare.request("GET", f"{url}/x").data,
                        "urllib3 GET (control)": lambda: bare.request("GET", f"{url}/x").data,
                        "core alone GET": lambda: core.service("vendor").get("/x"),
                        "retry+jsonl+hook+receiver GET": lambda: stack.service("vendor").get("/x"),
                    },
                    rounds,
                    calls,
                ),
                "urllib3 GET",
            )
            table += rows(
                measure(
                    {
                        "urllib3 POST 1 KB": lambda: (
                            bare.request("POST", f"{url}/x", body=encoded, headers=headers).data
                        ),
                        "retry+jsonl+hook+receiver POST 1 KB": lambda: stack.service("vendor").post("/x", json=BODY),
                    },
                    rounds,
                    calls,
                ),
                "urllib3 POST 1 KB",
            )
        bare.clear()
    return table


def over_a_stub(rounds: int, calls: int) -> list[Row]:
    """The pipeline alone, on both faces."""
    config = {"services": {"vendor": {"base_url": "https://vendor.example"}}, "plugins": {"only": ["retry"]}}
    with stubbed(Connector.from_config(config, plugins=[Hook()])) as connector:
        service = connector.service("vendor")
        return rows(measure({"call over a stub": lambda: service.get("/x")}, rounds, calls), "call over a stub")


def at_once() -> float:
    """Seconds for a thousand awaited calls at once against a server that takes 100 ms for each."""
    with server(0.1) as url:
        return asyncio.run(_concurrent(url, CONCURRENT))


async def _concurrent(url: str, count: int) -> float:
    config = {"services": {"vendor": {"base_url": url, "max_concurrency": count}}, "plugins": {"only": []}}
    connector = Connector.from_config(config)
    service = connector.as_async().service("vendor")
    await asyncio.gather(*[service.get("/warm") for _ in range(count)])
    started = time.perf_counter()
    await asyncio.gather(*[service.get("/x") for _ in range(count)])
    elapsed = time.perf_counter() - started
    await connector.as_async().close()
    return elapsed


def main() -> int:
    """Run everything and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--calls", type=int, default=200)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    table = over_the_wire(options.rounds, options.calls) + over_a_stub(options.rounds, options.calls)
    print(f"{'candidate':<40}{'median us':>12}{'ratio':>9}{'p99 us':>10}")
    for row in table:
        print(f"{row.name:<40}{row.microseconds:>12.1f}{row.ratio:>9.3f}{row.p99:>10.1f}")
    print(f"{CONCURRENT} awaited calls at once, each answered after 100 ms, on threads: {at_once():.3f} s")
    control = next(row.ratio for row in table if "control" in row.name)
    if not CONTROL[0] <= control <= CONTROL[1]:
        print(f"void: the control left {CONTROL[0]} to {CONTROL[1]}; the machine was busy with something else")
    if options.json:
        options.json.write_text(json.dumps([attrs.asdict(row) for row in table], indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
