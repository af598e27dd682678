"""The driver of the sync face: no loop needed, the caller's loop hidden, and misuse named with file and line."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Generator, Sequence
from functools import partial
from typing import Any

import pytest

from nexus_connector import (
    AsyncConnector,
    Call,
    Connector,
    Next,
    Request,
    Response,
    Result,
    ServiceSetup,
    Stage,
    hookimpl,
)
from nexus_connector.errors import PluginError
from nexus_connector.io.drive import drive
from nexus_connector.testing import fake
from nexus_connector.testing.emulator import Answer, VendorEmulator

Wait = Callable[[], Awaitable[object]]


class Waiting(Stage):
    """A stage that waits in some way before it goes on."""

    name, slot = "waiting", 450

    def __init__(self, wait: Callable[[Call], Awaitable[object]]) -> None:
        self._wait = wait

    async def __call__(self, call: Call, request: Request, next: Next) -> Result:
        await self._wait(call)
        return await next(call, request)


class Brings:
    """What an application gives: one stage."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    @hookimpl
    def stages(self, config: ServiceSetup) -> Sequence[Stage]:
        return [self._stage]


def build(*plugins: object, url: str = "https://crm.example") -> Connector:
    """A connector without installed plugins."""
    config = {"services": {"crm": {"base_url": url}}, "plugins": {"only": []}}
    return Connector.from_config(config, plugins=plugins)


def call(wait: Callable[[Call], Awaitable[object]]) -> Response:
    """Make a call through a stage that waits like this, on the sync face."""
    with build(Brings(Waiting(wait))) as connector, fake(connector) as vendors:
        vendors.answer("crm", {"ok": True})
        return connector.service("crm").get("/x")


def line_of(function: Callable[..., object], text: str) -> str:
    """``file:line`` of the line of a function that holds a text."""
    lines, first = inspect.getsourcelines(function)
    return f"{__file__}:{first + next(number for number, line in enumerate(lines) if text in line)}"


# Driving


def test_a_coroutine_is_run_to_its_end() -> None:
    """Its value is returned, what it raises passes."""

    async def value() -> int:
        return 7

    async def fail() -> None:
        raise LookupError

    assert drive(value()) == 7
    with pytest.raises(LookupError):
        drive(fail())


def test_no_event_loop_is_made() -> None:
    """Nothing of asyncio is running or set while a call is driven."""
    running = []

    async def look(call: Call) -> None:
        running.append(asyncio._get_running_loop())

    assert call(look).status == 200
    assert running == [None]


def test_the_callers_loop_is_hidden_and_given_back() -> None:
    """Called from async code, a stage finds no running loop it could take for its own; afterwards it runs on."""
    found: list[str] = []

    async def look(call: Call) -> None:
        try:
            asyncio.get_running_loop()
        except RuntimeError as error:
            found.append(str(error))

    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert call(look).status == 200
        assert asyncio.get_running_loop() is loop
        await asyncio.sleep(0)

    asyncio.run(main())
    assert found == ["no running event loop"]


def test_the_loop_is_given_back_after_an_error() -> None:
    """Whatever ends the coroutine."""

    async def fail(error: BaseException) -> None:
        raise error

    async def main() -> None:
        loop = asyncio.get_running_loop()
        for error in (LookupError(), KeyboardInterrupt()):
            with pytest.raises(type(error)):
                drive(fail(error))
            assert asyncio.get_running_loop() is loop
        with pytest.raises(PluginError):
            drive(asyncio.sleep(0))
        assert asyncio.get_running_loop() is loop

    asyncio.run(main())


def test_the_sync_face_works_inside_a_running_loop() -> None:
    """``Connector`` called from async code sends over its own sockets and returns; the loop is only kept waiting."""

    async def main(connector: Connector) -> list[int]:
        service = connector.service("crm")
        return [service.get("/x").status, (await connector.as_async().service("crm").get("/x")).status]

    with VendorEmulator() as vendor, build(url=vendor.url) as connector:
        vendor.on("/x", Answer(json={"ok": True}))
        assert asyncio.run(main(connector)) == [200, 200]


def test_calls_inside_calls_are_driven_too() -> None:
    """A hook may make a call of its own, on the sync face, also while the async face waits for the outer one."""

    class Looks:
        connector: Connector

        @hookimpl
        def before_request(self, call: Call, request: Request) -> Request | None:
            if request.path == "/token":
                return None
            token = self.connector.service("crm").get("/token", into=str)
            return request.with_headers({"X-Token": token})

    looks = Looks()
    with build(looks) as connector, fake(connector) as vendors:
        looks.connector = connector
        vendors.answer("GET /token", '"t"', "t")
        vendors.answer("GET /x", lambda request: {"token": request.headers["X-Token"]})
        assert connector.service("crm").get("/x").json() == {"token": '"t"'}
        assert asyncio.run(connector.as_async().service("crm").get("/x", into=dict)) == {"token": "t"}


# Misuse


async def sleeps(call: Call) -> None:
    """Ask asyncio to wait."""
    await asyncio.sleep(1)


async def looks_for_a_loop(call: Call) -> None:
    """Ask for the loop, to wait on something of its own."""
    await asyncio.get_running_loop().create_future()


async def has_a_timeout(call: Call) -> None:
    """Use what only works inside a task."""
    async with asyncio.timeout(1):
        await call.io.sleep(0)


class Bare:
    """Something to wait on that no Io made."""

    def __await__(self) -> Generator[str]:
        yield "resumed by nobody"


async def waits_for_something(call: Call) -> None:
    """Wait on something that only another loop would end."""
    await Bare()


async def waits_for_a_future(call: Call) -> None:
    """Wait on a future of a loop that does not run."""
    loop = asyncio.new_event_loop()
    try:
        await loop.create_future()
    finally:
        loop.close()


MISUSES = {
    sleeps: "asyncio.sleep(1)",
    looks_for_a_loop: "get_running_loop",
    has_a_timeout: "asyncio.timeout",
    waits_for_something: "Bare()",
    waits_for_a_future: "create_future()",
}
misuses = pytest.mark.parametrize(("wait", "line"), MISUSES.items(), ids=[each.__name__ for each in MISUSES])


@misuses
def test_a_stage_that_waits_on_its_own_is_named(wait: Callable[[Call], Awaitable[object]], line: str) -> None:
    """The error is a PluginError that names plugin, function, file and line, and says what to use instead."""
    with pytest.raises(PluginError, match="waited on something else than call") as caught:
        call(wait)
    place = line_of(Bare.__await__, "yield") if wait is waits_for_something else line_of(wait, line)
    assert f"({place})" in caught.value.message
    assert f" of {__name__.partition('.')[0]} (" in caught.value.message
    assert "call.io.sleep" in str(caught.value)
    assert "AsyncConnector" in str(caught.value)
    assert caught.value.service == "crm"
    assert caught.value.call_id


@misuses
def test_a_stage_that_swallows_the_error_and_waits_again_is_ended(
    wait: Callable[[Call], Awaitable[object]], line: str
) -> None:
    """The second time the coroutine is closed: the caller gets the error, and nothing was sent."""
    ended: list[str] = []

    async def stubborn(call: Call) -> None:
        try:
            for _ in range(2):
                try:
                    await wait(call)
                except (PluginError, RuntimeError):
                    ended.append("swallowed")
            await wait(call)
        finally:
            ended.append("closed")

    with build(Brings(Waiting(stubborn))) as connector, fake(connector) as vendors:
        vendors.answer("crm", {"ok": True})
        with pytest.raises(PluginError, match="waited on something else than call"):
            connector.service("crm").get("/x")
        assert vendors.sent() == []
    assert ended[0] == "swallowed"
    assert ended[-1] == "closed"


def test_a_stage_that_mends_itself_goes_on() -> None:
    """The error is an ordinary one inside the stage: who catches it and waits properly has done nothing wrong."""
    seen: list[BaseException] = []

    async def mended(call: Call) -> None:
        try:
            await Bare()
        except PluginError as error:
            seen.append(error)
            await call.io.sleep(1)

    assert call(mended).status == 200
    assert len(seen) == 1


def test_even_what_ignores_its_end_is_left() -> None:
    """A stage that answers every error with another wait cannot hold the caller."""

    async def immortal(call: Call) -> None:
        for _ in range(3):
            try:
                await Bare()
            except BaseException:
                continue

    with pytest.raises(PluginError, match="waited on something else"):
        call(immortal)


def test_async_hooks_are_held_to_it_too() -> None:
    """The same error for a hook, naming the hook's own line."""

    class Hooks:
        @hookimpl
        async def before_request(self, call: Call, request: Request) -> None:
            await asyncio.sleep(1)

    with build(Hooks()) as connector, fake(connector), pytest.raises(PluginError) as caught:
        connector.service("crm").get("/x")
    assert f"({line_of(Hooks.before_request, 'asyncio.sleep')})" in caught.value.message
    assert "Hooks.before_request" in caught.value.message


def test_other_runtime_errors_stay_what_they_are() -> None:
    """Only the missing loop is taken for misuse."""

    async def fail(call: Call) -> None:
        message = "the event loop of the vendor"
        raise RuntimeError(message)

    with pytest.raises(PluginError, match="'waiting' raised RuntimeError") as caught:
        call(fail)
    assert isinstance(caught.value.__cause__, RuntimeError)


@pytest.mark.parametrize("wait", [asyncio.sleep, lambda _: asyncio.get_running_loop().run_in_executor(None, int)])
def test_the_async_face_lets_stages_wait_on_the_loop(wait: Callable[[float], Awaitable[object]]) -> None:
    """There the loop is the stage's own."""

    async def wait_shortly(call: Call) -> None:
        await wait(0)

    async def main() -> int:
        config = {"services": {"crm": {"base_url": "https://crm.example"}}, "plugins": {"only": []}}
        connector = AsyncConnector.from_config(config, plugins=[Brings(Waiting(wait_shortly))])
        with fake(connector) as vendors:
            vendors.answer("crm", 204)
            return (await connector.service("crm").get("/x")).status

    assert asyncio.run(main()) == 204


def test_gathered_tasks_are_driven_in_their_threads() -> None:
    """Under the sync face a misuse inside ``io.gather`` comes as the task's own error, in its place."""

    async def good(value: int) -> int:
        return value

    async def bad() -> int:
        await asyncio.sleep(0)
        return 0

    tasks: list[Callable[[], Awaitable[int]]] = [partial(good, 1), bad, partial(good, 3)]
    with build() as connector:
        first, second, third = drive(connector.runtime.blocking_io.gather(tasks, 3))
    assert (first, third) == (1, 3)
    assert isinstance(second, PluginError)
    assert line_of(bad, "asyncio.sleep") in str(second)


def test_an_awaitable_without_frames_is_still_named() -> None:
    """Where no plugin's frame is suspended, the innermost coroutine is named."""

    def generator() -> Any:
        yield None

    class Odd:
        def __await__(self) -> Any:
            return generator()

    async def outer() -> None:
        await Odd()

    with pytest.raises(PluginError, match="generator of "):
        drive(outer())
