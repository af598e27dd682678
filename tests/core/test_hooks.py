"""Hooks: one test per specification, and the rules that hold for all of them, on both faces."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from typing import Any

import attrs
import pytest

from nexus_connector import (
    AuthMethod,
    Call,
    CircuitChanged,
    Connector,
    Credentials,
    Gate,
    IntegrationLog,
    Plugin,
    PluginFailed,
    Refusal,
    Request,
    Response,
    Secret,
    ServiceSetup,
    Stage,
    Verdict,
    hookimpl,
    hookspecs,
)
from nexus_connector.errors import (
    AuthenticationError,
    CircuitOpenError,
    ConfigurationError,
    ConnectorError,
    CredentialNotFoundError,
    InvalidRequestError,
    NotFoundError,
    PluginError,
    TenantRequiredError,
    VendorError,
)
from nexus_connector.hooks import compile_hooks
from nexus_connector.plugins import new_registry, register
from nexus_connector.testing import Fake, fake
from nexus_connector.testing.emulator import Answer, VendorEmulator
from nexus_connector.verdict import Outcome

Act = Callable[..., Any]


@attrs.frozen(kw_only=True)
class QuietOptions:
    """Options of a plugin that is switched on and off."""

    level: int = 1


Get = Callable[[Connector], Response]

CHAIN: Mapping[str, Callable[..., object]] = {
    "before_request": lambda call, request: request.with_headers({"X-Hook": "seen"}),
    "before_attempt": lambda call, request: request.with_headers({"X-Hook": "seen"}),
    "classify": lambda call, verdict, response: attrs.evolve(verdict, health="ignore"),
    "transform_response": lambda call, response: attrs.evolve(response, body=b'"transformed"'),
    "resolve_credentials": lambda call, rejected: Credentials.bearer(Secret("token-of-a-hook")),
    "resolve_tenant": lambda call: "tenant-of-a-hook",
}
"""The hooks that run inside a call, each with an answer of the right kind."""
chain = pytest.mark.parametrize("name", CHAIN)


def hook(name: str, act: Act, arguments: str | None = None, *, kind: str = "def", **options: Any) -> object:
    """An application's object that implements one hook with its own arguments."""
    if arguments is None:
        arguments = ", ".join(inspect.signature(getattr(hookspecs, name)).parameters)
    wait = "await call.io.sleep(0)" if kind == "async def" else "pass"
    space: dict[str, Any] = {"act": act}
    exec(f"{kind} {name}(self, {arguments}):\n    {wait}\n    return act({arguments})", space)
    return type("Hooks", (), {name: hookimpl(**options)(space[name])})()


def build(*plugins: object, **service: Any) -> Connector:
    """A connector with two services and without installed plugins."""
    crm = {"base_url": "https://crm.example", **service}
    services = {"crm": crm, "erp": {"base_url": crm["base_url"]}}
    return Connector.from_config({"services": services, "plugins": {"only": []}}, plugins=plugins)


def sync_get(connector: Connector) -> Response:
    """Make a call on the blocking face."""
    return connector.service("crm").get("/x")


def async_get(connector: Connector) -> Response:
    """Make a call on the awaited face."""

    async def get() -> Response:
        return await connector.as_async().service("crm").get("/x")

    return asyncio.run(get())


@pytest.fixture(params=[sync_get, async_get], ids=["sync", "async"])
def get(request: pytest.FixtureRequest) -> Get:
    """A call on each face in turn."""
    chosen: Get = request.param
    return chosen


def play(
    *plugins: object, answers: Sequence[object] = (200,), get: Get = sync_get, **service: object
) -> tuple[Response, Fake]:
    """Make a call through hooks against a fake vendor."""
    with build(*plugins, **service) as connector, fake(connector) as vendors:
        vendors.answer("", *answers)
        return get(connector), vendors


def act_raising(error: BaseException) -> Act:
    """An implementation that raises."""

    def act(*_: object) -> object:
        raise error

    return act


# Each hook


def test_hook_before_request(get: Get) -> None:
    """Changes the request of a call once, however often it is sent, before base URL and credentials are on it."""
    seen: list[Request] = []

    class Hooks:
        @hookimpl
        def before_request(self, call: Call, request: Request) -> Request:
            seen.append(request)
            return request.with_headers({"X-Call": call.id}).with_query({"page": 2})

        @hookimpl
        def resolve_credentials(self, call: Call, rejected: Credentials | None) -> Credentials:
            return Credentials.bearer(Secret("second-token" if rejected else "first-token"))

    response, vendors = play(Hooks(), answers=[401, 200], get=get)
    (request,) = seen
    assert (request.base_url, "authorization" in request.headers) == ("", False)
    (sent,) = vendors.sent()
    assert sent.request.url == "https://crm.example/x?page=2"
    assert sent.request.headers["X-Call"] == response.call.id
    assert (sent.attempts, response.attempts) == (2, 2)


def test_hook_before_request_may_answer(get: Get) -> None:
    """A Response ends the chain and is taken as the vendor's: transformed, parsed, raised if it is an error."""

    class Hooks:
        status = 200

        @hookimpl
        def before_request(self, call: Call, request: Request) -> Response:
            return Response(status=self.status, body=b'{"own": true}')

        @hookimpl
        def transform_response(self, call: Call, response: Response) -> Response:
            return attrs.evolve(response, body=response.body.replace(b"own", b"transformed"))

    hooks = Hooks()
    response, vendors = play(hooks, answers=[500], get=get)
    assert (response.json(), response.attempts, vendors.sent()) == ({"transformed": True}, 0, [])
    assert response.call.service == "crm"
    hooks.status = 404
    with pytest.raises(NotFoundError) as caught:
        play(hooks, get=get)
    assert (caught.value.attempts, caught.value.outcome) == (0, Outcome.REFUSED)


def test_hook_before_attempt(get: Get) -> None:
    """Changes the request of each send, last of all: credentials and base URL are on it, ``call.now`` is aware."""
    seen: list[tuple[str, str | None]] = []

    class Hooks:
        @hookimpl
        def before_attempt(self, call: Call, request: Request) -> Request:
            assert call.now.tzinfo is not None
            seen.append((request.url, request.headers.get("authorization")))
            return request.with_headers({"X-Attempt": str(len(seen))})

        @hookimpl
        def resolve_credentials(self, call: Call, rejected: Credentials | None) -> Credentials:
            return Credentials.bearer(Secret("second-token" if rejected else "first-token"))

    _, vendors = play(Hooks(), answers=[401, 200], get=get)
    assert seen == [("https://crm.example/x", "Bearer first-token"), ("https://crm.example/x", "Bearer second-token")]
    assert vendors.sent()[0].request.headers["X-Attempt"] == "2"


def test_hook_classify(get: Get) -> None:
    """Judges an answer otherwise: an error hidden in a 200 is raised, an error that is none is returned."""

    class Hooks:
        @hookimpl
        def classify(self, call: Call, verdict: Verdict, response: Response | None) -> Verdict | None:
            if response is not None and response.body == b'{"error":"busy"}':
                error = VendorError("busy.", status=200, code="busy")
                return Verdict(outcome=Outcome.REFUSED, health="ok", error=error)
            if response is not None and response.status == 409:
                return Verdict(outcome=Outcome.DONE, health="ok")
            return None

    with pytest.raises(VendorError) as caught:
        play(Hooks(), answers=[{"error": "busy"}], get=get)
    assert (caught.value.code, caught.value.outcome, caught.value.service) == ("busy", Outcome.REFUSED, "crm")
    assert play(Hooks(), answers=[409], get=get)[0].status == 409
    assert play(Hooks(), answers=[200], get=get)[0].status == 200


def test_hook_classify_sees_failures_but_not_refusals(get: Get) -> None:
    """A lost connection is judged without a response; what this library itself refused is not asked about."""
    seen: list[tuple[Outcome, Response | None]] = []
    hooks = hook("classify", lambda call, verdict, response: seen.append((verdict.outcome, response)))
    with pytest.raises(ConnectorError):
        play(hooks, answers=[ConnectionResetError()], get=get)
    assert seen == [(Outcome.UNKNOWN, None)]
    with pytest.raises(InvalidRequestError):
        play(hooks, hook("before_attempt", act_raising(InvalidRequestError("no."))), get=get)
    assert len(seen) == 1


def test_hook_classify_never_makes_an_unsafe_call_repeatable() -> None:
    """Whatever a hook says, the core applies safety again: an unknown outcome of a POST is not sent again."""

    class Again(Stage):
        name, slot = "again", 400

        async def __call__(self, call: Call, request: Request, next: Any) -> Any:
            result = await next(call, request)
            return await next(call, request) if result.verdict.retry else result

    class Hooks:
        @hookimpl
        def stages(self, config: ServiceSetup) -> Sequence[Stage]:
            return [Again()]

        @hookimpl
        def classify(self, call: Call, verdict: Verdict, response: Response | None) -> Verdict:
            return attrs.evolve(verdict, retry=True)

    with build(Hooks()) as connector, fake(connector) as vendors:
        vendors.answer("", ConnectionResetError())
        for method, sends in (("post", 1), ("get", 2)):
            with pytest.raises(ConnectorError):
                getattr(connector.service("crm"), method)("/x")
            assert vendors.sent()[-1].attempts == sends


def test_hook_transform_response(get: Get) -> None:
    """Changes the final answer before it is parsed, in turn, once per call; errors do not pass through it."""
    seen: list[int] = []

    def wrap(call: Call, response: Response) -> Response:
        seen.append(response.status)
        return attrs.evolve(response, body=b"[%b]" % response.body)

    hooks = [hook("transform_response", wrap), hook("transform_response", wrap)]
    response, _ = play(*hooks, answers=[{"id": 1}], get=get)
    assert response.json() == [[{"id": 1}]]
    with pytest.raises(NotFoundError):
        play(*hooks, answers=[404], get=get)
    assert seen == [200, 200]


def test_hook_transform_response_that_fails_stays_done() -> None:
    """The vendor did it: the caller must not do it again because of a hook."""
    hooks = hook("transform_response", act_raising(InvalidRequestError("odd.")))
    with pytest.raises(InvalidRequestError) as caught:
        play(hooks, get=lambda connector: connector.service("crm").post("/x"))
    assert (caught.value.outcome, caught.value.retry_safe) == (Outcome.DONE, False)


def test_hook_resolve_credentials(get: Get) -> None:
    """Finds the credentials of an attempt; after a 401 it is asked once more with those that were rejected."""
    asked: list[Credentials | None] = []

    class Hooks:
        @hookimpl
        def resolve_credentials(self, call: Call, rejected: Credentials | None) -> Credentials | None:
            asked.append(rejected)
            return Credentials.api_key(Secret("second-key" if rejected else "first-key"))

    response, vendors = play(Hooks(), answers=[401, {"ok": True}], get=get)
    assert response.json() == {"ok": True}
    assert vendors.sent()[0].request.headers["X-Api-Key"] == "second-key"
    assert asked[0] is None
    assert asked[1] is not None
    assert asked[1].method is AuthMethod.API_KEY
    with pytest.raises(AuthenticationError):
        play(Hooks(), answers=[401], get=get)
    assert len(asked) == 4


def test_hook_resolve_credentials_first_answer_counts(get: Get) -> None:
    """``None`` is "not mine"; nobody's is an error before sending, and after a rejection the 401 stands."""

    def answering(token: str | None) -> object:
        return hook("resolve_credentials", lambda *_: None if token is None else Credentials.bearer(Secret(token)))

    _, vendors = play(answering(None), answering("second-token"), answering("third-token"), get=get)
    assert vendors.sent()[0].request.headers["Authorization"] == "Bearer second-token"
    _, vendors = play(answering(None), get=get, credentials={"token": Secret("static-token")})
    assert vendors.sent()[0].request.headers["Authorization"] == "Bearer static-token"
    only_once = hook(
        "resolve_credentials", lambda call, rejected: None if rejected else Credentials.bearer(Secret("t" * 9))
    )
    with pytest.raises(AuthenticationError):
        play(only_once, answers=[401], get=get)


def test_hook_resolve_credentials_may_refuse(get: Get) -> None:
    """A ConnectorError fails the call; nothing was sent."""
    error = CredentialNotFoundError("no tenant of this name.")
    with pytest.raises(CredentialNotFoundError) as caught:
        play(hook("resolve_credentials", act_raising(error)), get=get)
    assert caught.value is error
    assert (caught.value.attempts, caught.value.outcome) == (0, Outcome.NOT_SENT)


def test_hook_resolve_tenant(get: Get) -> None:
    """Finds the tenant of a call that names none; the first answer counts, nobody's is an error where one is needed."""
    nobody, acme, other = (hook("resolve_tenant", lambda call, found=found: found) for found in (None, "acme", "other"))
    response, vendors = play(nobody, acme, other, get=get, tenant="required")
    assert (response.call.tenant_id, vendors.sent()[0].tenant_id) == ("acme", "acme")
    with pytest.raises(TenantRequiredError):
        play(nobody, get=get, tenant="required")
    with build(acme) as connector, fake(connector) as vendors:
        vendors.answer("", 200)
        assert connector.service("crm").get("/x", tenant_id="mine").call.tenant_id == "mine"


@pytest.fixture
def records() -> list[IntegrationLog]:
    """What a sink has kept."""
    return []


def test_hook_store_log(get: Get, records: list[IntegrationLog]) -> None:
    """Gets the records of attempts and calls in batches, in order, redacted, in the background thread."""
    threads: set[str] = set()

    def keep(batch: Sequence[IntegrationLog]) -> None:
        threads.add(threading.current_thread().name)
        records.extend(batch)

    with VendorEmulator() as vendor, build(hook("store_log", keep), base_url=vendor.url) as connector:
        vendor.on("/x", Answer(404, json={"password": "hidden-of-a-test"}))
        with pytest.raises(NotFoundError):
            get(connector)
        connector.flush()
    assert [(record.kind, record.http_status_code, record.outcome) for record in records] == [
        ("attempt", 404, Outcome.REFUSED),
        ("call", 404, Outcome.REFUSED),
    ]
    assert "hidden-of-a-test" not in repr([record.as_dict() for record in records])
    assert threads == {"nexus-background"}


def test_hook_store_log_that_raises_harms_nobody(records: list[IntegrationLog]) -> None:
    """The call returns, the other sinks get their batch, and PluginFailed tells of it."""
    failed: list[PluginFailed] = []
    hooks = [hook("store_log", act_raising(OSError("disk full"))), hook("store_log", records.extend)]
    with build(*hooks) as connector, fake(connector) as vendors:
        connector.on(PluginFailed)(failed.append)
        vendors.answer("", 200)
        assert sync_get(connector).status == 200
    assert len(records) == 2
    assert {(event.plugin, event.hook) for event in failed} == {("Hooks", "store_log")}


def test_hook_on_circuit_change() -> None:
    """Hears each transition without any receiver, its own service's only if it says so; what it raises is told."""
    heard: list[tuple[str, CircuitChanged]] = []
    failed: list[PluginFailed] = []

    def keep(who: str) -> Callable[[CircuitChanged], None]:
        return lambda event: heard.append((who, event))

    hooks = [
        hook("on_circuit_change", keep("every")),
        hook("on_circuit_change", keep("erp"), service="erp"),
        hook("on_circuit_change", act_raising(OSError("pager down"))),
    ]
    with build(*hooks) as connector, fake(connector):
        event = CircuitChanged(
            service="crm",
            call_id=None,
            at=connector.runtime.blocking_io.wall(),
            region="crm.example",
            group="",
            old="closed",
            new="open",
            reason="5 consecutive failures",
            open_seconds=60.0,
        )
        connector.runtime.emit(event)
        assert heard == [("every", event)]
        connector.on(PluginFailed)(failed.append)
        connector.on(CircuitChanged)(keep("receiver"))
        connector.runtime.emit(event)
    assert [who for who, _ in heard] == ["every", "every", "receiver"]
    assert [(each.plugin, each.hook, each.message) for each in failed] == [
        ("Hooks#3", "on_circuit_change", "raised OSError on CircuitChanged")
    ]


@pytest.mark.parametrize("default", [True, False], ids=["on", "off"])
def test_a_plugin_switched_off_for_a_service_takes_no_part_there(records: list[IntegrationLog], default: bool) -> None:
    """Its hooks are left out of the calls, and its sinks hear nothing of that service; the others keep it."""
    seen: list[str] = []

    class Hooks:
        @hookimpl
        def before_request(self, call: Call, request: Request) -> None:
            seen.append(call.service)

        @hookimpl
        def store_log(self, records: Sequence[IntegrationLog]) -> None:
            kept.extend(records)

        @hookimpl
        def stages(self, config: ServiceSetup) -> None:
            return None

    kept = records
    plugin = Plugin(name="quiet", factory=lambda _: Hooks(), config=QuietOptions)
    base = {"base_url": "https://crm.example"}
    off = {**base, "quiet": False} if default else base
    on = base if default else {**base, "quiet": {"level": 2}}
    config: dict[str, Any] = {"services": {"crm": on, "erp": off}, "plugins": {"only": []}}
    if not default:
        config["plugins"]["quiet"] = False
    with Connector.from_config(config, plugins=[plugin]) as connector, fake(connector) as vendors:
        vendors.answer("", 200)
        for name in ("crm", "erp"):
            connector.service(name).get("/x")
        lines = [entry.name for entry in connector.explain("erp")]
    assert seen == ["crm"]
    assert {record.service_name for record in records} == {"crm"}
    assert "quiet.before_request" not in lines


def test_hook_store_log_of_one_service(records: list[IntegrationLog]) -> None:
    """``service=`` gives a sink the records of that service only."""
    with build(hook("store_log", records.extend, service="erp")) as connector, fake(connector) as vendors:
        vendors.answer("", 200)
        for name in ("crm", "erp", "crm"):
            connector.service(name).get("/x")
    assert {record.service_name for record in records} == {"erp"}
    assert len(records) == 2


def test_hook_read_log() -> None:
    """The first plugin that keeps records of the call answers; ``None`` is "not mine"."""
    answers = [{"id": "r1"}]

    def keeping(known: str) -> object:
        return hook("read_log", lambda call_id: answers if call_id == known else None)

    with build(keeping("a"), keeping("b")) as connector:
        assert connector.runtime.read_log("b") == answers
        assert connector.runtime.read_log("c") is None


def test_hook_stages() -> None:
    """Called once per service at start, with the service's name and options; ``None`` and nothing are no stages."""
    seen: list[str] = []

    def bring(config: ServiceSetup) -> Sequence[Stage] | None:
        seen.append(config.name)
        assert config.config.base_url == ("https://crm.example",)
        stage = Stage()
        stage.name, stage.slot = f"of-{config.name}", 450
        return [stage] if config.name == "crm" else None

    with build(hook("stages", bring), hook("stages", lambda config: ())) as connector:
        assert sorted(seen) == ["crm", "erp"]
        assert [entry.name for entry in connector.explain("crm") if entry.kind == "stage"] == ["of-crm"]
        assert [entry.name for entry in connector.explain("erp") if entry.kind == "stage"] == []
        with fake(connector) as vendors:
            vendors.answer("", 200)
            sync_get(connector)


def test_hook_gates() -> None:
    """Called once per service at start; what it returns admits or refuses the attempts of that service."""

    class Closed(Gate):
        name = "closed"

        def check(self, attempt: Any) -> Refusal:
            return Refusal(CircuitOpenError("closed.", retry_after=3))

    closed = hook("gates", lambda config: [Closed()] if config.name == "crm" else None)
    with build(closed) as connector, fake(connector) as vendors:
        vendors.answer("", 200)
        assert [(entry.slot, entry.name) for entry in connector.explain("crm") if entry.kind == "gate"] == [
            (800, "closed")
        ]
        with pytest.raises(CircuitOpenError):
            sync_get(connector)
        assert connector.service("erp").get("/x").status == 200


def test_hook_gates_need_names_of_their_own() -> None:
    """Each keeps its state under its name."""
    twin = Gate()
    twin.name = "twin"
    with pytest.raises(ConfigurationError, match="Two gates are called 'twin'"):
        build(hook("gates", lambda config: [twin]), hook("gates", lambda config: [twin]))


@pytest.mark.parametrize("name", ["stages", "gates"])
@pytest.mark.parametrize(
    ("act", "message"),
    [
        (act_raising(LookupError("a bug")), "raised LookupError for service crm"),
        (lambda config: [object()], "returned object, which is no"),
        (lambda config: Stage(), "raised TypeError for service crm"),
    ],
    ids=["raises", "wrong_thing", "no_list"],
)
def test_build_hooks_are_held_to_their_contract(name: str, act: Act, message: str) -> None:
    """An exception or a wrong thing is a PluginError at start that names plugin, hook and service."""
    with pytest.raises(PluginError, match=f"Hooks.{name} {message}"):
        build(hook(name, act, service="crm"))


@pytest.mark.parametrize("name", ["stages", "gates"])
def test_build_hooks_may_refuse_the_configuration(name: str) -> None:
    """A ConnectorError is raised at start as it is."""
    error = ConfigurationError("services.crm.limits makes no sense.")
    with pytest.raises(ConfigurationError) as caught:
        build(hook(name, act_raising(error)))
    assert caught.value is error


def test_hook_cli_commands() -> None:
    """Gets the group of the command line and adds to it."""
    registry = new_registry()
    group: list[str] = []
    register(registry, hook("cli_commands", lambda group: group.append("mine")), "application")
    for implementation in compile_hooks(registry, "cli_commands"):
        implementation.function(group)
    assert group == ["mine"]


# All chain hooks


@chain
@pytest.mark.parametrize("kind", ["def", "blocking", "async def"])
def test_hooks_of_every_kind_run_on_both_faces(name: str, kind: str, get: Get) -> None:
    """Pure, blocking, or async: the same hook does the same under ``Connector`` and ``AsyncConnector``."""
    seen: list[object] = []

    def act(*arguments: object) -> object:
        seen.append(arguments)
        return CHAIN[name](*arguments)

    given = hook(name, act, blocking=True) if kind == "blocking" else hook(name, act, kind=kind)
    response, vendors = play(given, get=get)
    assert len(seen) == 1
    request = vendors.sent()[0].request
    done = {
        "before_request": request.headers.get("x-hook") == "seen",
        "before_attempt": request.headers.get("x-hook") == "seen",
        "classify": response.status == 200,
        "transform_response": response.body == b'"transformed"',
        "resolve_credentials": request.headers.get("authorization") == "Bearer token-of-a-hook",
        "resolve_tenant": response.call.tenant_id == "tenant-of-a-hook",
    }
    assert done[name]


@chain
def test_async_hooks_wait_through_io(name: str, get: Get) -> None:
    """Their waits are virtual in a fake and count against the call."""
    arguments = ", ".join(inspect.signature(getattr(hookspecs, name)).parameters)
    space: dict[str, Any] = {}
    exec(f"async def {name}(self, {arguments}):\n    await call.io.sleep(7)", space)
    hooks = type("Hooks", (), {name: hookimpl(space[name])})()
    credentials = {"token": Secret("token-of-a-test")}
    _, vendors = play(hooks, get=get, credentials=credentials)
    assert vendors.clock.elapsed_seconds == 7


REQUEST_ID: ContextVar[str] = ContextVar("REQUEST_ID", default="none")


@pytest.fixture
def vendor() -> Iterator[VendorEmulator]:
    """A vendor on loopback: threads are the real ones only with the real Io."""
    with VendorEmulator() as vendor:
        vendor.on("/x", Answer(json={"ok": True}))
        yield vendor


@chain
def test_blocking_hooks_run_in_io_threads_with_the_callers_context(name: str, vendor: VendorEmulator) -> None:
    """Under the async face a blocking hook has a thread, and sees the context variables of its caller; the loop's
    thread stays free. Under the sync face it runs in the caller's own thread.
    """
    seen: list[tuple[str, str]] = []

    def act(*arguments: object) -> object:
        seen.append((threading.current_thread().name, REQUEST_ID.get()))
        REQUEST_ID.set("changed inside")
        return CHAIN[name](*arguments)

    with build(hook(name, act, blocking=True), base_url=vendor.url) as connector:
        token = REQUEST_ID.set("r-17")
        try:
            async_get(connector)
            assert REQUEST_ID.get() == "r-17"
            sync_get(connector)
        finally:
            REQUEST_ID.reset(token)
    assert seen[0][0].startswith("nexus-io")
    assert seen[1][0] == threading.current_thread().name
    assert [value for _, value in seen] == ["r-17", "r-17"]


@chain
def test_pure_hooks_run_where_the_call_runs(name: str, vendor: VendorEmulator) -> None:
    """No thread is paid for what does not wait: on the loop's thread under the async face."""
    threads: set[str] = set()

    def act(*arguments: object) -> object:
        threads.add(threading.current_thread().name)
        return CHAIN[name](*arguments)

    with build(hook(name, act), base_url=vendor.url) as connector:
        async_get(connector)
        sync_get(connector)
    assert threads == {threading.current_thread().name}


@chain
@pytest.mark.parametrize("kind", ["def", "async def"])
def test_a_foreign_exception_becomes_a_plugin_error(name: str, kind: str, get: Get) -> None:
    """It names plugin and hook and has the exception as its cause; the call is known."""
    with pytest.raises(PluginError, match=f"Hooks.{name} raised LookupError in a call of crm") as caught:
        play(hook(name, act_raising(LookupError("a bug")), kind=kind), get=get)
    error = caught.value
    assert isinstance(error.__cause__, LookupError)
    assert (error.service, error.operation) == ("crm", "GET /x")
    assert error.call_id
    assert "a bug" not in str(error)


@chain
@pytest.mark.parametrize("error", [KeyboardInterrupt(), asyncio.CancelledError()], ids=["ctrl_c", "cancelled"])
def test_cancellation_passes_untouched(name: str, error: BaseException) -> None:
    """What is no Exception leaves a hook as it is."""
    with pytest.raises(type(error)) as caught:
        play(hook(name, act_raising(error)))
    assert caught.value is error


@chain
def test_a_connector_error_fails_the_call_with_it(name: str, get: Get) -> None:
    """It is the application's own word; only a verdict is said by returning it."""
    error = InvalidRequestError("this customer is blocked.")
    with pytest.raises(PluginError if name == "classify" else InvalidRequestError) as caught:
        play(hook(name, act_raising(error)), get=get)
    assert (caught.value.__cause__ if name == "classify" else caught.value) is error
    assert caught.value.service == "crm"


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        (name, wrong)
        for name in CHAIN
        for wrong in (7, {}, "text", object())
        if (name, wrong) != ("resolve_tenant", "text")
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_a_wrong_answer_is_a_plugin_error(name: str, wrong: object, get: Get) -> None:
    """It names plugin, hook, what came and what is allowed."""
    with pytest.raises(PluginError, match=rf"Hooks\.{name} returned {type(wrong).__name__}, not .* \| None"):
        play(hook(name, lambda *_: wrong), get=get)


@chain
def test_none_leaves_everything_as_it_is(name: str, get: Get) -> None:
    """Every hook may say nothing."""
    response, vendors = play(hook(name, lambda *_: None), get=get, credentials={"token": Secret("token-of-a-test")})
    assert (response.status, len(vendors.sent())) == (200, 1)


@chain
def test_hooks_run_in_the_order_in_which_they_are_given(name: str) -> None:
    """``tryfirst`` goes before, ``trylast`` behind the others; installed plugins come behind the application's."""
    seen: list[str] = []

    def mark(sign: str, **options: Any) -> object:
        return hook(name, lambda *_: seen.append(sign), **options)

    @attrs.frozen(kw_only=True)
    class Options:
        pass

    plugin = Plugin(name="brought", factory=lambda _: mark("plugin"), config=Options)
    given = [plugin, mark("last", trylast=True), mark("a"), mark("b"), mark("first", tryfirst=True)]
    play(*given)
    assert seen == ["first", "a", "b", "plugin", "last"]


@chain
def test_a_hook_for_one_service_is_not_in_the_others_chain(name: str, get: Get) -> None:
    """``service=`` compiles it away elsewhere: explain does not show it, and it is not called."""
    seen: list[str] = []
    hooks = hook(name, lambda call, *_: seen.append(call.service), service="erp")
    with build(hooks) as connector, fake(connector) as vendors:
        vendors.answer("", 200)
        get(connector)
        assert seen == []
        shown = {service: [entry.name for entry in connector.explain(service)] for service in ("crm", "erp")}
    assert f"Hooks.{name}" in shown["erp"]
    assert f"Hooks.{name}" not in shown["crm"]


@chain
def test_arguments_may_be_left_out_and_reordered(name: str, get: Get) -> None:
    """An implementation takes what it needs, by name."""
    given = list(inspect.signature(getattr(hookspecs, name)).parameters)
    seen: list[dict[str, object]] = []

    def taking(names: Sequence[str]) -> object:
        return hook(name, lambda *values: seen.append(dict(zip(names, values, strict=True))), ", ".join(names))

    subsets = [[], *[[each] for each in given], given, given[::-1]]
    play(*[taking(names) for names in subsets], get=get, credentials={"token": Secret("token-of-a-test")})
    assert [sorted(taken) for taken in seen] == [sorted(names) for names in subsets]
    for taken in seen:
        assert isinstance(taken.get("call", None), Call | None)
        assert isinstance(taken.get("request", None), Request | None)
        assert isinstance(taken.get("verdict", None), Verdict | None)


# Registration


def test_wrapping_hooks_are_refused() -> None:
    """Pluggy's wrappers yield once and cannot wait: who goes around a call writes a stage."""
    with pytest.raises(PluginError, match="Write a stage"):
        hookimpl(wrapper=True)
    import pluggy

    class Foreign:
        @pluggy.HookimplMarker("nexus_connector")(wrapper=True)
        def before_request(self, call: Call) -> Iterator[None]:
            yield

    with pytest.raises(PluginError, match=r"cannot wrap others\. Write a stage"):
        build(Foreign())


def test_an_unknown_hook_is_refused_with_the_nearest_name() -> None:
    """A misspelt hook would never be called: it is an error at start."""

    class Hooks:
        @hookimpl
        def before_reqest(self, call: Call) -> None:
            """Never called."""

    with pytest.raises(PluginError, match=r"Hooks\.before_reqest: there is no hook of this name") as caught:
        build(Hooks())
    assert "before_request" in str(caught.value)
    assert "transform_response" in str(caught.value)


def test_an_unknown_argument_is_refused_with_the_nearest_name() -> None:
    """So is a misspelt argument."""

    class Hooks:
        @hookimpl
        def before_request(self, call: Call, requst: Request) -> None:
            """Never called."""

    with pytest.raises(PluginError, match=r"Hooks\.before_request: there is no argument 'requst'") as caught:
        build(Hooks())
    assert "'request'" in str(caught.value)
    assert "It gets: call, request" in str(caught.value)


def test_an_object_without_hooks_is_refused() -> None:
    """Somebody forgot the decorator: the text names the method that looks like a hook."""

    class Hooks:
        def before_request(self, call: Call) -> None:
            """Not marked."""

    with pytest.raises(PluginError, match=r"implements no hook\. Decorate before_request with @hookimpl"):
        build(Hooks())
    with pytest.raises(PluginError, match="implements no hook"):
        build(object())


def test_the_same_object_twice_is_refused() -> None:
    """Its hooks would run once, or twice: nobody could tell."""
    hooks = hook("resolve_tenant", lambda call: None)
    with pytest.raises(PluginError, match="is given twice"):
        build(hooks, hooks)


def test_two_objects_of_one_class_are_two_plugins() -> None:
    """Each has its own name in errors and explain."""

    class Hooks:
        @hookimpl
        def before_request(self, call: Call) -> None:
            """Nothing."""

    with build(Hooks(), Hooks()) as connector:
        shown = [entry.name for entry in connector.explain("crm") if entry.kind == "hook"]
    assert len(set(shown)) == 2


def test_a_hook_for_an_unknown_service_is_refused() -> None:
    """With the nearest name: it would never be called."""
    with pytest.raises(ConfigurationError, match="for service 'cmr', which is not configured") as caught:
        build(hook("before_request", lambda *_: None, service="cmr"))
    assert "crm" in str(caught.value)


@pytest.mark.parametrize("name", ["store_log", "read_log", "stages", "gates", "cli_commands"])
def test_what_nothing_awaits_cannot_be_async(name: str) -> None:
    """Sink and build hooks are called outside of calls: an ``async def`` would do nothing, without a word."""
    space: dict[str, Any] = {}
    exec(f"async def {name}(self):\n    pass", space)
    hooks = type("Hooks", (), {name: hookimpl(space[name])})()
    with pytest.raises(PluginError, match=f"Hooks.{name} is async, but nothing awaits it"):
        build(hooks)
