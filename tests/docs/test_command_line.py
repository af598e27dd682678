"""The reference page of the command line, and every command line that a page shows, fit the commands."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import click
import pytest

from nexus_connector import Connector
from nexus_connector.hooks import compile_hooks

if TYPE_CHECKING:
    from conftest import Docs


def below(group: click.Group, prefix: str = "") -> Iterator[tuple[str, click.Command]]:
    """Yield every command under its whole name."""
    for name, command in group.commands.items():
        yield f"{prefix}{name}", command
        if isinstance(command, click.Group):
            yield from below(command, f"{prefix}{name} ")


@pytest.fixture(scope="module")
def commands() -> Mapping[str, click.Command]:
    """The commands of ``nexus``, as the installed plugins add them."""
    group = click.Group("nexus")
    with Connector.from_config({}) as connector:
        for hook in compile_hooks(connector.runtime.registry, "cli_commands"):
            hook.function(group)
    return dict(below(group))


def test_every_command_is_listed(docs: Docs, commands: Mapping[str, click.Command]) -> None:
    """command-line.md has a section for each command with its arguments and help, and a row of the table on top."""
    text = docs.filled("reference/command-line.md")
    found = {**docs.sections(docs.sections(text, 2)["Commands"], 3), **docs.sections(text, 4)}
    assert set(found) == set(commands)
    overview = {row[0]: row[1] for row in docs.rows(text)}
    for name, command in commands.items():
        usage = " ".join(command.collect_usage_pieces(click.Context(command)))
        assert f"nexus {name} {usage}\n" in found[name]
        assert (command.help or "").split()[:8] == found[name].partition("```\n\n")[2].split()[:8]
        assert overview.pop(f"[{name}](#{name.replace(' ', '-')})") == command.short_help
    assert overview == {}


def test_every_option_is_listed(docs: Docs, commands: Mapping[str, click.Command]) -> None:
    """Each option of a command is in its section with its help, or in the table of those that several commands have."""
    text = docs.filled("reference/command-line.md")
    found = {**docs.sections(docs.sections(text, 2)["Commands"], 3), **docs.sections(text, 4)}
    shared = docs.rows(text, skip=1)
    for name, command in commands.items():
        also = re.findall(r"`(--[\w-]+)`", found[name].partition("\nAlso: ")[2])
        for option in [each for each in command.params if isinstance(each, click.Option)]:
            row = (f"`{option.opts[0]}{'' if option.is_flag else f' {option.metavar}'}`", option.help or "")
            assert row in docs.rows(found[name]) or (row in shared and option.opts[0] in also), (name, row)
    for option, _ in shared:
        users = {name.split()[0] for name, text in found.items() if option.split()[0].strip("`") in text}
        assert len(users) > 1, f"{option} is no option of several commands"


def test_every_shown_command_is_one(docs: Docs, commands: Mapping[str, click.Command]) -> None:
    """Every ``$ nexus ...`` of a page is a command with arguments that it takes."""
    source = "\n".join(page.read_text("utf-8") for page in docs.pages)
    lines = re.findall(r"^\$ nexus (?:--\w+ \S+ )*(.*)$", source, re.MULTILINE)
    assert lines
    for line in lines:
        name, *arguments = shlex.split(line)
        commands[name].make_context(name, arguments).close()
