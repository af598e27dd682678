"""The pipeline: stages stand in the order of their slots, go around what follows, and are held to their contract."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest

from nexus_connector import Call, Connector, Next, Request, Response, Result, ServiceSetup, Stage, Verdict, hookimpl
from nexus_connector.errors import ConfigurationError, ConnectorError, NotFoundError, PluginError, TransportError
from nexus_connector.pipeline import order
from nexus_connector.testing import Fake, fake
from nexus_connector.verdict import Outcome

CORE = [(50, "tenant"), (100, "record"), (150, "deliver"), (500, "region"), (960, "attempt_record"), (1000, "send")]


class Named(Stage):
    """A stage that writes down when it is entered and left."""

    def __init__(
        self,
        name: str,
        slot: int = 450,
        *,
        before: Sequence[str] = (),
        after: Sequence[str] = (),
        journal: list[str] | None = None,
    ) -> None:
        self.name, self.slot, self.before, self.after = name, slot, before, after
        self.journal: list[str] = [] if journal is None else journal

    async def __call__(self, call: Call, request: Request, next: Next) -> Result:
        self.journal.append(f"> {self.name}")
        try:
            return await next(call, request)
        finally:
            self.journal.append(f"< {self.name}")


class Brings:
    """What an application gives: stages."""

    def __init__(self, *stages: object) -> None:
        self._stages = stages

    @hookimpl
    def stages(self, config: ServiceSetup) -> Any:
        return self._stages


def build(*plugins: object, **service: object) -> Connector:
    """A connector without installed plugins."""
    services = {"crm": {"base_url": "https://crm.example", **service}}
    return Connector.from_config({"services": services, "plugins": {"only": []}}, plugins=plugins)


def names(*stages: Stage) -> str:
    """The names of stages in their order."""
    return " ".join(stage.name for stage in order(stages))


# Order


def test_the_lower_slot_stands_outside() -> None:
    """However they were listed; equal slots go by name."""
    stages = [Named("c", 300), Named("b", 200), Named("a", 300), Named("d", 949)]
    assert names(*stages) == names(*reversed(stages)) == "b a c d"


def test_before_and_after_beat_the_slot() -> None:
    """``after`` puts a stage behind another, ``before`` puts others behind it."""
    assert names(Named("a", 200, after=["c"]), Named("b", 300), Named("c", 400)) == "b c a"
    assert names(Named("a", 200), Named("b", 300), Named("c", 400, before=["a"])) == "b c a"
    assert names(Named("a", 300, before=["b"]), Named("b", 300, after=["a"])) == "a b"


def test_stages_that_are_not_there_do_not_matter() -> None:
    """Before and after may name what is not installed."""
    assert names(Named("a", 300, after=["nobody"], before=["nobody"]), Named("b", 200)) == "b a"


def test_order_is_kept_for_any_number_of_wishes() -> None:
    """Every wish is fulfilled and the result does not depend on how stages are listed."""
    chance = random.Random(7)
    for _ in range(200):
        every = [f"s{number}" for number in range(8)]
        stages = []
        for number, name in enumerate(every):  # wishes point forward only: they can be fulfilled
            later = chance.sample(every[number + 1 :], k=min(2, 7 - number)) if chance.random() < 0.5 else []
            stages.append(Named(name, chance.choice([200, 300, 400]), before=later))
        ordered = order(stages)
        place = {stage.name: index for index, stage in enumerate(ordered)}
        assert all(place[stage.name] < place[name] for stage in stages for name in stage.before)
        chance.shuffle(stages)
        assert order(stages) == ordered
        free = [stage for stage in ordered if not any(stage.name in each.before or each.before for each in stages)]
        assert all((one.slot, one.name) <= (other.slot, other.name) for one, other in pairwise(free))


def test_a_cycle_is_an_error_at_build() -> None:
    """It names the stages that want to stand before each other, and nobody else."""
    cycle = Brings(Named("a", before=["b"]), Named("b", before=["c"]), Named("c", before=["a"]), Named("d", 200))
    with pytest.raises(ConfigurationError, match=r"want to stand before each other: a, b, c") as caught:
        build(cycle)
    assert " d" not in caught.value.message


def test_a_stage_cannot_want_to_stand_before_itself() -> None:
    """The smallest cycle."""
    with pytest.raises(ConfigurationError, match="each other: a"):
        order([Named("a", before=["a"])])


def test_a_name_twice_is_an_error_at_build() -> None:
    """Two stages of one name could not be told apart in before, after and explain."""
    with pytest.raises(ConfigurationError, match="Two stages are called 'twin'"):
        build(Brings(Named("twin", 300)), Brings(Named("twin", 400)))


@pytest.mark.parametrize("slot", [-1, 0, 199, 950, 960, 1000])
def test_slots_of_the_core_are_refused(slot: int) -> None:
    """Plugins have 200 to 949: nobody stands outside of the records or behind the send."""
    with pytest.raises(ConfigurationError, match=f"Stage 'far' wants slot {slot}") as caught:
        build(Brings(Named("far", slot)))
    assert "200 to 949" in str(caught.value)


@pytest.mark.parametrize("slot", [200, 949])
def test_the_first_and_the_last_slot_are_allowed(slot: int) -> None:
    """The ends of the range belong to it."""
    with build(Brings(Named("edge", slot))) as connector:
        assert (slot, "edge") in [(entry.slot, entry.name) for entry in connector.explain("crm")]


@pytest.mark.parametrize("thing", [Named(""), object(), Named], ids=["nameless", "object", "class"])
def test_only_named_stages_are_taken(thing: object) -> None:
    """What a hook returns is checked when it returns it, and the plugin is named."""
    with pytest.raises(PluginError, match=r"Brings.stages returned .* which is no Stage with a name"):
        build(Brings(thing))


def test_a_plugins_stage_replaces_the_cores_of_its_name() -> None:
    """Failover picks the region instead of the core."""

    class Picker(Stage):
        name, slot = "region", 500

        async def __call__(self, call: Call, request: Request, next: Next) -> Result:
            call.region = "elsewhere"
            return await next(call, request)

    with build(Brings(Picker())) as connector, fake(connector) as vendors:
        vendors.answer("crm", 200)
        connector.service("crm").get("/x")
        assert vendors.sent()[0].request.base_url == ""
        picker = [(entry.kind, entry.distribution) for entry in connector.explain("crm") if entry.name == "region"]
        assert picker == [("stage", "application")]


# Going around a call


def play(*stages: Stage, answers: Sequence[object] = (200,)) -> tuple[Response, Fake]:
    """Make a call through stages."""
    with build(Brings(*stages)) as connector, fake(connector) as vendors:
        vendors.answer("crm", *answers)
        return connector.service("crm").get("/x"), vendors


def test_stages_are_entered_in_order_and_left_in_reverse() -> None:
    """Each goes around all that follow."""
    journal: list[str] = []
    play(*(Named(name, slot, journal=journal) for name, slot in (("c", 900), ("a", 200), ("b", 400))))
    assert journal == ["> a", "> b", "> c", "< c", "< b", "< a"]


def test_a_stage_may_send_again() -> None:
    """``next`` may be called as often as it takes; each send is an attempt of the same call."""

    class Twice(Stage):
        name, slot = "twice", 400

        async def __call__(self, call: Call, request: Request, next: Next) -> Result:
            await next(call, request)
            return await next(call, request)

    response, vendors = play(Twice(), answers=(503, 200))
    assert (response.status, response.attempts) == (200, 2)
    assert [sent.attempts for sent in vendors.sent()] == [2]


def test_a_stage_may_answer_itself() -> None:
    """Then nothing behind it happens, and its answer is parsed as the vendor's."""

    class Kept(Stage):
        name, slot = "kept", 300

        async def __call__(self, call: Call, request: Request, next: Next) -> Result:
            return Result(Verdict(outcome=Outcome.DONE, health="ok"), Response(status=200, body=b'{"kept": true}'))

    response, vendors = play(Kept())
    assert response.json() == {"kept": True}
    assert vendors.sent() == []


def test_a_stage_may_change_the_request() -> None:
    """What it hands on is what is sent."""

    class Tagged(Stage):
        name, slot = "tagged", 300

        async def __call__(self, call: Call, request: Request, next: Next) -> Result:
            return await next(call, request.with_headers({"X-Tag": "t"}))

    _, vendors = play(Tagged())
    assert vendors.sent()[0].request.headers["X-Tag"] == "t"


@pytest.mark.parametrize(
    ("answer", "error"), [(404, NotFoundError), (ConnectionRefusedError(), TransportError)], ids=["answer", "no_answer"]
)
def test_failures_reach_stages_as_results(answer: object, error: type[ConnectorError]) -> None:
    """A stage sees a verdict with the error in it; only the door raises it."""
    seen: list[Result] = []

    class Looks(Stage):
        name, slot = "looks", 300

        async def __call__(self, call: Call, request: Request, next: Next) -> Result:
            seen.append(await next(call, request))
            return seen[0]

    with pytest.raises(error) as caught:
        play(Looks(), answers=[answer])
    assert caught.value is seen[0].verdict.error


# Broken stages


def raising(error: BaseException) -> Stage:
    """A stage that raises after its call went well."""

    class Raises(Stage):
        name, slot = "raises", 300

        async def __call__(self, call: Call, request: Request, next: Next) -> Result:
            await next(call, request)
            raise error

    return Raises()


def test_a_foreign_exception_becomes_a_plugin_error() -> None:
    """It names the stage, carries the exception as cause, and says what is known of the call it broke."""
    with pytest.raises(PluginError, match="Stage 'raises' raised LookupError in a call of crm") as caught:
        play(raising(LookupError("a bug")))
    error = caught.value
    assert isinstance(error.__cause__, LookupError)
    assert (error.service, error.operation, error.attempts) == ("crm", "GET /x", 1)
    assert error.outcome is Outcome.UNKNOWN


@pytest.mark.parametrize("error", [KeyboardInterrupt(), asyncio.CancelledError(), PluginError("broken.")])
def test_what_is_no_failure_passes_untouched(error: BaseException) -> None:
    """Cancellation and PluginError go through every stage as they are."""
    journal: list[str] = []
    with pytest.raises(type(error)) as caught:
        play(Named("outer", 200, journal=journal), raising(error))
    assert caught.value is error
    assert journal == ["> outer", "< outer"]


@pytest.mark.parametrize("wrong", [None, Response(status=200)], ids=["none", "response"])
def test_what_is_no_result_is_a_plugin_error(wrong: Any) -> None:
    """A stage that forgets to return, or returns the bare response, is named."""

    class Wrong(Stage):
        name, slot = "wrong", 300

        async def __call__(self, call: Call, request: Request, next: Next) -> Result:
            result: Result = wrong
            return result

    with pytest.raises(
        PluginError, match=f"Stage 'wrong' returned {type(wrong).__name__}, not a Result, in a call of crm"
    ):
        play(Wrong())


def test_a_result_without_answer_and_error_is_a_plugin_error() -> None:
    """The core has nothing to return then."""

    class Nothing(Stage):
        name, slot = "nothing", 300

        async def __call__(self, call: Call, request: Request, next: Next) -> Result:
            return Result(Verdict(outcome=Outcome.DONE, health="ok"))

    with pytest.raises(PluginError, match="neither a response nor an error"):
        play(Nothing())


# Explaining


def test_the_core_alone() -> None:
    """Without plugins, hooks and credentials the chain is the core's own table."""
    with build() as connector:
        entries = connector.explain("crm")
        assert [(entry.slot, entry.name) for entry in entries] == CORE
        assert {(entry.kind, entry.distribution) for entry in entries} == {("core", "nexus-connector")}
        assert connector.explain("crm") == connector.as_async().explain("crm")


def test_explain_is_what_runs() -> None:
    """Stages stand in it where they were folded, also where a wish moved them."""
    journal: list[str] = []
    stages = [Named("a", 300, after=["b"], journal=journal), Named("b", 400, journal=journal)]
    with build(Brings(*stages)) as connector, fake(connector) as vendors:
        vendors.answer("crm", 200)
        connector.service("crm").get("/x")
        explained = [entry.name for entry in connector.explain("crm") if entry.kind == "stage"]
    assert [line[2:] for line in journal if line.startswith(">")] == ["b", "a"]
    assert explained == ["b", "a"]


def test_a_service_without_base_url_says_so() -> None:
    """Only ``run()`` works there."""
    services: dict[str, object] = {"sdk": {}}
    with Connector.from_config({"services": services, "plugins": {"only": []}}) as connector:
        assert connector.run("sdk", lambda: 7, operation="Get") == 7
        with pytest.raises(ConfigurationError, match=r"services\.sdk\.base_url is not configured"):
            connector.service("sdk").get("/x")


def test_run_passes_the_stages_beside_the_retries() -> None:
    """Slots 300 to 499 surround a vendor's own SDK too; idempotency and what knows requests do not."""
    journal: list[str] = []
    slots = (200, 299, 300, 499, 500, 900)
    stages = [Named(f"s{slot}", slot, journal=journal) for slot in slots]
    with build(Brings(*stages)) as connector:
        connector.run("crm", lambda: journal.append("run"), operation="Get")
    assert journal == ["> s300", "> s499", "run", "< s499", "< s300"]
