"""The examples of ``README.md`` and ``docs/`` are executed, page by page, and what they print is compared.

The blocks of a page are taken one after the other, in an empty working directory:

- A Python block runs, all in one namespace. A text block directly behind it is what it prints.
- A block whose first line is a comment with nothing but a file's name, say ``# connector.toml``, is written to that
  file. With ``# in connector.toml`` its settings are changed in the file that is there, as a reader does by hand.
- The commands of a console block run, see `Shell` of conftest.py; the lines below a command are what it prints.

At the end of the page its Python files are imported, and pytest runs those called ``test_*.py``, but for those that a
command of the page has run.
"""

from __future__ import annotations

import importlib
import io
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING
from unittest import mock

import attrs
import pytest

if TYPE_CHECKING:
    from conftest import Shell

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted(each for each in (ROOT / "docs").rglob("*.md") if "_build" not in each.parts)]
RUN = [page for page in PAGES if "cookbook" not in page.parts]
"""Pages whose examples run here; test_cookbook.py runs those of the others."""
LANGUAGES = {"python", "toml", "text", "console"}
"""Those of code blocks. ``pycon``, ``py`` and the like would be shown as Python and not run."""

_FENCE = re.compile(
    r"^(?P<fence>`{3,}|~{3,}|:{3,})(?P<language>[^\n]*)\n(?P<text>.*?)^(?P=fence)[ \t]*$", re.MULTILINE | re.DOTALL
)
_FILE = re.compile(r"# (?P<edit>in )?(?P<name>[\w-]+\.(?:py|toml))")


@attrs.frozen(kw_only=True)
class Block:
    """A code block of a page.

    Attributes:
        language: What stands behind its fence.
        text: Its lines.
        line: Number of its first line.
        output: The text block directly behind it; ``None``: there is none.
    """

    language: str
    text: str
    line: int
    output: str | None = None

    @property
    def file(self) -> str | None:
        """The file that it is or changes, if it names one."""
        match = _FILE.fullmatch(self.text.partition("\n")[0])
        return match["name"] if match else None

    def write(self) -> None:
        """Write the file, or change the settings that it shows in the file that is there."""
        file, (head, _, rest) = Path(self.file or ""), self.text.partition("\n")
        is_whole = not head.startswith("# in ")
        file.write_text(self.text if is_whole else changed(file.read_text("utf-8"), rest), encoding="utf-8")


def blocks_of(source: str) -> list[Block]:
    """Return the code blocks of a page, outputs attached to what prints them."""
    found: list[Block] = []
    end = -1
    for match in _FENCE.finditer(source):
        language, text = match["language"].strip(), match["text"]
        is_next = end >= 0 and not source[end : match.start()].strip()
        if language == "text" and is_next and found[-1].language == "python" and found[-1].output is None:
            found[-1] = attrs.evolve(found[-1], output=text)
        else:
            found.append(Block(language=language, text=text, line=source.count("\n", 0, match.start("text")) + 1))
        end = match.end()
    return found


def changed(text: str, settings: str) -> str:
    """Return a TOML file with settings changed, or put into force, where they stand in it."""
    place = 0
    for line in settings.splitlines():
        if line.startswith("["):
            place = text.index(f"\n{line.partition('#')[0].rstrip()}")
        elif line.strip():
            key = line.partition(" =")[0]
            pattern = re.compile(rf"^#?{re.escape(key)} = .*$", re.MULTILINE)
            found = pattern.search(text, place)
            assert found is not None, f"there is no {key} to change"
            text = text[: found.start()] + line + text[found.end() :]
    return text


def page_id(page: Path) -> str:
    """Name a page in the report."""
    return page.relative_to(ROOT).as_posix()


every_page = pytest.mark.parametrize("page", PAGES, ids=page_id)
every_page_to_run = pytest.mark.parametrize("page", RUN, ids=page_id)


@pytest.fixture
def namespace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """A module for a page to run in; what the page does to the directory, the environment and the modules is undone."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    module = ModuleType("page")
    monkeypatch.setitem(sys.modules, "page", module)
    with mock.patch.dict(os.environ):
        for name in [name for name in os.environ if name.startswith("NEXUS")]:
            del os.environ[name]
        yield module
    for name, loaded in list(sys.modules.items()):
        if Path(getattr(loaded, "__file__", None) or ROOT).is_relative_to(tmp_path):
            del sys.modules[name]


def run(block: Block, page: Path, namespace: ModuleType) -> str:
    """Execute a Python block and return what it prints."""
    code = compile("\n" * (block.line - 1) + block.text, str(page), "exec")
    with redirect_stdout(io.StringIO()) as printed:
        exec(code, vars(namespace))
    return printed.getvalue()


def check_file(file: str, folder: Path) -> None:
    """Import a Python file that a page shows, or run its tests."""
    if not file.startswith("test_"):
        importlib.import_module(file.removesuffix(".py"))
        return
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-W",
        "error",
        "-p",
        "no:cacheprovider",
        "-c",
        os.devnull,
        "--rootdir",
        str(folder),
        file,
    ]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@every_page_to_run
def test_the_examples_of_a_page_run(page: Path, namespace: ModuleType, tmp_path: Path, shell: Shell) -> None:
    """Every block runs, and prints exactly what stands behind it: nothing, where nothing stands there."""
    files: list[str] = []
    for block in blocks_of(page.read_text(encoding="utf-8")):
        where = f"{page_id(page)}:{block.line}"
        if block.file is not None:
            block.write()
            files.append(block.file)
        elif block.language == "python":
            assert run(block, page, namespace) == (block.output or ""), where
        elif block.language == "console":
            check_commands(block, shell, where)
    for file in dict.fromkeys(files):
        if file.endswith(".py") and file not in shell.files:
            check_file(file, tmp_path)


def check_commands(block: Block, shell: Shell, where: str) -> None:
    """Compare what commands print; a block that shows nothing leaves it out, and then they succeed."""
    done = shell.run(block.text)
    if any(each.shown for each in done):
        assert [(each.line, each.printed) for each in done] == [(each.line, each.shown) for each in done], where
    else:
        assert [(each.line, each.printed) for each in done if each.status] == [], where


@every_page
def test_no_example_escapes(page: Path) -> None:
    """Every code block is of a language that this test knows, and none is indented, where it would not be found."""
    source = page.read_text(encoding="utf-8")
    unknown = {block.language for block in blocks_of(source)} - LANGUAGES
    assert {each for each in unknown if not re.fullmatch(r"\{[\w-]+\}.*", each)} == set()
    assert re.findall(r"^[ \t]+(?:```|~~~).*$", source, re.MULTILINE) == []
    assert "<!--" not in source


def test_what_is_found() -> None:
    """The blocks of a page are found with their lines; a text belongs to the Python block directly before it only."""
    page = "```python\nprint(1)\n```\n\n```text\n1\n```\n```text\n2\n```\n```toml\n# a.toml\n```"
    assert blocks_of(page) == [
        Block(language="python", text="print(1)\n", line=2, output="1\n"),
        Block(language="text", text="2\n", line=9),
        Block(language="toml", text="# a.toml\n", line=12),
    ]
    assert [block.file for block in blocks_of(page)] == [None, None, "a.toml"]


@pytest.mark.parametrize(("code", "output"), [("print(1)", None), ("print(1)", "2\n"), ("1 / 0", None)])
def test_a_wrong_example_is_noticed(code: str, output: str | None, namespace: ModuleType) -> None:
    """Another output, an output that nobody wrote down and an exception each fail."""
    with pytest.raises((AssertionError, ZeroDivisionError)):
        assert run(Block(language="python", text=code, line=1, output=output), ROOT / "x.md", namespace) == (
            output or ""
        )
