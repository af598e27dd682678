"""Failures: how an error of the connector ends the command line."""

from __future__ import annotations

import traceback
from typing import IO, Any

import click
from rich.text import Text

from nexus_connector.errors import ConfigurationError, ConnectorError, PluginError
from nexus_connector.redaction import DEFAULT_REDACTOR, Redactor

from ._output import Output, clean

FAILED = 1
MISUSED = 2


class Failure(click.ClickException):
    """An error of the connector, told without traceback: what happened, and what to do next.

    Args:
        error: The error.
        debug: Show where it came from, too.
    """

    def __init__(self, error: ConnectorError, *, debug: bool = False) -> None:
        super().__init__(clean(str(error)))
        self.error = error
        self.debug = debug
        self.exit_code = exit_code_of(error)

    def show(self, file: IO[Any] | None = None) -> None:  # noqa: ARG002  # errors have one place
        """Write the error to standard error."""
        err = Output().err
        if self.debug:
            err.print(Text(_traceback(self.error), style="quiet"), soft_wrap=True)
        err.print(Text.assemble(("Error: ", "bad"), self.format_message()), soft_wrap=not err.is_terminal)


def exit_code_of(error: ConnectorError) -> int:
    """Return 2 for what is wrong before any call is made, 1 for a call that failed."""
    is_setup = isinstance(error, ConfigurationError) or (isinstance(error, PluginError) and error.call_id is None)
    return MISUSED if is_setup else FAILED


def _traceback(error: ConnectorError) -> str:
    """Return the traceback, redacted line by line: causes are foreign errors that nobody has redacted yet."""
    redactor: Redactor = error.__dict__.get("_redactor") or DEFAULT_REDACTOR
    return clean("".join(map(redactor.text, traceback.format_exception(error))))
