"""Output: results on standard output, everything else on standard error, colour only on a terminal."""

from __future__ import annotations

import io
import json
import os
import re
import sys
from typing import Any, Final, TextIO, cast

import attrs
from rich.console import Console, RenderableType
from rich.style import Style
from rich.text import Text
from rich.theme import Theme

# Of the sixteen colours of a terminal these are readable on a dark and on a light background alike.
_THEME: Final = Theme(
    {
        "good": Style(color="green"),
        "bad": Style(color="red"),
        "care": Style(color="magenta"),
        "name": Style(bold=True),
        "quiet": Style(dim=True),
    }
)
_PIPE_WIDTH: Final = 160
_BLANKS: Final = re.compile(r"[ ]+\n")
_CONTROLS: Final = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\n\t"}


@attrs.define
class Output:
    """Where one run of the command line writes to.

    Attributes:
        out: Standard output: results and nothing else.
        err: Standard error: notes and errors.
        as_json: Whether reports are JSON.
    """

    out: Console = attrs.field(factory=lambda: _console(stderr=False))
    err: Console = attrs.field(factory=lambda: _console(stderr=True))
    as_json: bool = False

    def report(self, data: object, *views: RenderableType) -> None:
        """Write a result: as JSON if that was asked for, else as what a person reads."""
        if self.as_json:
            self.write(json.dumps(data, indent=2, ensure_ascii=False, default=str))
        else:
            self.out.print(*views, sep="\n", soft_wrap=False)

    def write(self, text: str) -> None:
        """Write text to standard output as it is, but for what would steer a terminal."""
        stream = getattr(self.out.file, "stream", self.out.file)
        stream.write((clean(text) if self.out.is_terminal else text).rstrip("\n") + "\n")
        stream.flush()

    def note(self, text: str) -> None:
        """Write a remark to standard error."""
        self.err.print(Text(clean(text), style="quiet"), soft_wrap=not self.err.is_terminal)


def clean(text: str) -> str:
    r"""Return text in which control characters are spelled out: what a vendor answers must not steer a terminal.

    >>> clean("red: \x1b[31m")
    'red: \\x1b[31m'
    """
    return text.translate(_CONTROLS)


def text_of(value: object, style: str = "") -> Text:
    """Return a value as text that means nothing but itself; ``None`` is empty."""
    return Text("" if value is None else clean(str(value)), style=style)


def milliseconds(value: float) -> str:
    """Return a duration for people.

    >>> milliseconds(0.4216), milliseconds(1034.2), milliseconds(93_000)
    ('0.4 ms', '1.03 s', '93.0 s')
    """
    if value < 1000:
        return f"{value:.1f} ms" if value < 100 else f"{value:.0f} ms"
    return f"{value / 1000:.2f} s" if value < 10_000 else f"{value / 1000:.1f} s"


def silent_console() -> Console:
    """Return a console that shows nothing, for what is only told to people."""
    return Console(file=io.StringIO(), theme=_THEME, quiet=True)


def _console(*, stderr: bool) -> Console:
    stream: TextIO = sys.stderr if stderr else sys.stdout
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="replace")  # a terminal without UTF-8 shows a question mark instead of a traceback
    if stream.isatty():
        return Console(file=stream, theme=_THEME, highlight=False, emoji=False, markup=False)
    width = None if "COLUMNS" in os.environ else _PIPE_WIDTH
    file = cast("TextIO", _Trimmed(stream))
    return Console(file=file, theme=_THEME, width=width, highlight=False, emoji=False, markup=False)


class _Trimmed:
    """A stream without blanks at the ends of lines: tables have them, and files and pipes do not want them."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    def write(self, text: str) -> int:
        return self.stream.write(_BLANKS.sub("\n", text))
