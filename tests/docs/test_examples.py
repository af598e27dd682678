"""The examples of ``README.md`` and ``docs/`` are executed, page by page, and what they print is compared.

The Python blocks of a page run one after the other, in one namespace and in an empty working directory. A block whose
first line is a comment with nothing but a file's name is written to that file instead, say ``# connector.toml``. At the
end of the page its Python files are imported, and pytest runs those called ``test_*.py``. A text block that stands
directly behind a Python block is what that one prints.
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
from unittest import mock

import attrs
import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted(each for each in (ROOT / "docs").rglob("*.md") if "_build" not in each.parts)]
LANGUAGES = {"python", "toml", "text", "console"}
"""Those of code blocks. ``pycon``, ``py`` and the like would be shown as Python and not run."""

_FENCE = re.compile(
    r"^(?P<fence>`{3,}|~{3,}|:{3,})(?P<language>[^\n]*)\n(?P<text>.*?)^(?P=fence)[ \t]*$", re.MULTILINE | re.DOTALL
)
_FILE = re.compile(r"# (?P<name>[\w-]+\.(?:py|toml))")


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
        """The file that it is, if it names one."""
        match = _FILE.fullmatch(self.text.partition("\n")[0])
        return match["name"] if match else None


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


def page_id(page: Path) -> str:
    """Name a page in the report."""
    return page.relative_to(ROOT).as_posix()


every_page = pytest.mark.parametrize("page", PAGES, ids=page_id)


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


@every_page
def test_the_examples_of_a_page_run(page: Path, namespace: ModuleType, tmp_path: Path) -> None:
    """Every Python block runs, and prints exactly what stands behind it: nothing, where nothing stands there."""
    files: list[str] = []
    for block in blocks_of(page.read_text(encoding="utf-8")):
        if block.file is not None:
            (tmp_path / block.file).write_text(block.text, encoding="utf-8")
            files.append(block.file)
        elif block.language == "python":
            assert run(block, page, namespace) == (block.output or ""), f"{page_id(page)}:{block.line}"
    for file in files:
        if file.endswith(".py"):
            check_file(file, tmp_path)


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
