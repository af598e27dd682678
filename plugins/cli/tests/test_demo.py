from __future__ import annotations

from datetime import UTC, datetime

import attrs
import pytest
import urllib3

from nexus_connector import AttemptFinished, CallSucceeded, Outcome, RateLimited, RetryScheduled
from nexus_connector_cli._demo import script as scripts
from nexus_connector_cli._demo import views
from nexus_connector_cli._demo.facts import Claim, Facts, Sending, claims
from nexus_connector_cli._demo.outage import Outage
from nexus_connector_cli._demo.rescue import Leg, Rescue, _legs
from nexus_connector_cli._demo.script import Script
from nexus_connector_cli._demo.stage import CONFIG, Stage
from nexus_connector_cli._demo.watch import Watch
from nexus_connector_cli._output import silent_console

FACTS = {"service": "crm", "call_id": "C", "at": datetime(2025, 11, 20, tzinfo=UTC), "operation": "x"}


@pytest.fixture
def bare(monkeypatch):
    """Nothing is installed but this plugin."""
    monkeypatch.setattr(scripts, "entry_points", lambda group: ())


@pytest.mark.usefixtures("bare")
def test_missing_plugins_are_named_at_once(nexus):
    """Without the plugins it shows, the demo says how to install all of them, and exits 2."""
    ran = nexus("demo", "--fast")
    assert (ran.code, ran.out) == (2, "")
    needed = Script.load().missing()
    assert len(needed) == 6
    assert "pip install " + " ".join(f'"{name}"' for name in needed) in ran.err


def test_folder_to_keep_must_be_empty(nexus, folder, monkeypatch):
    """--keep overwrites nothing."""
    monkeypatch.setattr(Script, "missing", lambda self: [])
    folder.joinpath("mine").write_text("mine")
    ran = nexus("demo", "--fast", "--keep", folder)
    assert (ran.code, ran.out) == (2, "")
    assert "is not empty" in ran.err


def test_script_fits_its_configuration():
    """The line that is swapped stands in the configuration exactly once, and names one vendor after the other."""
    script, text = Script.load(), scripts.resource(CONFIG)
    assert text.count(script.swap.old) == 1
    first, second = script.vendors
    assert first.service in script.swap.old
    assert second.service in script.swap.new
    assert all(f"[services.{vendor.service}]" in text and vendor.secret_file in text for vendor in script.vendors)


def test_stage_swaps_one_line(folder):
    """The swap changes one line of the file, and shows it as a diff without its comment."""
    with Stage(Script.load(), folder) as stage:
        before = (folder / CONFIG).read_text().splitlines()
        script = Script.load()
        assert stage.swap() == (f"- {script.swap.old}", f"+ {script.swap.new}")
        after = (folder / CONFIG).read_text().splitlines()
        assert sum(old != new for old, new in zip(before, after, strict=True)) == 1
        assert all(stage.in_clear(service) == 0 for service in stage.secrets)
        folder.joinpath("leak").write_text("".join(stage.secrets.values()))
        assert all(stage.in_clear(service) == 1 for service in stage.secrets)


def test_stage_adds_a_region_and_heals_it(folder):
    """The second region is one more value of the configuration; a region dies and heals when it is told to."""
    with Stage(Script.load(), folder) as stage, urllib3.PoolManager() as http:
        old, new = stage.add_region()
        [first, second] = [f"{region.url}/orders" for region in stage._regions.values()]
        assert old == f'- base_url = ["{first.removesuffix("/orders")}"]'
        assert second.removesuffix("/orders") in new
        assert [http.request("GET", url).status for url in (first, second)] == [200, 200]
        stage.kill("eu")
        assert [http.request("GET", url).status for url in (first, second)] == [500, 200]
        stage.heal("eu")
        assert http.request("GET", first).status == 200
        assert (stage.asked("eu"), stage.asked("us")) == (3, 2)
        hosts = [url.partition("://")[2].removesuffix("/orders") for url in (first, second)]
        assert [stage.region_of(host) for host in (*hosts, "elsewhere", None)] == ["eu", "us", "", ""]


def test_calls_in_a_row_that_went_the_same_way_are_one_leg():
    """The ways of the calls are numbered, and told in the order in which they were gone."""
    there, moved = ("eu 200",), ("eu 500", "us 200")
    legs = _legs([moved, moved, there])
    assert [(leg.first, leg.last, leg.path) for leg in legs] == [(1, 2, moved), (3, 3, there)]


def sending(service, **changes: object):
    """Return what a good demo knows of an email."""
    said = {"subject": "s", "recipient": "r", "body": "b"}
    facts = dict.fromkeys((field.name for field in attrs.fields(Sending)), None)
    facts |= {"service": service, "status": 202, "attempts": 3, "requests": 3, "received": said, "secret_in_clear": 0}
    return Sending(**{**facts, **changes})


def good_facts():
    """Return a demo that proved everything."""
    circuit = (("open", "5 consecutive failures"), ("half_open", "open for 2 s"), ("closed", "probe succeeded"))
    outage = Outage(
        failures=5, calls=2, pages=("down",), logged=(), error="open", refused=9, refusal_seconds=1e-5, requests=0
    )
    legs = (Leg(first=1, last=5, path=("eu 500", "us 200")),)
    moves = ("eu -> us: status 500",)
    rescue = Rescue(legs=legs, lost=0, moves=moves, circuit=circuit, healed_after=5, return_seconds=2.0)
    sendings = (sending("a"), sending("b"))
    return Facts(sendings=sendings, swap=("- a", "+ b"), subject="s", outage=outage, rescue=rescue)


@pytest.mark.parametrize(
    ("part", "changes", "fails"),
    [
        ("", {}, []),
        ("sendings", {"status": 503}, ["A vendor in trouble cost no email"]),
        ("sendings", {"requests": 4}, ["A vendor in trouble cost no email"]),
        ("sendings", {"received": {"subject": ""}}, ["One line changed the vendor, no code"]),
        ("", {"swap": ("- a", "+ b", "- c", "+ d")}, ["One line changed the vendor, no code"]),
        ("sendings", {"secret_in_clear": 1}, ["No secret was written down"]),
        ("outage", {"pages": ()}, ["A dead service opens its circuit"]),
        ("outage", {"requests": 1}, ["Then it is left alone, and nobody waits"]),
        ("outage", {"refused": 0}, ["Then it is left alone, and nobody waits"]),
        ("rescue", {"lost": 1}, ["A second region loses no call"]),
        ("rescue", {"moves": ()}, ["A second region loses no call"]),
        ("rescue", {"return_seconds": 0.0}, ["And the first one takes over again"]),
        ("rescue", {"circuit": (("open", "x"),)}, ["And the first one takes over again"]),
    ],
)
def test_a_claim_holds_only_if_it_was_seen(part, changes, fails):
    """Each claim of the closing table is held against what was seen; whatever speaks against it makes it a no."""
    facts = good_facts()
    if part == "sendings":
        facts = attrs.evolve(facts, sendings=(attrs.evolve(facts.sendings[0], **changes), facts.sendings[1]))
    elif part:
        facts = attrs.evolve(facts, **{part: attrs.evolve(getattr(facts, part), **changes)})
    else:
        facts = attrs.evolve(facts, **changes)
    held = list(claims(facts))
    assert [claim.text for claim in held if not claim.holds] == fails
    assert all(len(claim.seen) <= 28 for claim in held), "the table fits a terminal of 80 columns"


def test_what_was_not_proved_is_told():
    """A claim that does not hold is a no in the table."""
    console = silent_console()
    console.quiet = False
    console.print(views.proved([Claim("It holds", "seen", holds=True), Claim("It does not", "not seen", holds=False)]))
    rows = [line.strip("│ ").split() for line in console.file.getvalue().splitlines() if "It " in line]
    assert [row[-1] for row in rows] == ["yes", "no"]


def shown(watch, now):
    """Return what a person sees of a call at a moment, with single blanks."""
    console = silent_console()
    console.quiet = False
    console.width = 80
    console.print(views.progress(watch, now))
    return " ".join(console.file.getvalue().split())


def test_display_follows_the_events():
    """The display grows with what is heard: an attempt, a limit, a wait that passes, the end."""
    watch = Watch()
    assert shown(watch, 0) == "..."
    watch.limited(RateLimited(service="crm", call_id="C", at=FACTS["at"], by="vendor", retry_after_seconds=2))
    refused = {"region": None, "status": 429, "outcome": Outcome.REFUSED, "duration_seconds": 0.004}
    watch.attempted(AttemptFinished(**FACTS, attempt=1, **refused))
    assert "attempt 1 429 Too Many Requests refused asks for 2 s 4.0 ms" in shown(watch, 0)
    watch.waits(RetryScheduled(**FACTS, attempt=1, delay_seconds=2.0, reason="429"))
    began = watch.lines[-1].began
    half = shown(watch, began + 1)
    assert "1.0 of 2.0 s" in half
    assert half.count("━") == half.count("─")
    lost = {"region": None, "status": None, "outcome": Outcome.NOT_SENT, "duration_seconds": 0.1}
    watch.attempted(AttemptFinished(**FACTS, attempt=2, **lost))
    assert "no answer not sent" in shown(watch, began)
    assert "1.0 of 2.0 s" not in shown(watch, began)
    watch.succeeded(CallSucceeded(**FACTS, tenant_id=None, attempts=3, duration_seconds=2.1, status=202))
    assert "..." not in shown(watch, began)
    assert watch.heard == {"RateLimited": 1, "AttemptFinished": 2, "RetryScheduled": 1, "CallSucceeded": 1}


def test_code_is_the_source_of_what_runs():
    """The code shown is read from the function itself, without remarks meant for tools."""
    console = silent_console()
    console.quiet = False
    console.print(views.code(views.diff))
    assert "│ def diff(lines: Sequence[str]) -> RenderableType:" in console.file.getvalue()
