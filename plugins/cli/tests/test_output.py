from __future__ import annotations

import io
import sys

import pytest
from rich.text import Text

from nexus_connector_cli._output import Output, clean, milliseconds


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    encoding = "utf-8"

    def isatty(self):
        return True


@pytest.fixture
def stdout(monkeypatch):
    """Put a stream in the place of standard output."""
    monkeypatch.setenv("TERM", "xterm-256color")

    def put(stream):
        monkeypatch.setattr(sys, "stdout", stream)
        return stream

    return put


def test_colour_is_for_terminals_only(stdout, monkeypatch):
    """A terminal gets colours, unless NO_COLOR is set; anything else never does."""
    terminal = stdout(Terminal())
    Output().report({}, Text("done", style="good"))
    assert "\x1b[32m" in terminal.getvalue()
    pipe = stdout(io.StringIO())
    Output().report({}, Text("done", style="good"))
    assert pipe.getvalue() == "done\n"
    monkeypatch.setenv("NO_COLOR", "1")
    plain = stdout(Terminal())
    Output().report({}, Text("done", style="good"))
    assert plain.getvalue() == "done\n"


def test_terminal_is_not_steered(stdout):
    """Control characters of foreign text reach no terminal."""
    terminal = stdout(Terminal())
    Output().write("red: \x1b[31m")
    assert terminal.getvalue() == "red: \\x1b[31m\n"
    assert clean("a\tb\nc\x07\x9b") == "a\tb\nc\\x07\\x9b"


def test_pipe_gets_text_as_it_is(stdout):
    """What a user pipes into a file is what the vendor sent, blanks at the ends of lines included."""
    pipe = stdout(io.StringIO())
    Output().write("a  \nb\x1b")
    assert pipe.getvalue() == "a  \nb\x1b\n"


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0, "0.0 ms"), (99.94, "99.9 ms"), (412.2, "412 ms"), (1000, "1.00 s"), (12_345, "12.3 s")],
)
def test_durations_are_short(value, shown):
    """A duration has the unit and the digits that a person wants."""
    assert milliseconds(value) == shown
