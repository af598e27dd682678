"""`StageContract`: what every stage promises to the pipeline, as tests that a plugin's own tests inherit."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, ClassVar, TypeAlias
from unittest.mock import patch

import attrs
import pytest

from ..call import Call
from ..connector import Connector
from ..errors import ConnectorError, OutcomeUnknownError, PluginError, VendorError
from ..events import Event
from ..hooks import hookimpl
from ..message import Request, Response
from ..pipeline import Next, Result, Stage
from ..setup import ServiceSetup
from ..verdict import Outcome, Verdict
from .fake import fake

Rest: TypeAlias = Callable[[Call, Request], Awaitable[Result]]
"""Plays the rest of the chain instead of the real one."""

_FAILURES: Mapping[str, object] = {
    "404": 404,
    "503": 503,
    "429": (429, None, {"Retry-After": "2"}),
    "refused": ConnectionRefusedError(),
    "lost": ConnectionResetError(),
    "timeout": TimeoutError(),
}
_UNKNOWN: Mapping[str, object] = {
    "500": 500,
    "502": 502,
    "lost": ConnectionResetError(),
    "timeout": TimeoutError(),
}
_SCRIPTS: Sequence[Sequence[object]] = ((200,), (503, 503, 503, 200), (ConnectionResetError(), 200), (404,), (500,))
_ENDLESS = 10_000
"""Attempts after which a stage is taken for one that never stops."""


@attrs.define
class Played:
    """What a contract saw of one call.

    Attributes:
        returned: What the stage returned; ``None`` if it raised.
        raised: What it raised.
        error: What the caller got.
        handed_on: What the stage called ``next`` with.
        state: Keys that the call's state gained.
        trace: Everything that happened, with its virtual time.
        call: The call.
    """

    returned: object = None
    raised: BaseException | None = None
    error: BaseException | None = None
    handed_on: list[Request] = attrs.field(factory=list[Request])
    state: set[str] = attrs.field(factory=set[str])
    trace: list[tuple[object, ...]] = attrs.field(factory=list[tuple[object, ...]])
    call: Call | None = None


class StageContract:
    """Derive from it, say how the stage is made, and the tests are yours.

    The stage stands in a compiled chain of a real connector, between two probes, before a fake vendor.

    Attributes:
        service: Further options of the service that the stage goes around; no ``idempotency_header``.
        prefix: What its keys in ``call.state`` begin with; empty: its name.

    >>> class TestMyStage(StageContract):
    ...     def make_stage(self) -> Stage:
    ...         stage = Stage()
    ...         stage.name, stage.slot = "mine", 450
    ...         return stage
    >>> TestMyStage().test_it_has_a_name_and_a_slot()
    """

    service: ClassVar[Mapping[str, object]] = {}
    prefix: ClassVar[str] = ""

    def make_stage(self) -> Stage:
        """Return a fresh stage, as the plugin would for one service."""
        raise NotImplementedError

    def play(
        self,
        *answers: object,
        method: str = "GET",
        on_loop: bool = False,
        seed: int = 0,
        rest: Rest | None = None,
        **service: object,
    ) -> Played:
        """Make one call through the stage and return what was seen.

        Args:
            answers: What the vendor answers, as for `Fake.answer`.
            method: HTTP method; a POST is unsafe.
            on_loop: Use the awaited face.
            seed: Seed of jitter and ids.
            rest: Stands for the chain behind the stage instead of the real one.
            service: Options of the service.
        """
        played, stage = Played(), self.make_stage()
        options = {"base_url": "https://vendor.example", **self.service, **service}
        config: dict[str, object] = {"services": {"vendor": options}, "plugins": {"only": []}}
        plugin = _Brings([_Outside(stage, played), stage, _Inside(stage, played, rest)])
        connector = Connector.from_config(config, plugins=[plugin], check=False)
        with connector, fake(connector, seed=seed) as vendors, patch("time.sleep", _no_sleep):
            connector.on(Event)(lambda event: played.trace.append((vendors.clock.elapsed_seconds, event)))
            vendors.answer("", *answers or (200,))
            try:
                if on_loop:
                    service_of_loop = connector.as_async().service("vendor")
                    asyncio.run(_awaited(service_of_loop.post if method == "POST" else service_of_loop.get))
                else:
                    sync_service = connector.service("vendor")
                    (sync_service.post if method == "POST" else sync_service.get)("/things")
            except BaseException as error:
                played.error = error
        if isinstance(played.error, pytest.fail.Exception):
            raise played.error
        return played

    def test_it_has_a_name_and_a_slot(self) -> None:
        """A name of its own, and a slot between 200 and 949."""
        stage = self.make_stage()
        assert isinstance(stage, Stage), "a stage derives from nexus_connector.Stage"
        assert stage.name, "a stage has a name: before, after and explain() use it"
        assert 200 <= stage.slot <= 949, f"slot {stage.slot}: plugins have 200 to 949"

    @pytest.mark.parametrize("method", ["GET", "POST"])
    def test_it_hands_on_requests(self, method: str) -> None:
        """A fresh call reaches the rest of the chain, with a Request, and a Result comes back."""
        played = self.play(200, method=method)
        assert played.handed_on, "the stage never called next"
        assert all(isinstance(request, Request) for request in played.handed_on), "next takes the call and a Request"
        assert isinstance(played.returned, Result), f"the stage returned {played.returned!r}, not a Result"
        assert played.error is None, f"a good answer became {played.error!r}"

    @pytest.mark.parametrize("answer", _FAILURES.values(), ids=_FAILURES)
    def test_failures_are_returned(self, answer: object) -> None:
        """A failing vendor is a result with a verdict, never an exception through the chain."""
        played = self.play(answer)
        assert played.raised is None, f"the stage raised {played.raised!r} instead of returning a result"
        assert isinstance(played.returned, Result), f"the stage returned {played.returned!r}, not a Result"
        assert played.returned.verdict.error is not None, "the verdict lost its error"
        assert isinstance(played.error, ConnectorError), f"the caller got {played.error!r}"

    @pytest.mark.parametrize(
        "error", [KeyboardInterrupt(), asyncio.CancelledError(), PluginError("a hook broke its contract.")], ids=repr
    )
    def test_what_is_no_failure_passes(self, error: BaseException) -> None:
        """KeyboardInterrupt, CancelledError and PluginError go through untouched, and nothing is sent after them."""

        async def raising(call: Call, request: Request) -> Result:
            raise error

        played = self.play(rest=raising)
        assert played.raised is error, f"{error!r} came out as {played.raised!r}"
        assert len(played.handed_on) == 1, f"the stage went on after {error!r}"

    @pytest.mark.parametrize("method", ["GET", "POST"])
    @pytest.mark.parametrize("answers", _SCRIPTS, ids=str)
    def test_both_faces_have_one_trace(self, answers: Sequence[object], method: str) -> None:
        """It waits only through call.io, and chance comes from there too: one seed gives one trace on both faces."""
        first, again, on_loop = (
            self.play(*answers, method=method, seed=7, on_loop=each) for each in (False, False, True)
        )
        for played in (first, on_loop):
            misuse = isinstance(played.error, PluginError) and "call.io" in str(played.error)
            assert not misuse, str(played.error)
        assert first.trace == again.trace, "the same seed gave another trace: time or chance came from elsewhere"
        assert first.trace == on_loop.trace, "the two faces differ: the stage waited past call.io"

    @pytest.mark.parametrize("answers", _SCRIPTS, ids=str)
    def test_it_keeps_its_state_under_its_name(self, answers: Sequence[object]) -> None:
        """What it leaves in call.state begins with its own prefix."""
        prefix = self.prefix or self.make_stage().name
        foreign = sorted(key for key in self.play(*answers).state if not key.startswith(prefix))
        assert not foreign, f"keys in call.state that do not begin with {prefix!r}: {foreign}"

    @pytest.mark.parametrize("attempt_seconds", [1.0, 0.0])
    @pytest.mark.parametrize("retry_after", [None, 1.0, 3600.0])
    def test_it_ends_by_the_deadline(self, attempt_seconds: float, retry_after: float | None) -> None:
        """Against a vendor that fails for ever and invites to try again, the call ends in time."""

        async def failing(call: Call, request: Request) -> Result:
            call.attempts += 1
            if call.attempts > _ENDLESS:
                pytest.fail("the stage goes on for ever")
            await call.io.sleep(attempt_seconds)
            error = VendorError("busy.", status=503, outcome=Outcome.REFUSED)
            verdict = Verdict(outcome=Outcome.REFUSED, health="fail", retry=True, retry_after=retry_after, error=error)
            return Result(verdict, Response(status=503))

        played = self.play(rest=failing)
        assert played.call is not None
        over = played.call.io.now() - played.call.deadline - attempt_seconds
        assert over <= 0, f"the call went on for {over:g} s after its deadline"
        begun = [at for at, what, *_ in played.trace if what == "next" and at >= played.call.deadline]  # type: ignore[operator]  # a time
        assert not begun, "an attempt was begun after the deadline"

    @pytest.mark.parametrize("answer", _UNKNOWN.values(), ids=_UNKNOWN)
    def test_an_unknown_outcome_is_not_sent_again(self, answer: object) -> None:
        """What may have happened is not done twice: an unsafe call is sent once, and the caller is told."""
        played = self.play(answer, 200, method="POST")
        assert len(played.handed_on) == 1, "an unsafe call of unknown outcome was sent again"
        assert isinstance(played.error, OutcomeUnknownError), f"the caller got {played.error!r}"

    def test_a_keyed_call_keeps_its_key(self) -> None:
        """If it sends a keyed call again, then under the same key."""
        header = "Idempotency-Key"
        played = self.play(ConnectionResetError(), 503, 200, method="POST", idempotency_header=header)
        keys = {request.headers.get(header) for request in played.handed_on}
        assert len(keys) == 1, f"one call was sent under several keys: {keys}"
        assert None not in keys, "the key was lost"


class _Brings:
    def __init__(self, stages: Sequence[Stage]) -> None:
        self._stages = stages

    @hookimpl
    def stages(self, config: ServiceSetup) -> Sequence[Stage]:  # one service
        return self._stages


class _Outside(Stage):
    """Right outside of the stage: what it returns, raises and leaves behind."""

    name = "contract.outside"

    def __init__(self, stage: Stage, played: Played) -> None:
        self.slot, self.before = stage.slot, (stage.name,)
        self._played = played

    async def __call__(self, call: Call, request: Request, next: Next) -> Result:
        self._played.call = call
        before = set(call.state)
        try:
            result = await next(call, request)
        except BaseException as error:
            self._played.raised = error
            raise
        finally:
            self._played.state = set(call.state) - before
        self._played.returned = result
        return result


class _Inside(Stage):
    """Right behind the stage: what it hands on, and when."""

    name = "contract.inside"

    def __init__(self, stage: Stage, played: Played, rest: Rest | None) -> None:
        self.slot, self.after = stage.slot, (stage.name,)
        self._played = played
        self._rest = rest

    async def __call__(self, call: Call, request: Request, next: Next) -> Result:
        self._played.handed_on.append(request)
        self._played.trace.append((call.io.now(), "next", request, call.attempt_deadline))
        result = await (self._rest or next)(call, request)
        self._played.trace.append((call.io.now(), "back", result.verdict.outcome, call.attempts))
        return result


async def _awaited(send: Callable[[str], Awaitable[Any]]) -> None:
    await send("/things")


def _no_sleep(seconds: float) -> None:
    pytest.fail(f"time.sleep({seconds:g}): a stage waits through call.io.sleep only")
