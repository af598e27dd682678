"""The programs of the cookbook run as a user runs them, and print what their pages show.

Each recipe is a page ``docs/cookbook/NAME.md`` and a folder of the same name with the files that the page includes.
Its vendors are those of ``cookbook_vendors.py``: real HTTP on this machine. The lines of the page's ``console``
blocks that begin with ``$`` are run in a copy of the folder, one after the other; what stands below each is its output.
"""

from __future__ import annotations

import http.client
import importlib.util
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from importlib.util import find_spec
from itertools import zip_longest
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import attrs
import pytest

from nexus_connector.testing.emulator import Answer

if TYPE_CHECKING:
    from conftest import Docs

BOOK: Final = Path(__file__).parents[2] / "docs" / "cookbook"
RECIPES: Final = sorted(each.stem for each in BOOK.glob("*.md") if each.stem != "index")
NEEDS: Final[Mapping[str, str]] = {
    "fastapi-service": "fastapi",
    "flask-app": "flask",
    "django-view": "django",
    "celery-task": "celery",
}
"""Packages of others that a recipe is about; the dependency group ``cookbook`` has them."""
WARNINGS: Final = "error,ignore:You're running the worker with superuser privileges"
"""All are errors, but what Celery says to root in a container: that is about the machine, not about the program."""
SEEN: Final[Mapping[str, Mapping[str, int]]] = {
    "rest-api": {"crm POST /orders": 2},
    "fastapi-service": {"crm POST /orders/7/reminders": 1},
    "flask-app": {"crm POST /orders/7/reminders": 1},
    "django-view": {"crm POST /orders/7/reminders": 1},
    "celery-task": {"crm": 6},
    "signing-hook": {"warehouse PUT /stock/tea": 2},
    "slack-alert": {"slack": 4},
    "own-adapter": {"pigeon POST /messages": 2},
    "three-in-the-morning": {"bank POST /payouts": 1},
}
"""Requests that a vendor got, where the page says how many."""
EFFECTS: Final[Mapping[str, Mapping[str, int]]] = {
    "rest-api": {"basket-9": 1},
    "celery-task": {"order-b-1": 1, "order-b-2": 1, "order-b-3": 1},
    "own-adapter": {"invoice-1001": 1},
}
"""What a vendor that honours keys did, by key."""
LANGUAGES: Final = {".py": "python", ".toml": "toml"}
STATUS: Final = Path("/proc/self/status")
PARTS: Final = ["Configuration", "Program", "Output", "What can go wrong"]
SERVERS: Final = re.compile(r"uvicorn |flask .*\brun\b|python manage\.py runserver |celery .*\bworker\b")
"""Commands that run until the page ends."""
PORT: Final = "8000"
"""Port of the servers on the pages; a test gives them a free one."""
ULID: Final = re.compile(r"\b0[0-7][0-9A-HJKMNP-TV-Z]{24}\b")
LOOPBACK: Final = re.compile(r"127\.0\.0\.1:\d+")
"""Where the vendors are, on a port of their own in each run."""
MEASURED: Final = re.compile(r"\b\d+(?:\.\d+)? ?m?s\b|\d{4}-\d\d-\d\d[ T][\d:.]+|[█─]+| {2,}")
"""What differs from run to run in the output of a tool: durations, times, bars and the width of columns."""


def load(name: str, file: Path) -> ModuleType:
    """Import a file that is in no package."""
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


vendors: Final[Any] = load("cookbook_vendors", Path(__file__).with_name("cookbook_vendors.py"))


@attrs.frozen
class Command:
    """One command of a page.

    Attributes:
        line: What stands behind the ``$``.
        output: The lines below it.
    """

    line: str
    output: str


def commands_of(page: str) -> list[Command]:
    """Return the commands of a page in order."""
    found: list[Command] = []
    for block in re.findall(r"^```console\n(.*?)^```$", page, re.MULTILINE | re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            line, _, output = part.partition("\n")
            found.append(Command(line, output))
    return found


class Terminal:
    """Where the commands of a page are typed: a folder, an environment, and the servers that still run.

    Args:
        folder: A copy of the recipe's folder.
        variables: Variables by which programs find the vendors.
    """

    def __init__(self, folder: Path, variables: Mapping[str, str]) -> None:
        self._folder = folder
        self._port = str(free_port())
        self._ids: dict[str, str] = {}
        self._servers: list[subprocess.Popen[bytes]] = []
        clean = {
            name: value for name, value in os.environ.items() if not name.startswith(("NEXUS", "PYTEST", "PYTHON"))
        }
        self._environment = clean | variables | {"PYTHONWARNINGS": WARNINGS, "PYTHONUNBUFFERED": "1", "COLUMNS": "100"}
        if not folder.joinpath("pyproject.toml").exists():  # else pytest would take one of a folder above
            self._environment["PYTEST_ADDOPTS"] = f"-c {os.devnull} --rootdir {folder}"

    def type(self, command: Command) -> None:
        """Run a command as it is printed, and compare what it prints."""
        line = ULID.sub(lambda found: self._ids.get(found[0], found[0]), command.line)
        words = shlex.split(line.replace(PORT, self._port))
        variables = dict(words.pop(0).split("=", 1) for _ in iter(lambda: "=" in words[0], False))
        if SERVERS.match(line):
            self._serve(words, variables)
            return
        printed = self._ask(words) if words[0] == "curl" else self.run(words, variables)
        loose = words[0] == "nexus" or "pytest" in words
        got, wanted = (self._plain(text, loose=loose) for text in (printed, self._renamed(command.output, printed)))
        if not matches(got, wanted):
            assert got == wanted

    def close(self) -> str:
        """End the servers as a user does, and return what they printed."""
        for server in self._servers:
            server.send_signal(signal.SIGTERM)
        for server in self._servers:
            server.wait(timeout=60)
        return "".join(log.read_text("utf-8") for log in self._folder.parent.glob("server-*.log"))

    def run(self, words: Sequence[str], variables: Mapping[str, str]) -> str:
        """Run a command and return what it prints, errors included."""
        done = subprocess.run(
            self._found(words),
            cwd=self._folder,
            env=self._environment | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            check=False,
        )
        return done.stdout

    def _serve(self, words: Sequence[str], variables: Mapping[str, str]) -> None:
        """Start a server; one that listens is waited for."""
        log = self._folder.with_name(f"server-{len(self._servers)}.log")
        with log.open("w", encoding="utf-8") as output:
            server = subprocess.Popen(
                self._found(words),
                cwd=self._folder,
                env=self._environment | variables,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self._servers.append(server)
        if self._port not in " ".join(words):
            return
        for _ in range(1200):
            if is_open(int(self._port)):
                return
            with suppress(subprocess.TimeoutExpired):
                server.wait(timeout=0.05)
                break
        pytest.fail(f"{words} does not listen:\n{log.read_text('utf-8')}")

    def _ask(self, words: Sequence[str]) -> str:
        """Do what ``curl -s [-X METHOD] [-d BODY] URL`` does: not every machine has it."""
        method, body, url = "GET", None, urlsplit(words[-1])
        options = list(words[1:-1])
        while options:
            match options.pop(0):
                case "-s":
                    pass
                case "-X":
                    method = options.pop(0)
                case "-w":
                    assert options.pop(0) == r" %{http_code}\n"
                case unknown:
                    raise AssertionError(unknown)
        connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=30)
        connection.request(method, f"{url.path}?{url.query}" if url.query else url.path, body)
        answer = connection.getresponse()
        text = f"{answer.read().decode()} {answer.status}\n"
        connection.close()
        return text

    def _found(self, words: Sequence[str]) -> list[str]:
        """Return a command with the programs of the environment that runs the tests."""
        if words[0] == "python":
            return [sys.executable, *words[1:]]
        return [str(Path(sysconfig.get_path("scripts"), words[0])), *words[1:]]

    def _renamed(self, shown: str, printed: str) -> str:
        """Give the call ids of a page the names that they have in this run, in the order of their appearance."""
        for name, real in zip(ULID.findall(shown), ULID.findall(printed), strict=False):
            self._ids.setdefault(name, real)
        return ULID.sub(lambda found: self._ids.get(found[0], found[0]), shown)

    def _plain(self, text: str, *, loose: bool) -> list[str]:
        lines = [LOOPBACK.sub("127.0.0.1:PORT", line.rstrip()) for line in text.strip("\n").splitlines()]
        if not loose:
            return lines
        plain = [MEASURED.sub(" ", line).strip() for line in lines]
        # On a busy machine the first send is late, and a time line shows the wait before it.
        return [line for line, after in zip_longest(plain, plain[1:], fillvalue="") if not _is_late(line, after)]


def _is_late(line: str, after: str) -> bool:
    return line == "+  wait" and after.startswith("+  attempt 1 ")


def matches(printed: list[str], shown: list[str]) -> bool:
    """Compare lines; a line of three dots on a page stands for any number of lines."""
    if "..." not in shown:
        return printed == shown
    place = shown.index("...")
    rest = shown[place + 1 :]
    return printed[:place] == shown[:place] and any(
        matches(printed[start:], rest) for start in range(place, len(printed) + 1)
    )


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def is_open(port: int) -> bool:
    """Say whether somebody listens."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def stage(name: str) -> Iterator[Any]:
    """The vendors of a recipe, playing."""
    needed = NEEDS.get(name)
    if needed is not None and find_spec(needed) is None:
        pytest.skip(f"{needed} is not installed; the dependency group cookbook has it")
    with vendors.playing(name) as stage:
        yield stage


@pytest.fixture
def terminal(name: str, stage: Any, tmp_path: Path) -> Iterator[Terminal]:
    """A terminal in a copy of a recipe's folder; its servers have nothing to complain about when they end."""
    terminal = Terminal(shutil.copytree(BOOK / name, tmp_path / name), stage.environment)
    try:
        yield terminal
    finally:
        said = terminal.close()
    assert re.findall(r"Traceback|\w*Warning\b", said) == [], said


def text_of(name: str) -> str:
    """Return the page of a recipe."""
    return BOOK.joinpath(f"{name}.md").read_text("utf-8")


every_recipe = pytest.mark.parametrize("name", RECIPES)


@every_recipe
def test_a_recipe_prints_what_its_page_shows(name: str, stage: Any, terminal: Terminal) -> None:
    """Every command of a page, run as printed, prints what stands below it; and the vendors saw what the page says."""
    commands = commands_of(text_of(name))
    assert commands
    for command in commands:
        terminal.type(command)
    for target, seen in SEEN.get(name, {}).items():
        service, _, route = target.partition(" ")
        assert len(stage.services[service].arrivals_of(route)) == seen, target
    effects = {key: count for vendor in stage.services.values() for key, count in vendor.effects.items()}
    assert effects == EFFECTS.get(name, {})


@every_recipe
def test_a_page_has_its_parts(name: str, docs: Docs) -> None:
    """A page says in two sentences what the program does, then has configuration, program, output and trouble."""
    lead = re.sub(r"^# .*\n", "", text_of(name)).partition("\n## ")[0]
    assert len(re.findall(r"[.?!](?=\s|$)", lead)) == 2
    assert list(docs.sections(text_of(name), 2)) == PARTS


@every_recipe
def test_a_page_shows_every_file(name: str) -> None:
    """A page includes each file of its folder once, whole, and no other."""
    shown = re.findall(r"^```\{literalinclude\} (\S+)\n:language: (\w+)\n```$", text_of(name), re.MULTILINE)
    files = [each for each in (BOOK / name).rglob("*") if each.suffix in LANGUAGES]
    assert sorted(shown) == sorted((each.relative_to(BOOK).as_posix(), LANGUAGES[each.suffix]) for each in files)
    assert text_of(name).count("{literalinclude}") == len(shown)


@every_recipe
def test_programs_are_the_users(name: str) -> None:
    """A program knows nothing of tests: only test modules name the testing package."""
    programs = [each for each in (BOOK / name).rglob("*.py") if not each.name.startswith("test_")]
    assert programs
    assert [each for each in programs if "nexus_connector.testing" in each.read_text("utf-8")] == []


def test_every_recipe_is_in_the_book(docs: Docs) -> None:
    """Each recipe has a page, a folder, vendors, a line in the table of the index and one in its tree."""
    index = BOOK.joinpath("index.md").read_text("utf-8")
    listed = [re.findall(r"\((.*)\.md\)", program)[0] for _, program in docs.rows(index)]
    tree = index.partition("```{toctree}")[2].split("\n\n")[1].removesuffix("```\n").split()
    assert listed == tree
    folders = [each.name for each in BOOK.iterdir() if each.is_dir() and any(each.glob("*.py"))]
    assert sorted(listed) == sorted(folders) == sorted(RECIPES) == sorted(vendors.RECIPES)


@pytest.mark.parametrize("name", ["slack-alert"])
def test_the_webhook_is_in_no_record(name: str, stage: Any, terminal: Terminal, tmp_path: Path) -> None:
    """The secret half of the webhook's URL is masked wherever the calls of the alerts are recorded."""
    records = tmp_path / "records"
    [command] = commands_of(text_of(name))
    terminal.type(Command(f"NEXUS__PLUGINS__JSONL__PATH={records} {command.line}", command.output))
    written = "".join(each.read_text("utf-8") for each in records.iterdir())
    assert '"service_name":"slack"' in written
    assert stage.environment["SLACK_WEBHOOK_PATH"].rpartition("/")[2] not in written


@pytest.mark.parametrize("name", ["slack-alert"])
def test_nobody_tells_slack_about_slack(name: str, stage: Any, terminal: Terminal) -> None:
    """While Slack itself is down, each alert is tried once and logged; no failed post makes another one."""
    webhook = f"POST /services/{stage.environment['SLACK_WEBHOOK_PATH']}"
    stage.services["slack"].on(webhook, Answer(500))
    printed = terminal.run(["python", "slack_alert.py"], {})
    assert len(stage.services["slack"].arrivals) == 4
    assert printed.count("Slack does not know: slack answered POST /services with 500.") == 4


@pytest.mark.skipif(not STATUS.exists(), reason="the kernel does not tell a process's peak of memory in /proc")
@pytest.mark.parametrize("name", ["large-files"])
def test_memory_does_not_grow_with_the_file(name: str, terminal: Terminal) -> None:
    """256 MiB, down and up again, take no more memory than 1 MiB does, give or take 8 MiB."""
    assert peak_mebibytes(terminal, 256) < peak_mebibytes(terminal, 1) + 8


def peak_mebibytes(terminal: Terminal, megabytes: int) -> float:
    """Run the program on a file of this size and return the peak of its memory."""
    program = (
        "import re, runpy, sys; from pathlib import Path; sys.argv = ['large_files.py', sys.argv[1]];"
        "runpy.run_path('large_files.py', run_name='__main__');"
        f"print(re.search(r'VmHWM:\\s+(\\d+) kB', Path('{STATUS}').read_text())[1])"
    )
    printed = terminal.run(["python", "-c", program, str(megabytes)], {})
    assert f"downloaded {megabytes << 20:,} bytes" in printed
    return int(printed.splitlines()[-1]) / 1024


@pytest.mark.parametrize("name", ["first-email"])
@pytest.mark.parametrize(
    "shown", ["queued: 14c5d75ce94 at sendgrid, call 01M7YZ64S23QX1YR7E4WJXV1VJ\n", "", "...\n1\n"]
)
def test_a_wrong_output_is_noticed(shown: str, terminal: Terminal) -> None:
    """A page that shows something else, or nothing, fails."""
    with pytest.raises(AssertionError):
        terminal.type(Command("python first_email.py", shown))


def test_what_is_compared() -> None:
    """Commands are cut at their dollar signs; three dots stand for lines; a call's id keeps its name."""
    page = "```console\n$ python a.py\n1\n...\n$ nexus status\n```\n```python\n$ no\n```\n"
    assert commands_of(page) == [Command("python a.py", "1\n...\n"), Command("nexus status", "")]
    assert matches(["1", "2", "3", "4"], ["1", "...", "4"])
    assert matches(["1", "4"], ["1", "...", "4"])
    assert not matches(["1", "2", "3"], ["1", "...", "4"])
    assert not matches(["0", "1", "4"], ["1", "...", "4"])
