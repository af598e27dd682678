"""The stages that pick the region of each attempt, in the place of the core's own, and tell of every move."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

import attrs

from nexus_connector.errors import CircuitOpenError, ConnectorError, TransportError, VendorError
from nexus_connector.pipeline import Next, Result, Stage
from nexus_connector.verdict import Outcome

from ._group import Course, Group
from ._health import Choice, Health

if TYPE_CHECKING:
    from nexus_connector.call import Call
    from nexus_connector.config import Region
    from nexus_connector.message import Request

    from ._options import FailoverOptions

_COURSE, _DEPARTURE = "failover.course", "failover.departure"


class FailoverStage(Stage):
    """Slot 500, inside the retry stage: chooses where an attempt goes, and never makes another one.

    A region whose circuit is open costs no attempt: the next one is asked for the same attempt. One stage serves one
    service in one process, from all its threads.

    Args:
        regions: The regions, in order of preference.
        options: The service's options.
        group_of: Names the group of an operation; each group has a health of its own, as it has circuits.
    """

    name = "region"
    slot = 500

    def __init__(self, regions: Sequence[Region], options: FailoverOptions, group_of: Callable[[str], str]) -> None:
        self._regions = tuple(regions)
        self._options = options
        self._group_of = group_of
        self._groups: dict[str, Group] = {}

    async def __call__(self, call: Call, request: Request, next: Next) -> Result:
        """Run the rest of the chain in the region chosen, and in another one for each whose circuit is open."""
        group = self._group(call.operation.name)
        course: Course = call.state.setdefault(_COURSE, Course())
        may_try = call.safety in {"safe", "idempotent"}
        refusals: dict[int, Result] = {}
        while True:
            choice = group.choose(course, call.io.now(), call.deadline, refused=refusals.keys(), may_try=may_try)
            if choice is None:
                return min(refusals.values(), key=_opens_in)
            region, sends = self._regions[choice.index], call.attempts
            call.region, call.state[_DEPARTURE] = region.name, (group, course, choice)
            try:
                result = await next(call, request.at(region.base_url))
            except BaseException:
                group.learn(partial(Health.learned_nothing, choice=choice))
                raise
            verdict, sent = result.verdict, call.attempts > sends
            if sent or not isinstance(verdict.error, CircuitOpenError):
                return self._hear(call, group, course, choice, result, sent=sent)
            seconds = self._options.return_seconds if verdict.retry_after is None else verdict.retry_after
            group.learn(partial(Health.shut, choice=choice, now=call.io.now(), seconds=seconds))
            refusals[choice.index] = result

    def _group(self, operation: str) -> Group:
        name = self._group_of(operation)
        options = self._options
        # Two threads may both begin it the first time; the first one stays.
        return self._groups.get(name) or self._groups.setdefault(
            name, Group(Health.begin(len(self._regions), options.failure_threshold, options.return_seconds))
        )

    def _hear(self, call: Call, group: Group, course: Course, choice: Choice, result: Result, *, sent: bool) -> Result:
        """Learn from an attempt. A wait that its region asks for holds there; elsewhere the call may go on at once."""
        verdict, now = result.verdict, call.io.now()
        course.reason = ""
        if verdict.health == "ok" and call.stream is not None:
            call.stream.on_close(lambda error: _end(call, group, choice, error))
        elif verdict.health == "ok":
            group.learn(partial(Health.answered, choice=choice))
        elif verdict.health == "fail" or (choice.is_trial and sent):  # a region that asks for patience is not back yet
            course.reason = _reason(verdict.error)
            course.failed = [*(index for index in course.failed if index != choice.index), choice.index]
            if verdict.health == "fail" and verdict.retry_after and group.has_other(course):
                group.learn(partial(Health.rest, choice=choice, now=now, seconds=verdict.retry_after))
                return Result(attrs.evolve(verdict, retry_after=None), result.response)
            group.learn(partial(Health.failed, choice=choice, now=now))
        else:
            group.learn(partial(Health.learned_nothing, choice=choice))
        if verdict.outcome is Outcome.UNKNOWN and call.safety == "keyed" and not self._options.shared_keys:
            self._bind(course, choice, verdict.error)
        return result

    def _bind(self, course: Course, choice: Choice, error: ConnectorError | None) -> None:
        """Keep a call where its key is known. The caller cannot: its next call may go elsewhere and do it again."""
        course.bound = choice.index
        if error is not None:
            error.retry_safe = False
            where = self._regions[choice.index].name
            error.hint = f"It may have happened at {where}, and no other region knows the key: look there first."


class MovesStage(Stage):
    """Slot 900, behind the gates: tells of an attempt that goes elsewhere than the one before, right before it does.

    Only here is it certain that it does: a region that a gate refuses is not gone to.

    Args:
        regions: The regions, in order of preference.
    """

    name = "moves"
    slot = 900

    def __init__(self, regions: Sequence[Region]) -> None:
        self._names = tuple(region.name for region in regions)

    async def __call__(self, call: Call, request: Request, next: Next) -> Result:
        """Tell of the move, if it is one."""
        departure: tuple[Group, Course, Choice] = call.state[_DEPARTURE]
        group, course, choice = departure
        move = group.depart(course, choice)
        if move is not None:
            from nexus_connector.conditions import FailedOver  # here: most calls move nowhere

            call.emit(FailedOver, old=self._names[move.old], new=self._names[move.new], reason=move.reason)
        return await next(call, request)


def _end(call: Call, group: Group, choice: Choice, error: BaseException | None) -> None:
    """Hear that a body ended. What its reader raises, be it another call's failure, says nothing about the region."""
    if error is None:
        group.learn(partial(Health.answered, choice=choice))
    elif isinstance(error, TransportError) and error.call_id == call.id:
        group.learn(partial(Health.failed, choice=choice, now=call.io.now()))
    else:
        group.learn(partial(Health.learned_nothing, choice=choice))


def _opens_in(refusal: Result) -> float:
    seconds = refusal.verdict.retry_after
    return math.inf if seconds is None else seconds


def _reason(error: ConnectorError | None) -> str:
    if isinstance(error, VendorError) and error.status >= 400:
        return f"status {error.status}"
    if isinstance(error, TransportError):
        return f"no answer ({error.phase})"
    return type(error).__name__ if error is not None else "it failed"
