"""The stage answers from what is kept, confirms what is stale, and asks for everything else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import pytest

from nexus_connector import Operation, Request, Response, hookimpl
from nexus_connector.errors import NotFoundError, NotSentError, VendorError
from nexus_connector.execution import execute
from nexus_connector.headers import Headers
from nexus_connector.io.drive import drive
from nexus_connector.verdict import Classification, Outcome

Opens = Callable[..., Any]

FRESH = (200, {"n": 1}, {"Cache-Control": "max-age=60"})
TAGGED = (200, {"n": 1}, {"Cache-Control": "max-age=60", "ETag": '"1"', "X-Request-Id": "first"})


def run(crm: Any, operation: Operation[Any]) -> Any:
    """Make an adapter's call."""
    runtime = crm.connector.runtime
    return drive(execute(runtime, runtime.blocking_io, "crm", lambda target, options: operation))


@pytest.mark.parametrize("face", ["call", "await_call"])
def test_a_fresh_answer_is_used_again(world: Opens, face: str) -> None:
    """On both faces: no second request, the same body, the Age it has by now, and no attempt of this call's own."""
    crm = world()
    crm.answer(FRESH, 500)
    call = getattr(crm, face)
    first = call()
    crm.advance(59)
    again = call()
    assert (again.status, again.body, again.headers["Age"]) == (200, first.body, "59")
    assert (first.attempts, again.attempts, again.call.replayed) == (1, 0, False)
    assert again.call.id != first.call.id
    assert crm.sends == 1
    assert [(hit.operation, hit.age_seconds, hit.call_id) for hit in crm.hits] == [("GET /x", 59.0, again.call.id)]


def test_both_faces_share_what_is_kept(world: Opens) -> None:
    """What one face has asked for answers the other."""
    crm = world()
    crm.answer(FRESH)
    crm.call()
    assert crm.await_call().attempts == 0
    assert crm.sends == 1


def test_a_stale_answer_is_asked_for_again(world: Opens) -> None:
    """Without a validator there is nothing to confirm: the request goes out as it is."""
    crm = world()
    crm.answer(FRESH, (200, {"n": 2}, {"Cache-Control": "max-age=60"}))
    crm.call()
    crm.advance(60)
    assert crm.call().json() == {"n": 2}
    assert crm.call().json() == {"n": 2}
    assert crm.sends == 2
    assert "If-None-Match" not in crm.requests[1].headers


@pytest.mark.parametrize("face", ["call", "await_call"])
def test_a_304_confirms_a_stale_answer(world: Opens, face: str) -> None:
    """The kept body with the fields of the 304, fresh again; the call says its attempt and its own request id."""
    crm = world()
    crm.answer(TAGGED, (304, None, {"Cache-Control": "max-age=100", "X-Request-Id": "second"}))
    call = getattr(crm, face)
    call()
    crm.advance(60)
    confirmed = call()
    assert crm.requests[1].headers["If-None-Match"] == '"1"'
    assert (confirmed.status, confirmed.json(), confirmed.headers["Age"]) == (200, {"n": 1}, "0")
    assert confirmed.headers["Content-Type"] == "application/json"
    assert (confirmed.attempts, confirmed.call.request_id) == (1, "second")
    crm.advance(99)
    assert (call().attempts, crm.sends) == (0, 2)
    assert call().call.request_id is None


def test_both_validators_are_sent(world: Opens) -> None:
    """ETag and Last-Modified each become their condition."""
    crm = world()
    fields = {"ETag": 'W/"7"', "Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT"}
    crm.answer((200, 1, fields), 304)
    crm.call()
    assert crm.call().json() == 1
    sent = crm.requests[1].headers
    assert (sent["If-None-Match"], sent["If-Modified-Since"]) == ('W/"7"', "Thu, 01 Jan 2026 00:00:00 GMT")


def test_a_new_answer_takes_the_place_of_the_old_one(world: Opens) -> None:
    """A 200 to a conditional request is what is kept from then on."""
    crm = world()
    crm.answer(TAGGED, (200, {"n": 2}, {"Cache-Control": "max-age=60", "ETag": '"2"'}), 304)
    crm.call()
    crm.advance(61)
    assert crm.call().json() == {"n": 2}
    crm.advance(61)
    assert crm.call().json() == {"n": 2}
    assert crm.requests[2].headers["If-None-Match"] == '"2"'


def test_a_304_about_another_answer_is_not_believed(world: Opens) -> None:
    """It is asked once more without condition, and that answer is the one."""
    crm = world()
    crm.answer(TAGGED, (304, None, {"ETag": '"9"'}), (200, {"n": 9}, {"Cache-Control": "max-age=60"}))
    crm.call()
    crm.advance(61)
    answer = crm.call()
    assert (answer.json(), answer.attempts) == ({"n": 9}, 2)
    assert "If-None-Match" not in crm.requests[2].headers
    assert crm.call().json() == {"n": 9}


def test_a_304_that_forbids_keeping_ends_the_keeping(world: Opens) -> None:
    """It confirms this once, and the next call asks without condition."""
    crm = world()
    crm.answer(TAGGED, (304, None, {"Cache-Control": "no-store"}), FRESH)
    crm.call()
    crm.advance(61)
    assert crm.call().json() == {"n": 1}
    crm.call()
    assert "If-None-Match" not in crm.requests[2].headers


def test_a_304_that_nobody_asked_for_goes_to_the_caller(world: Opens) -> None:
    """It is the caller's own condition, or the vendor's mistake; either way not ours."""
    crm = world()
    crm.answer((304, None, {"ETag": '"1"'}))
    assert crm.call(headers={"If-None-Match": '"1"'}).status == 304
    assert crm.call().status == 304
    assert crm.call().attempts == 1


@pytest.mark.parametrize("status", [403, 404, 410])
def test_an_answer_that_is_gone_is_not_kept_any_longer(world: Opens, status: int) -> None:
    """What the vendor now denies does not come back when the vendor fails later."""
    crm = world()
    crm.answer(TAGGED, status, ConnectionRefusedError())
    crm.call()
    crm.advance(61)
    assert crm.call().status == status
    assert not isinstance(crm.call(), Response)
    assert "If-None-Match" not in crm.requests[2].headers


def test_an_answer_that_is_put_off_leaves_the_kept_one_alone(world: Opens) -> None:
    """A 429 says nothing of the thing: the next call still has something to confirm."""
    crm = world()
    crm.answer(TAGGED, 429, 304)
    crm.call()
    crm.advance(61)
    assert crm.call().status == 429
    assert crm.call().json() == {"n": 1}
    assert crm.requests[2].headers["If-None-Match"] == '"1"'


@pytest.mark.parametrize(
    ("control", "sends"), [("no-store", 2), ("max-age=0", 2), ("no-cache, max-age=60", 2), ("private, max-age=60", 1)]
)
def test_the_vendors_cache_control_is_obeyed(world: Opens, control: str, sends: int) -> None:
    """Kept and used only where it says so; private is no hindrance to a private cache."""
    crm = world()
    crm.answer((200, 1, {"Cache-Control": control}))
    crm.call()
    crm.call()
    assert crm.sends == sends


@pytest.mark.parametrize(
    ("asked", "old", "sends"),
    [
        ("no-cache", 0, 2),
        ("no-store", 0, 2),
        ("max-age=10", 10, 1),
        ("max-age=10", 11, 2),
        ("min-fresh=50", 11, 2),
        ("max-stale=10", 70, 1),
        ("only-if-cached", 10, 1),
    ],
)
def test_the_requests_cache_control_is_obeyed(world: Opens, asked: str, old: float, sends: int) -> None:
    """RFC 9111 section 5.2.1, through the whole chain."""
    crm = world()
    crm.answer(FRESH)
    crm.call()
    crm.advance(old)
    crm.call(headers={"Cache-Control": asked})
    assert crm.sends == sends


def test_a_request_that_forbids_keeping_is_not_kept(world: Opens) -> None:
    """Section 5.2.1.5: nothing of it is stored."""
    crm = world()
    crm.answer(FRESH)
    crm.call(headers={"Cache-Control": "no-store"})
    crm.call()
    assert crm.sends == 2


def test_only_if_cached_sends_nothing(world: Opens) -> None:
    """Section 5.2.1.7: without a usable answer the call is refused, not sent, and says why."""
    crm = world()
    error = crm.call(headers={"Cache-Control": "only-if-cached"})
    assert isinstance(error, NotSentError)
    assert (error.service, error.operation, error.attempts) == ("crm", "GET /x", 0)
    assert (error.outcome, error.retry_safe) == (Outcome.NOT_SENT, True)
    assert "only-if-cached" in str(error)
    assert crm.sends == 0


@pytest.mark.parametrize("name", ["If-None-Match", "If-Modified-Since", "If-Match", "If-Unmodified-Since", "Range"])
def test_a_caller_with_a_condition_of_its_own_is_left_alone(world: Opens, name: str) -> None:
    """Nothing is kept of it and nothing kept is given to it."""
    crm = world()
    crm.answer(FRESH)
    crm.call()
    crm.call(headers={name: '"1"'})
    assert crm.sends == 2
    crm.call()
    assert crm.sends == 2


def test_vary_tells_answers_apart(world: Opens) -> None:
    """One answer for each value, all kept; a value that never came is asked for."""
    crm = world()
    crm.answer(
        lambda request: (200, request.headers["Accept"], {"Cache-Control": "max-age=60", "Vary": "Accept, X-Not-Sent"})
    )
    for accept in ("a", "b", "a", "b"):
        assert crm.call(headers={"Accept": accept}).json() == accept
    assert crm.sends == 2
    crm.call(headers={"Accept": "c"})
    assert crm.sends == 3


def test_variants_are_bounded(world: Opens) -> None:
    """The oldest beyond ``max_variants`` goes."""
    crm = world(max_variants=2)
    crm.answer(lambda request: (200, 1, {"Cache-Control": "max-age=60", "Vary": "Accept"}))
    for accept in ("a", "b", "c"):
        crm.call(headers={"Accept": accept})
    for accept in ("c", "b"):
        assert crm.call(headers={"Accept": accept}).attempts == 0
    assert crm.call(headers={"Accept": "a"}).attempts == 1


def test_large_answers_are_not_kept(world: Opens) -> None:
    """Header fields and body together fit into ``max_stored_bytes``, or nothing is kept."""
    fields = {"Cache-Control": "max-age=60"}
    size = 100 + sum(map(len, ("Cache-Control", "max-age=60", "Content-Type", "application/json")))
    crm = world(max_stored_bytes=size)
    crm.answer((200, b"x" * 100, fields))
    crm.call()
    assert crm.call().attempts == 0
    crm.answer((200, b"x" * 101, fields))
    crm.call("/y")
    assert crm.call("/y").attempts == 1


def test_a_large_new_answer_ends_the_old_one(world: Opens) -> None:
    """The old one is wrong now, whether or not the new one can be kept."""
    crm = world(max_stored_bytes=200)
    crm.answer(TAGGED, (200, b"x" * 500, {"Cache-Control": "max-age=60"}), 503)
    crm.call()
    crm.advance(61)
    crm.call()
    assert isinstance(crm.call(), VendorError)


def test_default_seconds_are_for_answers_that_say_nothing(world: Opens) -> None:
    """Section 4.2.2, and only where the options say so."""
    crm = world(default_seconds=30)
    crm.call()
    crm.advance(29)
    assert crm.call().attempts == 0
    crm.advance(1)
    assert crm.call().attempts == 1


def test_an_endpoint_may_have_seconds_of_its_own(world: Opens) -> None:
    """By the name of the operation, instead of what the vendor says; no-store stays the vendor's to say."""
    crm = world(endpoints={"GET /rates/{pair}": 600, "GET /secret": 600})
    crm.answer((200, 1, {"Cache-Control": "max-age=1, must-revalidate"}))
    rates = {"path": "/rates/{pair}", "path_values": {"pair": "eur-usd"}}
    crm.call(**rates)
    crm.advance(599)
    assert crm.call(**rates).attempts == 0
    crm.answer((200, 1, {"Cache-Control": "no-store"}))
    crm.call("/secret")
    assert crm.call("/secret").attempts == 1


def test_path_query_and_method_tell_answers_apart(world: Opens) -> None:
    """Another path, another query or another method is another answer."""
    crm = world()
    crm.answer(FRESH)
    crm.call("/x", query={"a": 1})
    crm.call("/x", query={"a": 2})
    crm.call("/x", query={"b": 1})
    crm.call("/z")
    crm.call("/z", method="head")
    assert crm.sends == 5
    assert crm.call("/x", query={"a": 1}).attempts == 0
    assert crm.call("/z", method="head").attempts == 0


def test_an_error_that_says_how_long_it_holds_is_raised_again(world: Opens) -> None:
    """A 404 with an explicit lifetime is kept: the error is raised anew, with this call's own facts."""
    crm = world()
    crm.answer((404, {"no": 1}, {"Cache-Control": "max-age=60"}), 200)
    first, again = crm.call(), crm.call()
    assert isinstance(again, NotFoundError)
    assert (again.status, again.attempts, again.response.json()) == (404, 0, {"no": 1})
    assert again.call_id != first.call_id
    assert crm.call(allow_status=(404,)).status == 404
    assert crm.sends == 1


def test_errors_without_a_lifetime_are_not_kept(world: Opens) -> None:
    """Neither default nor endpoint seconds make an error last."""
    crm = world(default_seconds=60, endpoints={"GET /x": 60})
    crm.answer(404, 200)
    assert isinstance(crm.call(), NotFoundError)
    assert crm.call().status == 200


def test_a_fault_in_a_good_answer_is_not_kept(world: Opens) -> None:
    """A 200 that its adapter reads as an error stays this call's error."""
    crm = world()
    crm.answer((200, {"error": "busy"}, {"Cache-Control": "max-age=60"}), FRESH)
    rules = Classification(fault=lambda response: response.json().get("error"))
    operation = Operation(name="GET /x", request=Request(path="/x"), parse=Response.json, classification=rules)
    with pytest.raises(VendorError, match="busy"):
        run(crm, operation)
    assert [run(crm, operation) for _ in range(2)] == [{"n": 1}] * 2
    assert crm.sends == 2


class Judges:
    """Takes every 404 for a result."""

    @hookimpl
    def classify(self, call, verdict, response):
        if response is not None and response.status == 404:
            return attrs.evolve(verdict, outcome=Outcome.DONE, error=None)
        return None


def test_what_a_classify_hook_judged_otherwise_is_not_kept(world: Opens) -> None:
    """A replay would not ask the hook: the same answer would be a result once and an error later."""
    crm = world(plugins=[Judges()])
    crm.answer((404, 1, {"Cache-Control": "max-age=60"}))
    assert crm.call().status == 404
    assert crm.call().status == 404
    assert crm.sends == 2


class Transforms:
    """Adds to every body."""

    @hookimpl
    def transform_response(self, call, response):
        return attrs.evolve(response, body=response.body + b" ")


def test_the_answer_is_kept_before_it_is_transformed(world: Opens) -> None:
    """A replay is transformed anew, once."""
    crm = world(plugins=[Transforms()])
    crm.answer(FRESH)
    first = crm.call()
    assert crm.call().body == first.body
    assert first.body.endswith(b"} ")


def test_a_replay_is_parsed(world: Opens) -> None:
    """``into`` of each call is its own."""
    crm = world()
    crm.answer(FRESH)
    assert crm.call(into=dict) == {"n": 1}
    assert crm.call(into=lambda value: value["n"]) == 1
    assert crm.sends == 1


def test_streams_and_bodies_pass(world: Opens) -> None:
    """What is read piece by piece is not kept, and neither is a GET that brings a body."""
    crm = world()
    crm.answer(FRESH)
    for _ in range(2):
        with crm.connector.service("crm").stream("/x") as stream:
            assert b"".join(stream) == b'{"n":1}'
    assert crm.sends == 2
    operation = Operation(name="GET /x", request=Request(path="/x", body=b"{}"), parse=Response.json)
    assert [run(crm, operation) for _ in range(2)] == [{"n": 1}] * 2
    assert crm.sends == 4


def test_an_sdk_call_passes(world: Opens) -> None:
    """``run()`` has no request: it is made each time, also where it is declared safe."""
    crm = world(default_seconds=60)
    made: list[int] = []
    for _ in range(2):
        crm.connector.run("crm", lambda: made.append(1), operation="sdk.read", safety="safe")
    assert len(made) == 2


@pytest.mark.parametrize(
    "headers",
    [
        {"Cache-Control": "max-age=" + "9" * 5000},
        {"Cache-Control": "max-age=60", "Age": "-5"},
        {"Cache-Control": "max-age=60", "Date": "Thu, 99 Foo 99999 99:99:99 XYZ"},
        {"Expires": "Thu, 99 Foo 99999 99:99:99 XYZ"},
        {"Expires": "0", "Age": "x", "Date": "\xff"},
        {"Cache-Control": '"\\', "Vary": ",,,"},
        {"ETag": "", "Last-Modified": ""},
        {"Cache-Control": "max-age=60", "Vary": "\xff, Accept"},
    ],
    ids=str,
)
def test_no_value_of_a_vendor_fails_a_call(world: Opens, headers: dict[str, str]) -> None:
    """However large, negative or broken: the caller gets the answer, the second time too, and the Age is a number."""
    crm = world()
    crm.vendors.answer("", Response(status=200, headers=Headers(headers), body=b"1"))
    crm.call()
    crm.advance(10)
    again = crm.call()
    assert again.body == b"1"
    assert again.headers.get("Age", "0").isdecimal() or again.attempts == 1


def test_switched_off_for_one_service(world: Opens) -> None:
    """``cache = false`` takes the stage out of its chain; the others keep theirs."""
    services = {
        "crm": {"base_url": "https://crm.example"},
        "erp": {"base_url": "https://erp.example", "cache": False},
    }
    crm = world(services=services)
    crm.answer(FRESH)
    for service in ("crm", "crm", "erp", "erp"):
        crm.call(service=service)
    assert crm.sends == 3
    names = [[entry.name for entry in crm.connector.explain(service)] for service in services]
    assert ["cache" in each for each in names] == [True, False]
