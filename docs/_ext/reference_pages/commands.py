"""Commands: a section for each command of ``nexus``, as the installed plugins add them."""

from __future__ import annotations

import inspect
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

import click

from nexus_connector import Connector
from nexus_connector.hooks import compile_hooks

from .markdown import code, plain, table

Row: TypeAlias = tuple[str, str]
_HEAD = ("option", "meaning")


def commands(_: str) -> str:
    """Return the sections of all commands by name, those of a group below it."""
    shared = set(_shared())
    return "\n\n".join(_section(name, command, shared) for name, command in all_commands().items())


def command_overview(_: str) -> str:
    """Return the table of all commands."""
    rows = [
        (f"[{name}](#{name.replace(' ', '-')})", each.get_short_help_str(500)) for name, each in all_commands().items()
    ]
    return table(("command", "what it does"), rows)


def shared_options(_: str) -> str:
    """Return the options that more than one command has; those of a group count once."""
    return table(_HEAD, _shared())


def all_commands() -> Mapping[str, click.Command]:
    """Return every command under its whole name, in alphabetical order: ``new`` stands before ``new plugin``."""
    group = click.Group("nexus")
    with Connector.from_config({}, check=False) as connector:
        for hook in compile_hooks(connector.runtime.registry, "cli_commands"):
            hook.function(group)
    return dict(_below(group, ""))


def _below(group: click.Group, prefix: str) -> Iterator[tuple[str, click.Command]]:
    for name, command in sorted(group.commands.items()):
        if not command.hidden:
            yield f"{prefix}{name}", command
            if isinstance(command, click.Group):
                yield from _below(command, f"{prefix}{name} ")


def _shared() -> Sequence[Row]:
    found = {(name.partition(" ")[0], row): row for name, command in all_commands().items() for row in _rows(command)}
    return [row for row, count in Counter(found.values()).items() if count > 1]


def _section(name: str, command: click.Command, shared: set[Row]) -> str:
    rows = _rows(command)
    usage = " ".join(["nexus", name, *command.collect_usage_pieces(click.Context(command))])
    also = [re.sub(r" .*", "`", row[0]) for row in rows if row in shared]
    parts = [
        f"{'#' * (3 + name.count(' '))} {name}",
        "```text\n" + usage + "\n```",
        _help(command.help or ""),
        table(_HEAD, [row for row in rows if row not in shared]),
        f"Also: {', '.join(also)}." if also else "",
    ]
    return "\n\n".join(part for part in parts if part)


def _rows(command: click.Command) -> Sequence[Row]:
    shown = [each for each in command.params if isinstance(each, click.Option) and not each.hidden]
    return [(code(_written(each)), plain(each.help or "")) for each in shown]


def _written(option: click.Option) -> str:
    value = "" if option.is_flag else f" {option.metavar or option.type.name.upper()}"
    return ", ".join(option.opts) + value


def _help(text: str) -> str:
    """Return a help text in Markdown; what click must not wrap stays in its lines."""
    paragraphs = inspect.cleandoc(text.partition("\f")[0]).split("\n\n")
    return "\n\n".join(
        "```text\n" + inspect.cleandoc(each.removeprefix("\b\n")) + "\n```" if each.startswith("\b") else plain(each)
        for each in paragraphs
    )
