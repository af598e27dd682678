"""What fills the pages reads the code rightly, and what runs their examples notices what is wrong."""

from __future__ import annotations

import ast
import doctest
import importlib
import os
import pkgutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import reference_pages
from reference_pages import sources
from reference_pages.errors import errors
from reference_pages.filling import MAKERS, fill, has_blocks
from reference_pages.markdown import attributes, table

if TYPE_CHECKING:
    from conftest import Docs, Shell

MODULES = [f"reference_pages.{each.name}" for each in pkgutil.iter_modules(reference_pages.__path__)]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module(name: str) -> None:
    """Every docstring example of the extension is right, and no module is longer than 300 lines."""
    module = importlib.import_module(name)
    assert doctest.testmod(module).failed == 0
    assert len(Path(module.__file__ or "").read_text("utf-8").splitlines()) < 300


def test_a_block_is_filled_where_it_stands() -> None:
    """What stands around a block stays; an unknown word is an error and not a gap."""
    page = "before\n\n```{generated} hook\nnexus_connector.hookspecs.store_log\n```\n\nafter\n"
    assert has_blocks(page)
    filled = fill(page)
    assert filled.startswith("before\n\nKeep records.")
    assert filled.endswith("\n\nafter\n")
    assert not has_blocks(filled)
    with pytest.raises(KeyError):
        fill("```{generated} nothing\n```\n")


def test_every_maker_is_used(docs: Docs) -> None:
    """No maker is left behind that no page asks for."""
    text = "".join(page.read_text("utf-8") for page in docs.pages)
    assert {name for name in MAKERS if f"```{{generated}} {name}\n" not in text} == set()


SOURCE = """
import Imported
class Derived(Base): ...
def function(argument: Annotated) -> Returned:
    try:
        call.emit(Emitted, reason="x")
        raise Raised("x")
    except Caught:
        connector.on(Heard)(print)
        assert isinstance(argument, Checked)
        assert kind is Compared
    errors = {401: Mapped}
"""


def test_what_makes_an_instance() -> None:
    """Called, emitted or kept for somebody else to make counts; what only names a class does not."""
    found = sources._made(ast.parse(SOURCE))
    classes = {"Imported", "Base", "Annotated", "Returned", "Caught", "Heard", "Checked", "Compared"}
    assert found & (classes | {"Emitted", "Raised", "Mapped"}) == {"Emitted", "Raised", "Mapped"}


def test_who_implements_a_hook() -> None:
    """Only decorated functions do, each part is named once, and the test kit of the core is no part."""
    tree = ast.parse("@hookimpl(service='x')\ndef classify(): ...\n\ndef gates(): ...\n")
    assert sources._implemented(tree) == {"classify"}
    assert sources.implementers()["resolve_credentials"] == ["the core"]
    parts = [part for names in sources.makers().values() for part in [names]]
    assert all(len(each) == len(set(each)) for each in parts)


def test_an_unknown_remedy_is_refused() -> None:
    """A line about an error that does not exist was forgotten when the error was renamed."""
    with pytest.raises(ValueError, match="NoSuchError"):
        errors("NoSuchError: Nothing.")


def test_a_table_shows_what_it_has() -> None:
    """A column without a word is left out; without rows there is no table; a bar does not end a cell."""
    assert table(("a", "b"), [("1", ""), ("2", "")]) == "| a |\n|---|\n| 1 |\n| 2 |"
    assert table(("a", "b"), []) == ""
    assert r"x\|y" in table(("a",), [("x|y",)])


def test_the_texts_of_a_parent_are_not_taken() -> None:
    """A class without a docstring has no attributes, even if the one above it describes some."""

    class Parent:
        """Has one.

        Attributes:
            name: A name
                of two lines.
        """

    class Child(Parent):
        pass

    assert attributes(Parent) == {"name": "A name of two lines."}
    assert attributes(Child) == {}


# The shell


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_command_runs_as_it_is_typed(folder: Path, shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands run in order, in one folder and one environment; errors are part of what is printed."""
    monkeypatch.setenv("GREETING", "")
    (folder / "say.py").write_text("import os, sys; print(os.environ['GREETING']); sys.exit('over')", "utf-8")
    done = shell.run("$ export GREETING=hello\n$ python say.py\nhello\nshown\n$ cat \\\n  say.py\n")
    assert [each.line.split()[0] for each in done] == ["export", "python", "cat"]
    assert (done[1].shown, done[1].printed, done[1].status) == ("hello\nshown\n", "hello\nover\n", 1)
    assert done[2].printed == (folder / "say.py").read_text("utf-8")
    assert shell.files == {"say.py"}
    shell.run("$ unset GREETING\n")
    assert "GREETING" not in os.environ


@pytest.mark.parametrize("line", ["curl https://example.com", "make", "nexusx"])
def test_an_unknown_command_is_no_example(line: str, folder: Path, shell: Shell) -> None:
    """What no test runs has to be declared, with the reason."""
    with pytest.raises(AssertionError, match="no test runs"):
        shell.run(f"$ {line}\n")


def test_what_is_left_out(folder: Path, shell: Shell) -> None:
    """What needs the network is not run, nor what has tests of its own; offline the doctor is."""
    left_out = '$ pip install "x" && nox -s demo\n$ nexus call crm GET /\n$ nexus demo --fast\n$ nexus doctor\n'
    assert shell.run(left_out) == []
    [doctor] = shell.run("$ nexus doctor --offline\n")
    assert doctor.status in {1, 2}
