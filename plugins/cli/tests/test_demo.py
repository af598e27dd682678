from __future__ import annotations

from datetime import UTC, datetime

import pytest

from nexus_connector import AttemptFinished, CallSucceeded, Outcome, RateLimited, RetryScheduled
from nexus_connector_cli._demo import script as scripts
from nexus_connector_cli._demo import views
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
    assert len(needed) == 4
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
