"""The group of ``nexus``: its own commands, those that other plugins add, and how a run ends."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import click

from nexus_connector.errors import ConnectorError, PluginError
from nexus_connector.hooks import Hook, compile_hooks

from ._call import call
from ._demo.command import demo
from ._doctor import doctor
from ._explain import explain
from ._failure import failure_of
from ._init import init
from ._installed import plugins
from ._invocation import invocation_of, with_source
from ._new.command import new
from ._schema import schema
from ._status import status

OWN = (demo, init, new, status, doctor, plugins, explain, call, schema)
"""The commands of this plugin, in the order of ``nexus --help``."""


class NexusGroup(click.Group):
    """The group: commands of other plugins are fetched through the hook ``cli_commands`` when they are asked for.

    Its own commands need no registry, so that ``nexus doctor`` works where nothing else does.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._fetched = False

    def add_command(self, cmd: click.Command, name: str | None = None) -> None:
        """Add a command.

        Raises:
            PluginError: If there is another one of its name; click would drop it.
        """
        wanted = name or cmd.name or ""
        if self.commands.get(wanted, cmd) is not cmd:
            message = f"A plugin adds a command called {wanted!r}, which nexus has already."
            raise PluginError(message, hint="The plugin's authors must rename it; until then, switch the plugin off.")
        super().add_command(cmd, name)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands, the own ones first."""
        try:
            self._fetch(ctx)
        except ConnectorError as error:
            invocation_of(ctx).output.note(f"Commands of plugins are left out: {error}")
        return list(self.commands)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command; plugins are asked only for one that is not among the own."""
        if cmd_name not in self.commands:
            self._fetch(ctx)
        return self.commands.get(cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command of a command line; for an unknown one, name the nearest."""
        if args and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            ctx.fail(f"There is no command {args[0]!r}.{_nearest(args[0], list(self.commands))}")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; an error of the connector becomes its text and an exit code."""
        invocation = invocation_of(ctx)
        try:
            return super().invoke(ctx)
        except ConnectorError as error:
            raise failure_of(error, debug=invocation.debug) from error

    def _fetch(self, ctx: click.Context) -> None:
        if not self._fetched:
            self._fetched = True
            registry = invocation_of(ctx).connector_or_empty().runtime.registry
            for hook in reversed(compile_hooks(registry, "cli_commands")):
                self._add_those_of(hook)

    def _add_those_of(self, hook: Hook) -> None:
        try:
            hook.function(self)
        except ConnectorError:
            raise
        except Exception as error:
            message = f"{hook.plugin}.{hook.name} raised {type(error).__name__}."
            raise PluginError(message, hint="--debug shows where; mend the plugin or remove it.") from error


def _nearest(name: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f" Did you mean {close[0]!r}?" if close else f" Commands: {', '.join(known)}."


def new_group() -> NexusGroup:
    """Return the group with the commands of this plugin."""

    @click.group(cls=NexusGroup, context_settings={"help_option_names": ["-h", "--help"]})
    @click.version_option(version("nexus-connector"), prog_name="nexus-connector")
    @with_source
    def nexus() -> None:
        """Look at, check and try the connector of an application.

        Results go to standard output, everything else to standard error. Exit codes: 0 done, 1 the thing failed,
        2 wrong usage or configuration.
        """

    for command in OWN:
        nexus.add_command(command)
    return nexus


def main() -> None:
    """Run ``nexus`` and end the process."""
    new_group()(prog_name="nexus")
