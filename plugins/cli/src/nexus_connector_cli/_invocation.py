"""Invocations: what one run of ``nexus`` was told, and the connector that it looks at."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import attrs
import click

from nexus_connector import AsyncConnector, Connector
from nexus_connector.errors import ConfigurationError, ConnectorError
from nexus_connector.redaction import DEFAULT_REDACTOR

from ._output import Output

F = TypeVar("F", bound=Callable[..., Any])
P = ParamSpec("P")
R = TypeVar("R")

_DEFAULT_FILE = "connector.toml"


@attrs.define(kw_only=True)
class Invocation:
    """One run of ``nexus``; the ``obj`` of click's context, also for the commands of other plugins.

    Attributes:
        app: ``module:name`` of a connector.
        files: Configuration files.
        debug: Whether errors show where they came from.
        output: Where to write.
    """

    app: str | None = None
    files: tuple[str, ...] = ()
    debug: bool = False
    output: Output = attrs.field(factory=Output)
    _open: dict[tuple[object, ...], Connector] = attrs.field(factory=dict[tuple[object, ...], Connector], init=False)

    @property
    def source(self) -> tuple[str, ...]:
        """Where the configuration comes from, in words; empty if there is none."""
        if self.files:
            return self.files
        if self.app or os.environ.get("NEXUS_APP"):
            return (self.app or os.environ["NEXUS_APP"],)
        named = os.environ.get("NEXUS_CONFIG")
        if named:
            return (named,)
        return (_DEFAULT_FILE,) if Path(_DEFAULT_FILE).exists() else ()

    @property
    def _named_app(self) -> str | None:
        return self.app or (None if self.files else os.environ.get("NEXUS_APP") or None)

    def connector(self) -> Connector:
        """Return the connector of this run. Nothing is compiled and no secret is looked for before it is needed.

        Raises:
            ConfigurationError: If there is no configuration, or it cannot be used.
        """
        if self.app and self.files:
            raise click.UsageError("--app and --config exclude each other: an application brings its configuration.")
        key = (self._named_app, self.files)
        if key not in self._open:
            app = self._named_app
            self._open[key] = Connector.from_file(*self.files, check=False) if app is None else _load(app)
        return self._open[key]

    def connector_or_empty(self) -> Connector:
        """Return the connector of this run; without any configuration, one that knows only what is installed."""
        if self.source:
            return self.connector()
        if () not in self._open:
            self._open[()] = Connector.from_config({}, check=False)
        return self._open[()]

    def close(self) -> None:
        """Close what was opened."""
        for connector in self._open.values():
            connector.close()
        self._open.clear()


def _load(app: str) -> Connector:
    module, colon, name = app.partition(":")
    hint = "Write --app package.module:connector, or set NEXUS_APP to it."
    if not (module and colon and name):
        raise ConfigurationError(f"{app!r} names no connector.", hint=hint)
    if os.getcwd() not in sys.path:  # noqa: PTH109  # sys.path holds text
        sys.path.insert(0, os.getcwd())  # noqa: PTH109  # a console script does not look where it is started
    try:
        found: Any = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
        if callable(found):
            found = found()
    except ConnectorError:
        raise
    except Exception as error:
        reason = DEFAULT_REDACTOR.text(f"{type(error).__name__}: {error}")
        message = f"The application {app!r} cannot be loaded ({reason})."
        raise ConfigurationError(message, hint=f"{hint} --debug shows where.") from error
    if isinstance(found, AsyncConnector):
        return found.as_sync()
    if not isinstance(found, Connector):
        message = f"{app!r} is a {type(found).__name__}, not a Connector."
        raise ConfigurationError(message, hint="Name a Connector, an AsyncConnector, or a function that returns one.")
    return found


def invocation_of(context: click.Context) -> Invocation:
    """Return the invocation that a context belongs to; the first to ask begins it."""
    found = context.find_object(Invocation)
    if found is None:
        found = context.obj = Invocation()
        context.call_on_close(found.close)
    return found


def _keep(context: click.Context, parameter: click.Parameter, value: Any) -> Any:
    if value is not None and value != () and value is not False:
        setattr(invocation_of(context), parameter.name or "", value)
    return value


def _keep_json(context: click.Context, parameter: click.Parameter, value: bool) -> bool:
    invocation_of(context).output.as_json = value
    return value


_SHARED = (
    click.option(
        "--app",
        metavar="MODULE:NAME",
        help="Connector of an application, so that its hooks count. Default: NEXUS_APP.",
        callback=_keep,
        expose_value=False,
        is_eager=True,
    ),
    click.option(
        "--config",
        "files",
        metavar="FILE",
        multiple=True,
        help="Configuration file, later ones winning. Default: NEXUS_CONFIG, else ./connector.toml.",
        callback=_keep,
        expose_value=False,
        is_eager=True,
    ),
    click.option(
        "--debug",
        is_flag=True,
        help="Show where an error came from.",
        callback=_keep,
        expose_value=False,
        is_eager=True,
    ),
)


def with_source(function: F) -> F:
    """Give a command the options that say where its configuration comes from."""
    for decorate in reversed(_SHARED):
        function = decorate(function)
    return function


def with_json(function: F) -> F:
    """Give a command the option ``--json``."""
    decorate = click.option(
        "--json", is_flag=True, help="Print JSON.", callback=_keep_json, expose_value=False, is_eager=True
    )
    return decorate(function)


def pass_invocation(function: Callable[Concatenate[Invocation, P], R]) -> Callable[P, R]:
    """Give a command the invocation as first argument."""

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        return function(invocation_of(click.get_current_context()), *args, **kwargs)

    return run
