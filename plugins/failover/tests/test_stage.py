"""The stage: where each attempt goes, and what it learns from how that went."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import pytest

from nexus_connector.call import Call
from nexus_connector.errors import CircuitOpenError, ConnectorError, OutcomeUnknownError, PluginError, VendorError
from nexus_connector.judge import judge_failure, refuse
from nexus_connector.message import Response
from nexus_connector.pipeline import Result
from nexus_connector.transport import SendError
from nexus_connector.verdict import Outcome, Safety, Verdict

Worlds = Callable[..., Any]


def test_everything_goes_to_the_first_region(world: Any) -> None:
    """The request gets its base URL, the call the name of the region; nothing is told."""
    call = world.call()
    assert world.attempt(call).response.status == 200
    assert [(asked.region, asked.base_url) for asked in world.asked] == [("eu", "https://eu.example")]
    assert call.region == "eu"
    assert world.told == []


def test_a_region_that_fails_is_left(world: Any) -> None:
    """Five failures of any calls, and the sixth call goes to the second region; that is told once."""
    world.script["eu"] = [500]
    assert world.attempts(8) == "eu eu eu eu eu us us us"
    assert world.told == ["eu -> us: 5 failures in a row"]


def test_the_threshold_is_an_option(make_world: Worlds) -> None:
    """``failure_threshold = 2``: the third call goes elsewhere."""
    world = make_world(failure_threshold=2)
    world.script["eu"] = [500]
    assert world.attempts(3) == "eu eu us"


@pytest.mark.parametrize(
    ("step", "count"),
    [(500, 5), (503, 5), (501, 5), (429, None), (408, None), (425, None), (404, None), (401, None), (400, None)],
)
def test_what_counts_as_a_failure(world: Any, step: int, count: int | None) -> None:
    """The verdict's health decides: 5xx count, being put off does not, any other answer is a good one."""
    world.script["eu"] = [step]
    assert world.attempts(8).split().count("eu") == (count or 8)


@pytest.mark.parametrize("step", ["timed_out", "unconnected"])
def test_a_lost_answer_counts(world: Any, step: str, request: pytest.FixtureRequest) -> None:
    """Timeouts and refused connections count like a 5xx."""
    world.script["eu"] = [request.getfixturevalue(step)]
    assert world.attempts(6) == "eu eu eu eu eu us"


def test_what_this_side_did_does_not_count(world: Any) -> None:
    """A send that found no free connection here says nothing about the region."""
    busy = SendError("every connection was in use", phase="connect", wrote=False, timed_out=True, own=True)
    world.script["eu"] = [busy]
    assert world.attempts(8) == " ".join(["eu"] * 8)


# Attempts of one call


@pytest.mark.parametrize("safety", ["safe", "idempotent"])
def test_a_further_attempt_goes_elsewhere(make_world: Worlds, safety: Safety) -> None:
    """A call that failed in one region goes on to the next, round and round; each move is told with its reason."""
    world = make_world("eu us ap")
    world.script = {"eu": [500], "us": [503], "ap": [504]}
    assert world.attempts(4, world.call(safety)) == "eu us ap eu"
    assert world.told == ["eu -> us: status 500", "us -> ap: status 503", "ap -> eu: status 504"]


def test_a_call_that_is_put_off_stays(world: Any, put_off: Response) -> None:
    """A 429 is the vendor's, not the region's: the next attempt asks the same one."""
    world.script["eu"] = [put_off]
    assert world.attempts(3, world.call()) == "eu eu eu"
    assert world.told == []


@pytest.mark.parametrize(
    ("step", "reason"),
    [("timed_out", "no answer (read)"), ("unconnected", "no answer (connect)"), ("odd", "OddError")],
)
def test_the_reason_of_a_move(world: Any, step: str, reason: str, request: pytest.FixtureRequest) -> None:
    """The reason names the status, the phase in which the answer was lost, or the class of the error."""
    world.script["eu"] = [odd if step == "odd" else request.getfixturevalue(step)]
    assert world.attempts(2, world.call()) == "eu us"
    assert world.told == [f"eu -> us: {reason}"]


class OddError(ConnectorError):
    """An error of somebody's classify hook."""


def odd(call: Call) -> Result:
    """A good answer that a classify hook wants to count as a failure."""
    return Result(Verdict(outcome=Outcome.REFUSED, health="fail", error=OddError("odd")), Response(status=200))


def test_an_error_in_a_good_answer_is_told_by_its_class(world: Any) -> None:
    """A fault in a 200 is not told as "status 200"."""
    error = VendorError("busy", status=200, code="busy")
    verdict = Verdict(outcome=Outcome.REFUSED, health="fail", error=error)
    world.script["eu"] = [lambda call: Result(verdict, Response(status=200))]
    world.attempts(2, world.call())
    assert world.told == ["eu -> us: VendorError"]


def test_a_failure_without_an_error_moves_too(world: Any) -> None:
    """A classify hook may count an answer as a failure and still return it."""
    world.script["eu"] = [lambda call: Result(Verdict(outcome=Outcome.DONE, health="fail"), Response(status=200))]
    assert world.attempts(2, world.call()) == "eu us"
    assert world.told == ["eu -> us: it failed"]


def test_the_reason_is_that_of_the_region_left(world: Any, put_off: Response) -> None:
    """What an earlier region answered is not told as the reason for leaving a later one."""
    world.script = {"eu": [500, 200], "us": [put_off]}
    call = world.call()
    assert world.attempts(2, call) == "eu us"
    for _ in range(5):
        world.stage._group("GET /x").learn(lambda health: health.failed(health.stay(1), 0.0))
    assert world.attempts(1, call) == "eu"
    assert world.told[1:] == ["us -> eu: 5 failures in a row"]


# Keys


def test_an_unknown_outcome_binds_a_keyed_call(world: Any, timed_out: SendError) -> None:
    """Another region does not know the key: the call stays where it may have happened, even after that is left."""
    world.script["eu"] = [timed_out]
    call = world.call("keyed")
    assert world.attempts(7, call) == " ".join(["eu"] * 7)
    assert world.attempts(1) == "us"
    assert world.told == ["eu -> us: 5 failures in a row"]


def test_a_bound_call_does_not_bring_its_region_back(world: Any, timed_out: SendError) -> None:
    """Its answer is its own: the region rests its time all the same."""
    world.script["eu"] = [timed_out, timed_out, timed_out, timed_out, timed_out, 200]
    call = world.call("keyed")
    assert world.attempts(6, call) == " ".join(["eu"] * 6)
    assert world.attempts(1) == "us"


def test_a_keyed_call_that_did_not_happen_may_leave(world: Any, unconnected: SendError) -> None:
    """Nothing was sent, so no region knows the key."""
    world.script["eu"] = [unconnected]
    assert world.attempts(2, world.call("keyed")) == "eu us"


def test_a_keyed_call_is_bound_where_it_may_have_happened(world: Any, unconnected: SendError) -> None:
    """Not sent to the first and lost in the second, it stays in the second."""
    world.script = {"eu": [unconnected], "us": [500]}
    assert world.attempts(4, world.call("keyed")) == "eu us us us"


def test_shared_keys_let_a_keyed_call_leave(make_world: Worlds, timed_out: SendError) -> None:
    """``shared_keys = true``: all regions know the key, none does it twice."""
    world = make_world(shared_keys=True)
    world.script["eu"] = [timed_out]
    assert world.attempts(2, world.call("keyed")) == "eu us"


@pytest.mark.parametrize("shared", [False, True])
def test_a_bound_call_is_not_the_callers_to_repeat(make_world: Worlds, timed_out: SendError, *, shared: bool) -> None:
    """The caller's next call under the same key may go to another region, which would do it again: the error says so
    and names the region. Where keys are shared, it may be made again.
    """
    world = make_world(shared_keys=shared)
    world.script["eu"] = [timed_out]
    error = world.attempt(world.call("keyed", key="order-1001")).verdict.error
    assert isinstance(error, OutcomeUnknownError)
    assert error.retry_safe is shared
    assert ("happened at eu," in str(error)) is not shared


@pytest.mark.parametrize("safety", ["safe", "idempotent"])
def test_what_is_not_bound_may_be_repeated(world: Any, timed_out: SendError, safety: Safety) -> None:
    """Only keys belong to a region: what changes nothing, or once, may be made again anywhere."""
    world.script["eu"] = [timed_out]
    assert world.attempt(world.call(safety)).verdict.error.retry_safe is True


def test_an_unknown_outcome_without_an_error_binds_too(world: Any) -> None:
    """A classify hook may take the error away; where it may have happened is known all the same."""
    verdict = Verdict(outcome=Outcome.UNKNOWN, health="fail", retry=True)
    world.script["eu"] = [lambda call: Result(verdict, Response(status=500))]
    assert world.attempts(2, world.call("keyed")) == "eu eu"


# Trials


def test_a_safe_call_tries_a_region_again(world: Any) -> None:
    """At `return_seconds`, not before; answered, the first region serves everybody again."""
    world.leave()
    world.attempt()
    world.io.advance(59.999)
    assert world.attempts(1) == "us"
    world.io.advance(0.001)
    assert world.attempts(3) == "eu eu eu"
    assert world.told == ["eu -> us: 5 failures in a row", "us -> eu: it is tried again"]


@pytest.mark.parametrize(
    ("safety", "after"), [("safe", 60.0), ("idempotent", 60.0), ("keyed", 120.0), ("unsafe", 120.0)]
)
def test_who_tries_when(world: Any, safety: Safety, after: float) -> None:
    """What can be made again elsewhere tries after 60 s, anything else after twice that."""
    world.leave()
    world.io.advance(after - 0.001)
    assert world.attempts(1, world.call(safety)) == "us"
    world.io.advance(0.001)
    assert world.attempts(1, world.call(safety)) == "eu"


def test_the_rest_is_an_option(make_world: Worlds) -> None:
    """``return_seconds = 5``: tried after 5 s."""
    world = make_world(return_seconds=5.0)
    world.leave()
    world.io.advance(4.999)
    assert world.attempts(1) == "us"
    world.io.advance(0.001)
    assert world.attempts(1) == "eu"


def test_a_trial_that_fails_leaves_the_call_unharmed(world: Any) -> None:
    """The call that tried goes on in the region that serves, and the first one rests for as long again."""
    world.leave()
    world.attempt()
    world.io.advance(60.0)
    world.script["eu"] = [500]
    assert world.attempts(2, world.call()) == "eu us"
    world.io.advance(59.999)
    assert world.attempts(1) == "us"
    assert world.told[1:] == ["us -> eu: it is tried again", "eu -> us: status 500"]


def test_a_region_that_puts_off_is_not_back_yet(world: Any, put_off: Response) -> None:
    """A trial answered with 429 would cost every call its time: the region rests again, the call goes on elsewhere."""
    world.leave()
    world.attempt()
    world.io.advance(60.0)
    world.script["eu"] = [put_off]
    assert world.attempts(2, world.call()) == "eu us"
    assert world.attempts(3) == "us us us"
    assert world.told[1:] == ["us -> eu: it is tried again", "eu -> us: status 429"]


def test_one_call_tries_at_a_time(world: Any) -> None:
    """While the trial is under way, the others go to the region that serves."""
    world.leave()
    world.attempt()
    world.io.advance(60.0)
    seen: list[str] = []

    def meanwhile(call: Call) -> Result:
        world.script["eu"] = [200]
        seen.append(world.attempts(3))
        return Result(Verdict(outcome=Outcome.DONE, health="ok"), Response(status=200))

    world.script["eu"] = [meanwhile]
    assert world.attempts(1) == "eu us us us"
    assert seen == ["us us us"]
    assert world.attempts(1) == "eu"


class Cancelled(BaseException):
    """Stands for CancelledError and KeyboardInterrupt."""


@pytest.mark.parametrize("error", [Cancelled(), PluginError("a stage broke its contract")])
def test_a_trial_that_is_cancelled_is_free_again(world: Any, error: BaseException) -> None:
    """What is raised passes untouched, says nothing about the region, and the very next call may try it."""
    world.leave()
    world.io.advance(60.0)
    world.script["eu"] = [error]
    with pytest.raises(type(error)) as caught:
        world.attempt()
    assert caught.value is error
    world.script["eu"] = [200]
    assert world.attempts(1) == "eu"


def test_a_trial_that_is_not_sent_is_free_again(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refused on this side, by a limit or for want of credentials, it says nothing, is not told, and ends at once."""
    world.leave()
    world.attempt()
    world.io.advance(60.0)

    async def refusing(call: Call, request: Any) -> Result:
        world.sent.append(f"({call.region})")
        return refuse(call, ConnectorError("No credentials were found."))

    with monkeypatch.context() as patched:
        patched.setattr(world, "next", refusing)
        assert world.attempts(2) == "(eu) (eu)"
    assert world.told == ["eu -> us: 5 failures in a row"]
    assert world.attempts(1) == "eu"


def test_a_cancelled_attempt_says_nothing(world: Any) -> None:
    """Any number of cancelled calls leaves no region."""
    world.script["eu"] = [Cancelled()]
    for _ in range(8):
        with pytest.raises(Cancelled):
            world.attempt()
    world.script["eu"] = [200]
    assert world.attempts(1) == "eu"


# Open circuits


def test_a_refusal_costs_no_attempt(world: Any) -> None:
    """A region whose circuit is open is passed over within the attempt; the region is left as long as it said."""
    world.circuits["eu"] = 7.0
    call = world.call()
    assert world.attempt(call).response.status == 200
    assert [asked.region for asked in world.asked] == ["eu", "us"]
    assert (call.attempts, call.region) == (1, "us")
    assert world.told == ["eu -> us: circuit open"]
    del world.circuits["eu"]
    world.io.advance(6.999)
    assert world.attempts(1) == "us"
    world.io.advance(0.001)
    assert world.attempts(1) == "eu"


def test_a_circuit_that_names_no_time_counts_as_a_region_that_failed(world: Any) -> None:
    """Then it is left alone for `return_seconds`."""
    world.circuits["eu"] = None
    world.attempt()
    world.circuits.clear()
    world.io.advance(59.999)
    assert world.attempts(1) == "us"
    world.io.advance(0.001)
    assert world.attempts(1) == "eu"


def test_if_all_are_refused_nothing_is_sent(make_world: Worlds) -> None:
    """Each region is asked once; the refusal that ends first is the result, and nothing is told: nothing went there."""
    world = make_world("eu us ap")
    world.circuits = {"eu": 30.0, "us": 10.0, "ap": 20.0}
    for _ in range(3):
        world.asked.clear()
        call = world.call()
        result = world.attempt(call)
        assert sorted(asked.region for asked in world.asked) == ["ap", "eu", "us"]
        assert result.verdict.error.message == "The circuit of us is open."
        assert result.verdict.retry_after == 10.0
        assert call.attempts == 0
    assert world.sent == world.told == []


def test_a_refusal_that_names_no_time_ends_last(world: Any) -> None:
    """Of two refusals the one that says when to come back is the better answer."""
    world.circuits = {"eu": None, "us": 300.0}
    assert world.attempt().verdict.retry_after == 300.0


def test_a_trial_that_is_refused_is_not_told(world: Any) -> None:
    """The circuit of a region may stay open longer than it rests: the call goes on, and nothing has moved."""
    world.leave()
    world.attempt()
    world.io.advance(60.0)
    world.circuits["eu"] = 5.0
    assert world.attempts(2) == "us us"
    assert world.told == ["eu -> us: 5 failures in a row"]


def test_a_bound_call_that_is_refused_goes_nowhere(world: Any) -> None:
    """Its region's refusal is its result; no other region is asked."""
    world.script["eu"] = [500]
    call = world.call("keyed")
    world.attempt(call)
    world.circuits["eu"] = 9.0
    world.asked.clear()
    assert world.attempt(call).verdict.retry_after == 9.0
    assert [asked.region for asked in world.asked] == ["eu"]


def test_a_failed_region_is_better_than_none(world: Any) -> None:
    """If every other region refuses, the attempt goes where the call failed before."""
    world.script["eu"] = [500]
    world.circuits["us"] = 9.0
    assert world.attempts(2, world.call()) == "eu eu"
    assert world.told == []


def test_a_refusal_after_a_send_is_heard_as_a_result(world: Any) -> None:
    """An attempt that was sent and then refused, as after a 401, is over: no other region gets it too."""

    def refused_later(call: Call) -> Result:
        return refuse(call, CircuitOpenError("The circuit of eu is open.", retry_after=9.0))

    world.script["eu"] = [refused_later]
    assert world.attempts(1) == "eu"


# Groups


def test_each_group_has_a_health_of_its_own(make_world: Worlds) -> None:
    """Operations of one group leave a region together; others do not follow them."""
    world = make_world(groups={"GET /report": "reports", "PUT /report": "reports"})
    world.script["eu"] = [500]
    for operation in ("GET /report", "PUT /report") * 3:
        world.attempt(world.call(operation=operation))
    assert world.sent == ["eu"] * 5 + ["us"]
    assert world.attempts(1) == "eu"
    assert world.attempts(1, world.call(operation="PUT /report")) == "us"
    assert world.told == ["eu -> us: 5 failures in a row"]


# Streams


@attrs.define
class Body:
    """A stream as the stage sees it; unlike a real one it may end more than once."""

    closed: list[Callable[[BaseException | None], None]] = attrs.field(factory=list[Any])

    def on_close(self, closed: Callable[[BaseException | None], None]) -> None:
        self.closed.append(closed)

    def end(self, error: BaseException | None = None) -> None:
        for closed in self.closed:
            closed(error)


def streaming(body: Body) -> Callable[[Call], Result]:
    """An answer that is handed over unread."""

    def step(call: Call) -> Result:
        call.stream = body  # type: ignore[assignment]  # stands for one
        return Result(Verdict(outcome=Outcome.DONE, health="ok"), Response(status=200))

    return step


def broken(call: Call) -> ConnectorError:
    """What the reader of a body that broke off gets."""
    error = judge_failure(call, SendError("broke off", phase="read", wrote=True)).verdict.error
    assert error is not None
    return error


def open_stream(world: Any) -> tuple[Call, Body]:
    """Open a stream in the first region."""
    body, call = Body(), world.call()
    world.script["eu"] = [streaming(body)]
    world.attempt(call)
    return call, body


def test_a_body_that_breaks_off_counts_against_its_region(world: Any) -> None:
    """An answer is whole at its end: five bodies that break off make a region left, good headers or not."""
    for _ in range(5):
        call, body = open_stream(world)
        assert call.region == "eu"
        body.end(broken(call))
    world.script["eu"] = [200]
    assert world.attempts(1) == "us"


def test_a_body_that_ends_ends_the_row(world: Any) -> None:
    """Read to its end, it is a good answer like any other."""
    world.script["eu"] = [500]
    world.attempts(4)
    _, body = open_stream(world)
    body.end()
    world.script["eu"] = [500]
    assert world.attempts(6) == "eu eu eu eu eu us"


def test_what_its_reader_raises_says_nothing(world: Any) -> None:
    """Given up by its reader, or ended by another call's failure or a plugin's: not the region's fault."""
    for _ in range(8):
        call, body = open_stream(world)
        other = broken(world.call(operation="GET /other"))
        assert other.call_id != call.id
        for error in (LookupError(), PluginError("a hook broke its contract", call_id=call.id), other):
            body.end(error)
    world.script["eu"] = [200]
    assert world.attempts(1) == "eu"


def test_a_body_that_breaks_off_after_its_region_was_left_changes_nothing(world: Any) -> None:
    """The time of the region's rest does not begin anew."""
    call, body = open_stream(world)
    world.leave()
    world.io.advance(30.0)
    body.end(broken(call))
    world.script["eu"] = [200]
    world.io.advance(30.0)
    assert world.attempts(1) == "eu"


@pytest.mark.parametrize("end", ["whole", "broken", "given up"])
def test_a_trial_may_be_a_stream(world: Any, end: str) -> None:
    """The others wait for its end; then it is answered, has failed, or is free for the next."""
    world.leave()
    world.io.advance(60.0)
    call, body = open_stream(world)
    assert world.attempts(1) == "us"
    body.end({"whole": None, "broken": broken(call), "given up": LookupError()}[end])
    world.script["eu"] = [200]
    assert world.attempts(2, world.call("unsafe")) == ("eu eu" if end == "whole" else "us us")
    assert world.attempts(1) == ("us" if end == "broken" else "eu")


def test_a_stream_that_counts_as_a_failure_is_heard_at_once(world: Any) -> None:
    """Nobody will read it: a classify hook has said what it is."""

    def refused(call: Call) -> Result:
        call.stream = Body()  # type: ignore[assignment]  # stands for one
        return Result(Verdict(outcome=Outcome.REFUSED, health="fail"), Response(status=200))

    world.script["eu"] = [refused]
    assert world.attempts(6) == "eu eu eu eu eu us"
