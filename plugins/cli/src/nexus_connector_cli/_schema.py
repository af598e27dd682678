"""The command ``schema``: every option of the core and of what is installed."""

from __future__ import annotations

from collections.abc import Sequence

import click
from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ._invocation import Invocation, pass_invocation, with_json
from ._json_schema import json_schema
from ._options import Option, facts, plain_default, settings_of
from ._output import text_of
from ._tables import CORE, OptionTable, plugin_tables, vendor_tables
from ._toml import toml


@click.command(short_help="Print every option with type, unit, range and default.")
@with_json
@pass_invocation
def schema(invocation: Invocation) -> None:
    """Print every option of the core, of each installed plugin and of each installed vendor adapter.

    With --json: a JSON Schema (draft 2020-12) of the whole configuration, for editors and CI.
    """
    plugins, vendors = list(plugin_tables()), list(vendor_tables())
    tables = [*CORE, *plugins, *(table for _, table in vendors)]
    views = [view for table in tables if (options := settings_of(table.kind)) for view in _views(table, options)]
    invocation.output.report(json_schema(plugins, vendors), *views)


def _views(table: OptionTable, options: Sequence[Option]) -> list[RenderableType]:
    heading = Text.assemble(text_of(f"[{table.path}]" if table.path else "top of the file", "name"), "  ", table.title)
    if table.note:
        heading.append_text(text_of(f"\n{table.note}", "quiet"))
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for option in options:
        grid.add_row(text_of(option.name, "name"), _facts(option))
        if option.text:
            grid.add_row("", text_of(option.text, "quiet"))
    return [heading, Padding(grid, (0, 0, 1, 2))]


def _facts(option: Option) -> Text:
    """Return type, range, unit and default in one line."""
    default = "required" if option.required else f"default {_default(plain_default(option))}"
    return text_of(", ".join([facts(option), default]))


def _default(value: object) -> str:
    return "none" if value is None else toml(value)
