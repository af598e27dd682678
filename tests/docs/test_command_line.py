"""The reference page of the command line, and every command line that a page shows, fit the commands."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING

import click
import pytest

from nexus_connector import Connector
from nexus_connector.hooks import compile_hooks

if TYPE_CHECKING:
    from conftest import Docs, Rows


@pytest.fixture(scope="module")
def commands() -> Mapping[str, click.Command]:
    """The commands of ``nexus``, as the installed plugins add them."""
    group = click.Group("nexus")
    with Connector.from_config({}) as connector:
        for hook in compile_hooks(connector.runtime.registry, "cli_commands"):
            hook.function(group)
    return group.commands


def option_rows(command: click.Command) -> Rows:
    """Return the options of a command as command-line.md shows them."""
    options = [each for each in command.params if isinstance(each, click.Option)]
    return [(f"`{each.opts[0]}{'' if each.is_flag else f' {each.metavar}'}`", each.help or "") for each in options]


def test_every_command_is_listed(docs: Docs, commands: Mapping[str, click.Command]) -> None:
    """command-line.md has a section for each command, with its help and its own options; shared ones stand on top."""
    text = docs.page("reference/command-line.md")
    found = docs.sections(text, 3)
    assert list(found) == list(commands)
    shared = docs.rows(text)
    for name, command in commands.items():
        own = [row for row in option_rows(command) if row not in shared]
        assert docs.rows(found[name]) == own, name
        assert found[name].strip().splitlines()[0] == command.short_help
    assert all(any(row in option_rows(command) for command in commands.values()) for row in shared)


def test_every_shown_command_is_one(docs: Docs, commands: Mapping[str, click.Command]) -> None:
    """Every ``$ nexus ...`` of a page is a command with arguments that it takes."""
    source = "\n".join(page.read_text("utf-8") for page in docs.pages)
    lines = re.findall(r"^\$ nexus (?:--\w+ \S+ )*(.*)$", source, re.MULTILINE)
    assert lines
    for line in lines:
        name, *arguments = shlex.split(line)
        commands[name].make_context(name, arguments).close()
