"""A call that may have changed something takes away what is kept of its path (RFC 9111 section 4.4)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from nexus_connector import Operation, Request, Response, Stage, hookimpl
from nexus_connector.errors import CircuitOpenError, ConnectorError, PluginError
from nexus_connector.execution import execute
from nexus_connector.judge import refuse
from nexus_connector.state import MemoryStore

Opens = Callable[..., Any]

FRESH = (200, {"n": 1}, {"Cache-Control": "max-age=3600"})


def kept(crm: Any, path: str = "/x", **options: Any) -> bool:
    """Whether a call is answered from what is kept."""
    return crm.call(path, **options).attempts == 0


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
@pytest.mark.parametrize("face", ["call", "await_call"])
def test_a_change_takes_away_every_answer_to_its_path(world: Opens, method: str, face: str) -> None:
    """GET and HEAD, in all queries and variants; other paths stay."""
    crm = world()
    crm.answer((200, 1, {"Cache-Control": "max-age=3600", "Vary": "Accept"}))
    calls: list[dict[str, Any]] = [
        {},
        {"query": {"page": 2}},
        {"method": "head"},
        {"headers": {"Accept": "a"}},
    ]
    for options in [*calls, {"path": "/y"}]:
        crm.call(**options)
    getattr(crm, face)(method=method)
    assert [kept(crm, **options) for options in calls] == [False] * 4
    assert kept(crm, "/y")
    assert [kept(crm, **options) for options in calls] == [True] * 4


@pytest.mark.parametrize(
    ("answer", "stays"),
    [
        (200, False),
        (303, False),
        (500, False),  # it may have happened
        (ConnectionResetError(), False),
        (TimeoutError(), False),
        (400, True),
        (404, True),
        (429, True),
        ((503, None, {"Retry-After": "1"}), True),
        (ConnectionRefusedError(), True),
    ],
    ids=str,
)
def test_only_what_may_have_happened_takes_answers_away(world: Opens, answer: object, stays: bool) -> None:
    """Done and unknown do; refused and not sent changed nothing."""
    crm = world()
    crm.answer(FRESH)
    crm.call()
    crm.answer(answer)
    crm.call(method="post")
    crm.answer(FRESH)
    assert kept(crm) is stays


def test_a_post_that_is_safe_changes_nothing(world: Opens) -> None:
    """A search by POST says so, and what is kept stays; it is not kept itself."""
    crm = world()
    crm.answer(FRESH)
    crm.call()
    crm.call(method="post", json={"q": 1}, safety="safe")
    assert kept(crm)
    crm.call(method="post", json={"q": 1}, safety="safe")
    assert crm.sends == 3


def test_a_get_that_changes_something_takes_answers_away(world: Opens) -> None:
    """Some vendors act on GET: such a call says that it is unsafe, is never kept, and takes answers away."""
    crm = world()
    crm.answer(FRESH)
    crm.call()
    crm.call(safety="unsafe")
    assert not kept(crm)
    crm.call(safety="idempotent")
    crm.call(safety="idempotent")
    assert crm.sends == 5


def test_a_change_of_one_tenant_is_not_one_of_another(world: Opens) -> None:
    """Tenants are apart in this too: nobody empties what another keeps."""
    crm = world()
    crm.answer(FRESH)
    for tenant in ("a", "b"):
        crm.call(tenant_id=tenant)
    crm.call(method="post", tenant_id="a")
    assert not kept(crm, tenant_id="a")
    assert kept(crm, tenant_id="b")


class Meanwhile(Stage):
    """Right behind the cache: does something while a GET is under way."""

    name = "meanwhile"
    slot = 310

    def __init__(self) -> None:
        self.todo: list[Callable[[], object]] = []

    @hookimpl
    def stages(self, config):
        return [self]

    async def __call__(self, call, request, next):
        result = await next(call, request)
        if request.method == "GET" and self.todo:
            self.todo.pop()()
        return result


def test_an_answer_under_way_during_a_change_is_not_kept(world: Opens) -> None:
    """It left the vendor before the change: the caller that asked gets it, nobody after."""
    meanwhile = Meanwhile()
    crm = world(plugins=[meanwhile])
    crm.answer((200, "old", {"Cache-Control": "max-age=3600"}), 200, (200, "new", {"Cache-Control": "max-age=3600"}))
    meanwhile.todo.append(lambda: crm.call(method="post"))
    assert crm.call().json() == "old"
    assert crm.call().json() == "new"
    assert kept(crm)


def test_a_confirmation_under_way_during_a_change_is_not_kept(world: Opens) -> None:
    """The same for a 304: it confirmed what the change made wrong."""
    meanwhile = Meanwhile()
    crm = world(plugins=[meanwhile])
    tagged = (200, "old", {"Cache-Control": "max-age=10", "ETag": '"1"'})
    crm.answer(tagged, 304, 200, (200, "new", {"Cache-Control": "max-age=10"}))
    crm.call()
    crm.advance(11)
    meanwhile.todo.append(lambda: crm.call(method="post"))
    assert crm.call().json() == "old"
    assert crm.call().json() == "new"
    assert "If-None-Match" not in crm.requests[3].headers


class Breaks(Stage):
    """Raises something after the change has been sent, or before."""

    name = "breaks"

    def __init__(self, error: BaseException, *, sent: bool) -> None:
        self.slot = 450
        self.error, self.sent = error, sent

    @hookimpl
    def stages(self, config):
        return [self]

    async def __call__(self, call, request, next):
        if request.method == "GET":
            return await next(call, request)
        if self.sent:
            await next(call, request)
        raise self.error


@pytest.mark.parametrize("error", [KeyboardInterrupt(), asyncio.CancelledError(), PluginError("broken")], ids=repr)
@pytest.mark.parametrize("sent", [True, False])
def test_a_change_that_broke_off_counts_if_it_was_sent(world: Opens, error: BaseException, sent: bool) -> None:
    """Ctrl-C, a cancelled task or a broken plugin after the send: it may have happened, and the error passes."""
    crm = world(plugins=[Breaks(error, sent=sent)])
    crm.answer(FRESH)
    crm.call()
    raised: BaseException | None = None
    try:
        crm.connector.service("crm").post("/x")
    except BaseException as caught:
        raised = caught
    assert raised is error
    assert kept(crm) is not sent


class Refuses(Stage):
    """Refuses as an open circuit does."""

    name = "refuses"
    slot = 450

    @hookimpl
    def stages(self, config):
        return [self]

    async def __call__(self, call, request, next):
        if request.method == "GET":
            return await next(call, request)
        return refuse(call, CircuitOpenError("open"))


def test_a_refused_change_takes_nothing_away(world: Opens) -> None:
    """Nothing left this process."""
    crm = world(plugins=[Refuses()])
    crm.answer(FRESH)
    crm.call()
    assert isinstance(crm.call(method="post"), ConnectorError)
    assert kept(crm)


class Parks(Stage):
    """Waits for something that never comes, once the change has been sent."""

    name = "parks"
    slot = 310

    @hookimpl
    def stages(self, config):
        return [self]

    async def __call__(self, call, request, next):
        if request.method == "POST":
            await next(call, request)
            await Never()
        return await next(call, request)


class Never:
    """Suspends whoever awaits it."""

    def __await__(self):
        yield 0.0


def test_a_call_that_is_thrown_away_waits_for_nothing(world: Opens) -> None:
    """A coroutine that nobody will ever resume (its loop is gone) is closed: it cannot ask a store any more."""
    asked: list[Any] = []

    class Notes(MemoryStore):
        def delete(self, key: Any) -> None:
            asked.append(key)

    crm = world(plugins=[Parks()], store=Notes(lambda: 0.0))
    runtime = crm.connector.runtime
    operation = Operation(name="POST /x", request=Request(method="POST", path="/x"), parse=Response.json)
    coroutine = execute(runtime, runtime.loop_io, "crm", lambda target, options: operation)
    coroutine.send(None)
    coroutine.close()
    assert (crm.sends, asked) == (1, [])
