"""The plugin: what the entry point names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from nexus_connector.hooks import hookimpl
from nexus_connector.plugins import Plugin

if TYPE_CHECKING:
    import click


@attrs.frozen(kw_only=True)
class CliOptions:
    """``[plugins.cli]``: the command line has no options of its own."""


class CommandLine:
    """The hooks of the plugin."""

    @hookimpl
    def cli_commands(self, group: click.Group) -> None:
        """Add the commands of this plugin."""
        from ._group import OWN  # here: a connector at work needs no command line

        for command in OWN:
            group.add_command(command)


plugin = Plugin(name="cli", factory=lambda _: CommandLine(), config=CliOptions)
"""What the entry point names."""
