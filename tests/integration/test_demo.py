from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

NEXUS = str(Path(sys.executable).with_name("nexus"))
"""The command as it is installed."""
UNUSABLE = {"NEXUS__SERVICES__CRM__TIMEOUT_SECONDS": "no number", "NEXUS_APP": "no_module:connector"}
"""What would end every command that looks at the environment's configuration."""


def nexus(*arguments: object, folder: Path, **variables: str) -> str:
    """Run ``nexus`` in a process of its own, in a folder that has a configuration which nobody could use."""
    folder.joinpath("connector.toml").write_text("this is no TOML")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("NEXUS")} | variables
    command = [NEXUS, *map(str, arguments)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=120, cwd=folder, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What the demo says about itself; no configuration around it has a part in it."""
    return json.loads(nexus("demo", "--fast", "--json", folder=tmp_path_factory.mktemp("facts"), **UNUSABLE))


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder that the demo leaves behind, and what it printed."""
    folder = tmp_path_factory.mktemp("kept")
    return folder / "demo", nexus("demo", "--fast", "--keep", folder / "demo", folder=folder)


def test_email_survives_a_vendor_in_trouble(facts: Any) -> None:
    """503 and 429 are met, their Retry-After is kept, and the third attempt succeeds."""
    first = facts["sendings"][0]
    attempts = [step for step in first["timeline"]["steps"] if step["kind"] == "attempt"]
    assert [step["http_status"] for step in attempts] == [503, 429, 202]
    assert first["attempts"] == first["requests"] == 3
    assert first["status"] == 202
    assert len(first["waits_seconds"]) == 2
    assert all(seconds >= 1 for seconds in first["waits_seconds"])
    assert first["message_id"]


def test_one_value_swaps_the_vendor(facts: Any) -> None:
    """One line of the configuration changes; both vendors receive the same message, each in its own format."""
    first, second = facts["sendings"]
    old, new = facts["swap"]
    assert first["service"] in old
    assert second["service"] in new
    assert old.replace(first["service"], second["service"]).replace("- ", "+ ") == new
    assert first["received"] == second["received"]
    assert all(first["received"].values())
    assert (second["status"], second["attempts"], second["requests"], second["waits_seconds"]) == (200, 1, 1, [])


def test_hook_changes_what_the_vendor_receives(facts: Any) -> None:
    """The subject that arrives is the application's with the hook's mark before it."""
    assert [each["received"]["subject"] for each in facts["sendings"]] == [f"[demo] {facts['subject']}"] * 2


def test_receivers_hear_of_everything(facts: Any) -> None:
    """Each attempt, each wait, the limit and the success are told once."""
    first, second = facts["sendings"]
    assert first["events"] == {"AttemptFinished": 3, "RetryScheduled": 2, "RateLimited": 1, "CallSucceeded": 1}
    assert second["events"] == {"AttemptFinished": 1, "CallSucceeded": 1}


def test_records_are_kept_without_the_secret(facts: Any) -> None:
    """One record per attempt and one per call; the secret is masked in them and in no file that was written."""
    assert [each["records"] for each in facts["sendings"]] == [4, 2]
    for each in facts["sendings"]:
        assert "****" in each["secret_recorded"]
        assert each["secret_in_clear"] == 0


def test_time_line_is_whole(facts: Any) -> None:
    """The call's time line has its attempts and the waits between them, and ends as the call did."""
    line = facts["sendings"][0]["timeline"]
    kinds = [step["kind"] for step in line["steps"]]
    assert kinds[-5:] == ["attempt", "wait", "attempt", "wait", "attempt"]
    assert kinds[:-5] in ([], ["wait"])  # on a busy machine even the first send may be late
    assert all(step["duration_ms"] >= 1000 for step in line["steps"][-5:] if step["kind"] == "wait")
    assert (line["outcome"], line["attempts"]) == ("done", 3)


def test_a_dead_service_is_left_alone(facts: Any) -> None:
    """The circuit opens at the fifth failure, the application is told once, and 1,000 calls reach nobody."""
    outage = facts["outage"]
    assert (outage["failures"], outage["refused"], outage["requests"]) == (5, 1000, 0)
    assert outage["pages"] == ["crm is down: 5 consecutive failures"]
    [line] = outage["logged"]
    assert line.startswith("WARNING the circuit of crm ")
    assert 0 < outage["refusal_seconds"] < 0.01  # microseconds; a machine may be busy
    assert "is open: 5 consecutive failures. Nothing was sent." in outage["error"]


def test_a_second_region_takes_over_and_gives_back(facts: Any) -> None:
    """No call is lost; five pay with a second attempt, then none does; the probe brings the first region back."""
    rescue = facts["rescue"]
    assert rescue["lost"] == 0
    moved, there, back = ["eu 500", "us 200"], ["us 200"], ["eu 200"]
    paths = [leg["path"] for leg in rescue["legs"]]
    assert (paths[0], paths[1], paths[-1]) == (moved, there, back)
    assert all(path in (moved, there, back) for path in paths)  # on a busy machine a trial may come before it heals
    assert rescue["legs"][0]["last"] == 5
    assert rescue["moves"][0] == "eu -> us: status 500"
    assert rescue["moves"][-1] == "us -> eu: it is tried again"
    assert [state for state, _ in rescue["circuit"]] == ["open", "half_open", "closed"]


def test_everything_it_claims_is_proved(facts: Any) -> None:
    """The closing table says yes to every claim; one no would end the demo with 1."""
    assert len(facts["claims"]) == 7
    assert [claim["text"] for claim in facts["claims"] if not claim["holds"]] == []


def test_plain_output_has_every_part(kept: tuple[Path, str]) -> None:
    """Without a terminal the demo is plain lines, with every part that it promises."""
    _, out = kept
    parts = [
        "1  An email through ",
        "503 Service Unavailable",
        "429 Too Many Requests",
        "202 Accepted",
        "2  The same code through ",
        "3  A hook rewrites the request",
        "[demo] Your invoice 1001",
        "4  Receivers hear of it",
        "2 RetryScheduled",
        "5  Every attempt leaves a record",
        "6  Any call can be explained later",
        "7  A service dies",
        "the next 1,000 calls, each in ",
        "8  A second region",
        "eu 500, then us 200",
        "What you saw",
        "What it proved",
        "nexus schema",
    ]
    places = [out.find(part) for part in parts]
    assert -1 not in places
    assert places == sorted(places)
    assert "\x1b" not in out
    assert all(len(line) <= 160 for line in out.splitlines())


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo terminals")
def test_terminal_gets_a_live_display(tmp_path: Path) -> None:
    """On a terminal of the usual size the waits are drawn as they pass, in colour, and the closing table follows."""
    import fcntl
    import pty
    import struct
    import termios

    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name not in {"NO_COLOR", "COLUMNS", "LINES"}}
    command = [NEXUS, "demo"]
    with subprocess.Popen(
        command, stdin=slave, stdout=slave, stderr=slave, cwd=tmp_path, env={**environment, "TERM": "xterm-256color"}
    ) as process:
        os.close(slave)
        out = _read_all(master)
    os.close(master)
    assert process.returncode == 0, out
    assert " of 1.0 s" in out
    assert "\x1b[32m" in out
    assert out.index(" of 1.0 s") < out.index("What you saw")


def _read_all(master: int) -> str:
    pieces: list[bytes] = []
    while True:
        try:
            piece = os.read(master, 65_536)
        except OSError:  # Linux says EIO when the last writer is gone, others say nothing more
            piece = b""
        if not piece:
            return b"".join(pieces).decode()
        pieces.append(piece)


def test_kept_folder_can_be_explained(kept: tuple[Path, str]) -> None:
    """What the demo leaves behind with --keep is a configuration whose calls can be explained."""
    folder, out = kept
    call = out.partition("$ nexus explain ")[2].split()[0]
    line = json.loads(nexus("--config", folder / "connector.toml", "explain", call, "--json", folder=folder.parent))
    assert (line["call_id"], line["attempts"]) == (call, 3)
