"""The cache stage: answers what is kept, asks for the rest, and forgets what a call may have changed."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Final

import attrs

from nexus_connector.errors import CircuitOpenError, NotSentError, TransportError, VendorError
from nexus_connector.events import CacheHit
from nexus_connector.headers import Headers
from nexus_connector.judge import judge_answer, judge_failure, refuse
from nexus_connector.message import CallInfo, Request, Response
from nexus_connector.pipeline import Next, Result, Stage
from nexus_connector.transport import SendError
from nexus_connector.verdict import Outcome

from ._fields import directives
from ._flights import Flight, Flights
from ._kept import Kept
from ._places import Place, account_of, path_of, place_of
from ._rules import (
    Rules,
    age,
    conditions,
    confirms,
    freshened,
    kept_from,
    kept_seconds,
    matches,
    stands_in,
    storable,
    usable,
)
from ._shelf import Found, Shelf

if TYPE_CHECKING:
    from nexus_connector.call import Call
    from nexus_connector.state import Store

    from ._options import CacheOptions

_PAST_THE_CALL_SECONDS: Final = 60.0
"""So much longer than the call may take is the token of a path kept that nobody keeps answers to."""

_OF_THE_CALLER: Final = ("if-match", "if-modified-since", "if-none-match", "if-range", "if-unmodified-since", "range")
"""Who sends one of these validates, or puts parts together, without us (RFC 9110 sections 13 and 14)."""


@attrs.frozen(kw_only=True)
class _Question:
    """What a call wants to know: where the answer would be kept, and which one it may be."""

    call: Call
    request: Request
    next: Next
    place: Place
    own: Headers
    asked: Mapping[str, str | None]
    rules: Rules

    @property
    def now(self) -> float:
        return self.call.io.wall().timestamp()

    def choose(self, found: Found) -> Kept | None:
        return next((kept for kept in found.variants if matches(kept, self.own)), None)


class CacheStage(Stage):
    """Slot 300: before a call goes out, looks for an answer that the vendor's rules let us use again.

    One stage serves one service in one process, from all its threads and loops.

    Args:
        options: The service's options.
        store: Where answers are kept.
    """

    name = "cache"
    slot = 300

    def __init__(self, options: CacheOptions, *, store: Store) -> None:
        self._options = options
        self._shelf = Shelf(store)
        self._flights = Flights()
        self._account: str | None = None

    async def __call__(self, call: Call, request: Request, next: Next) -> Result:
        """Answer a call from what is kept, or ask and keep; a call that may change something takes answers away."""
        if call.operation.send is not None:
            return await next(call, request)
        if call.safety != "safe":
            return await self._change(call, request, next)
        own = _own(call, request)
        asked = directives(request.headers.get("cache-control"))
        if not _concerns_us(call, request) or "no-store" in asked or _is_personal(call, own):
            return await next(call, request)
        question = _Question(
            call=call,
            request=request,
            next=next,
            place=place_of(call, request, own, await self._account_of(call)),
            own=own,
            asked=asked,
            rules=self._options.rules(call.operation.name),
        )
        with self._flights.of(question.place.answers) as flight:
            return await self._answer(question, flight)

    async def _answer(self, question: _Question, flight: Flight) -> Result:
        """Use what is kept; else let one call ask for all that want the same, and the others use what it brings."""
        landings, call = flight.landings, question.call
        found = await self._shelf.look(
            call.io,
            question.place,
            token=call.id,
            keep_seconds=max(0.0, call.remaining_seconds) + _PAST_THE_CALL_SECONDS,
        )
        kept = question.choose(found)
        if kept is not None and usable(kept, question.asked, question.now, question.rules):
            return _replay(question, kept)
        if "only-if-cached" in question.asked:
            return refuse(call, _nothing_kept(call))
        async with AsyncExitStack() as stack:
            try:
                await stack.enter_async_context(call.io.lock((self.name, *question.place.answers), call.deadline))
            except TimeoutError:
                return self._stand_in(question, kept, judge_failure(call, _waited_too_long()))
            if flight.landings == landings:
                result, brought = await self._ask(question, found)
                flight.land(brought)
                return result
            brought = flight.kept
        # Whoever had to wait does not wait again: what was brought is for all, or each asks at once for itself.
        if brought is not None and self._shelf.counts(brought, found):
            found = attrs.evolve(found, variants=(brought, *found.variants))
            if matches(brought, question.own) and usable(brought, question.asked, question.now, question.rules):
                return _replay(question, brought)
        result, _ = await self._ask(question, found)
        return result

    async def _ask(self, question: _Question, found: Found) -> tuple[Result, Kept | None]:
        """Ask the vendor; returns the result, and the answer that is kept now."""
        kept = question.choose(found)
        fields = conditions(kept) if kept is not None else {}
        result, answer = await _send(question, found, fields)
        if kept is not None and fields and answer is not None and answer.status == 304:
            if confirms(answer.headers, kept):
                confirmed = kept_from(freshened(kept, answer), question.own)
                is_kept = await self._keep(question, found, confirmed, instead_of=kept)
                return _replay(question, confirmed, by=result), confirmed if is_kept else None
            result, answer = await _send(question, found, {})
        if answer is not None and _is_an_answer(question.call, result):
            brought = kept_from(answer, question.own)
            is_kept = await self._keep(question, found, brought, instead_of=kept)
            return result, brought if is_kept else None
        return self._stand_in(question, kept, result), None

    async def _keep(self, question: _Question, found: Found, kept: Kept, *, instead_of: Kept | None) -> bool:
        """Keep an answer if it may be kept, and nothing that it proves wrong; returns whether it is kept."""
        options, rules, now = self._options, question.rules, question.now
        may_keep = storable(kept, rules) and kept.size <= options.max_stored_bytes
        others = [each for each in found.variants if each is not instead_of and not matches(each, question.own)]
        candidates = [kept, *others] if may_keep else others
        variants = [each for each in candidates if kept_seconds(each, now, rules) > 0][: options.max_variants]
        if may_keep or instead_of is not None:
            longest = max((kept_seconds(each, now, rules) for each in variants), default=0.0)
            await self._shelf.keep(question.call.io, question.place, found.token, variants, longest)
        return kept in variants

    def _stand_in(self, question: _Question, kept: Kept | None, result: Result) -> Result:
        """Let a stale answer stand in for a failure of the vendor, as long as it may."""
        if kept is None or not _fails(result) or not stands_in(kept, question.asked, question.now, question.rules):
            return result
        return _replay(question, kept, stale=True)

    async def _change(self, call: Call, request: Request, next: Next) -> Result:
        """Make a call that may change something: what is kept of its path may be wrong then (RFC 9111 section 4.4)."""
        try:
            result = await next(call, request)
        except GeneratorExit:
            raise
        except BaseException:
            if call.attempts:
                await self._forget(call, request)
            raise
        if result.verdict.outcome in {Outcome.DONE, Outcome.UNKNOWN}:
            await self._forget(call, request)
        return result

    async def _forget(self, call: Call, request: Request) -> None:
        await self._shelf.forget(call.io, path_of(call, request.path, await self._account_of(call)))

    async def _account_of(self, call: Call) -> str:
        if self._account is None:
            self._account = await call.io.run(lambda: account_of(call.target))
        return self._account


def _own(call: Call, request: Request) -> Headers:
    """Return the header fields that are the request's own, beside those that every request of the service has."""
    usual = call.target.headers
    return Headers([pair for pair in request.headers.pairs() if usual.get(pair[0]) != pair[1]])


def _concerns_us(call: Call, request: Request) -> bool:
    if request.method not in {"GET", "HEAD"} or call.operation.stream or request.body or request.source is not None:
        return False
    return not any(name in request.headers for name in _OF_THE_CALLER)


def _is_personal(call: Call, own: Headers) -> bool:
    """Say whether a call brings credentials, or who it is for, in its own header fields: another account's, maybe."""
    return bool(own) and call.redactor.headers(own) != dict(own.pairs())


async def _send(question: _Question, found: Found, fields: Mapping[str, str]) -> tuple[Result, Kept | None]:
    """Send the request with further fields; returns the result, and the answer with its times, if there was one."""
    request = question.request.with_headers(fields) if fields else question.request
    asked_at = question.now
    result = await question.next(question.call, request)
    response = result.response
    if response is None:
        return result, None
    answer = Kept(
        token=found.token,
        status=response.status,
        headers=response.headers,
        body=response.body,
        varying={},
        requested_at=asked_at,
        received_at=question.now,
    )
    return result, answer


def _is_an_answer(call: Call, result: Result) -> bool:
    """Say whether a result is what the vendor has to say of the thing, and says again to whoever asks.

    It is not if a fault stands in a good answer, if a ``classify`` hook judged it otherwise, which a replay would not,
    if it is put off (408, 425, 429), or if the vendor fails.
    """
    response, error = result.response, result.verdict.error
    if response is None or response.status >= 500 or result.verdict.health == "ignore":
        return False
    if response.status < 400:
        return error is None
    return type(judge_answer(call, response).verdict.error) is type(error)


def _fails(result: Result) -> bool:
    error = result.verdict.error
    is_server_error = isinstance(error, VendorError) and error.status >= 500
    return is_server_error or isinstance(error, CircuitOpenError | TransportError)


def _replay(question: _Question, kept: Kept, *, by: Result | None = None, stale: bool = False) -> Result:
    """Answer with what is kept, as if it came now.

    Args:
        question: What is answered.
        kept: The answer.
        by: The 304 that confirmed it.
        stale: Whether it stands in for a failure.
    """
    call, seconds = question.call, age(kept, question.now)
    confirmation = by.response if by is not None else None
    info = CallInfo(
        id=call.id,
        service=call.service,
        operation=call.operation.name,
        tenant_id=call.tenant_id,
        attempts=call.attempts,
        request_id=confirmation.call.request_id if confirmation is not None else None,
    )
    headers = kept.headers.with_fields({"Age": str(int(seconds))})
    call.emit(CacheHit, operation=call.operation.name, age_seconds=seconds, stale=stale)
    return judge_answer(call, Response(status=kept.status, headers=headers, body=kept.body, call=info))


def _nothing_kept(call: Call) -> NotSentError:
    text = (
        f"Nothing is kept that may answer {call.operation.name} of {call.service}, and only-if-cached asks for no more."
    )
    return NotSentError(text, hint="Make the call without only-if-cached.")


def _waited_too_long() -> SendError:
    text = "another call that asks for the same answer took until the time ran out"
    return SendError(text, phase="connect", wrote=False, timed_out=True, own=True)
