"""What the tests of this folder share: reading pages of Markdown, what the code writes into them, and a shell."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import attrs
import pytest

ROOT: Final = Path(__file__).parents[2]
Rows = list[tuple[str, ...]]

sys.path.insert(0, str(ROOT / "docs" / "_ext"))  # where Sphinx finds what fills the pages, too


class Docs:
    """The pages of this repository, as headings and tables; docstrings, as they are shown there."""

    root = ROOT

    @property
    def pages(self) -> list[Path]:
        """README.md and every page of docs/."""
        pages = [each for each in (ROOT / "docs").rglob("*.md") if "_build" not in each.parts]
        return [ROOT / "README.md", *sorted(pages)]

    def page(self, name: str) -> str:
        """Return the text of a page below docs/."""
        return (ROOT / "docs" / name).read_text(encoding="utf-8")

    def sections(self, text: str, level: int) -> dict[str, str]:
        """Return what stands below each heading of a level, up to the next heading of it or of a higher one."""
        parts = re.split(rf"^(#{{1,{level}}}) (.+)\n", text, flags=re.MULTILINE)
        return {parts[i + 1]: parts[i + 2] for i in range(1, len(parts), 3) if parts[i] == "#" * level}

    def rows(self, text: str, *, skip: int = 0) -> Rows:
        """Return the rows of the first table in a text, or of a later one, without its head."""
        tables = re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)
        lines = tables[skip].splitlines()[2:] if len(tables) > skip else []
        return [
            tuple(cell.strip().replace(r"\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]) for line in lines
        ]

    def filled(self, name: str) -> str:
        """Return the text of a page below docs/ as it is shown, with what the code writes into it."""
        from reference_pages.filling import fill

        return fill(self.page(name))


@attrs.frozen
class Ran:
    """A command that was run.

    Attributes:
        line: The command.
        shown: What the page shows below it.
        printed: What it printed, outputs and errors.
        status: Its exit status.
    """

    line: str
    shown: str
    printed: str
    status: int


class Shell:
    """Runs the commands of console blocks in the working directory, as a reader types them there."""

    NOT_RUN: Final[Mapping[str, str]] = {
        "pip": "installs from an index",
        "python -m venv": "makes an environment; the tests have theirs",
        "source": "enters that environment",
        "nox": "is what runs these tests",
        "nexus call": "goes over the network",
        "nexus demo": "takes its time, and has tests of its own",
        "nexus doctor": "opens connections; with --offline it is run",
    }
    """First words of what is not run, and why."""

    def __init__(self) -> None:
        self.files: set[str] = set()
        """Python files that a command has run."""

    def run(self, block: str) -> list[Ran]:
        """Run the commands of a block, but those that are left out.

        Raises:
            AssertionError: If a command is not known here: add it to `_arguments`, or to `NOT_RUN` with the reason.
        """
        parts = re.findall(r"^\$ ((?:\\\n|[^\n])*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE)
        commands = [(each, shown) for line, shown in parts for each in line.replace("\\\n", " ").split(" && ")]
        return [
            Ran(line, shown, *self._run(shlex.split(line))) for line, shown in commands if not self._is_left_out(line)
        ]

    def _is_left_out(self, command: str) -> bool:
        kept = command.startswith("nexus doctor") and "--offline" in command
        return not kept and any(f"{command} ".startswith(f"{start} ") for start in self.NOT_RUN)

    def _run(self, words: list[str]) -> tuple[str, int]:
        if words[0] in {"export", "unset"}:
            name, _, value = words[1].partition("=")
            os.environ.pop(name, None)
            os.environ.update({name: value} if words[0] == "export" else {})
            return "", 0
        if words[0] == "cat":
            return Path(words[1]).read_text("utf-8"), 0
        # A reader's Python finds the modules of the folder it is started in; a page has no colours.
        others = {"PYTHONSAFEPATH", "FORCE_COLOR"}
        environment = {name: value for name, value in os.environ.items() if name not in others}
        done = subprocess.run(
            self._arguments(words),
            env={**environment, "COLUMNS": "80", "PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
        )
        return re.sub(r"\bin \d+\.\d\ds", "in 0.05s", done.stdout), done.returncode

    def _arguments(self, words: list[str]) -> list[str]:
        match words:
            case ["nexus", *rest]:
                return [str(Path(sysconfig.get_path("scripts"), "nexus")), *rest]
            case ["python", file, *rest] if file.endswith(".py"):
                self.files.add(file)
                return [sys.executable, "-W", "error", file, *rest]
            case ["pytest", *rest]:
                options = ["-W", "error", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", os.curdir]
                return [sys.executable, "-m", "pytest", *options, *rest]
            case _:
                raise AssertionError(f"no test runs {shlex.join(words)}")


@pytest.fixture(scope="session")
def docs() -> Docs:
    """Reads the documentation."""
    return Docs()


@pytest.fixture
def shell() -> Shell:
    """Runs console blocks."""
    return Shell()
