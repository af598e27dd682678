"""Failures: how an error of the connector ends the command line."""

from __future__ import annotations

import traceback
from typing import IO, Any, ClassVar

import click
from rich.text import Text

from nexus_connector.errors import ConfigurationError, ConnectorError, PluginError
from nexus_connector.redaction import DEFAULT_REDACTOR, Redactor

from ._output import Output, clean


class Failure(click.ClickException):
    """A call that failed, told without traceback: what happened, and what to do next.

    Args:
        error: The error.
        debug: Show where it came from, too.
    """

    def __init__(self, error: ConnectorError, *, debug: bool = False) -> None:
        super().__init__(clean(str(error)))
        self.error = error
        self.debug = debug

    def show(self, file: IO[Any] | None = None) -> None:
        """Write the error to standard error."""
        err = Output().err
        if self.debug:
            err.print(Text(_traceback(self.error), style="quiet"), soft_wrap=True)
        err.print(Text.assemble(("Error: ", "bad"), self.format_message()), soft_wrap=not err.is_terminal)


class Misuse(Failure):
    """A configuration or plugin that cannot be used: no call was made."""

    exit_code: ClassVar[int] = 2


def failure_of(error: ConnectorError, *, debug: bool) -> Failure:
    """Return how an error ends the command line."""
    return (Misuse if is_misuse(error) else Failure)(error, debug=debug)


def is_misuse(error: ConnectorError) -> bool:
    """Say whether an error is about what is wrong before any call is made."""
    return isinstance(error, ConfigurationError) or (isinstance(error, PluginError) and error.call_id is None)


def redactor_of(error: ConnectorError) -> Redactor:
    """Return the redactor of the call that an error ended; it knows the secrets of that call."""
    return error.__dict__.get("_redactor") or DEFAULT_REDACTOR


def _traceback(error: ConnectorError) -> str:
    """Return the traceback, redacted line by line: causes are foreign errors that nobody has redacted yet."""
    return clean("".join(map(redactor_of(error).text, traceback.format_exception(error))))
