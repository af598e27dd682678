"""The command ``init``: writes a configuration file to begin with."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from pathlib import Path

import attrs
import click
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ._adapters import Adapter, BrokenAdapter, installed_adapters
from ._choices import Choices, choices_of
from ._draft import draft, example, places
from ._invocation import Invocation, pass_invocation
from ._output import text_of
from ._tables import plugin_tables


@click.command(short_help="Write a commented connector.toml to begin with.")
@click.argument("arguments", metavar="[VENDOR | DOMAIN=VENDOR | NAME=URL ...]", nargs=-1)
@click.option("--output", metavar="PATH", default="connector.toml", help="File to write; - prints it.")
@click.option("--force", is_flag=True, help="Replace the file if there is one.")
@pass_invocation
def init(invocation: Invocation, arguments: tuple[str, ...], output: str, force: bool) -> None:
    """Write a configuration file to begin with, in which a comment explains each setting of what is installed.

    \b
      nexus init
      nexus init email=sendgrid
      nexus init email=sendgrid email=postmark crm=https://crm.example/api

    The first vendor of a domain serves it, others stand by to be swapped in. NAME=URL is any other HTTP API; given
    several times, its URLs are regions. Without arguments the file shows every setting, and none counts yet.
    """  # noqa: D301  # click wants the control sign itself
    adapters, plugins = list(installed_adapters()), list(plugin_tables())
    choices = choices_of(arguments, adapters)
    text = draft(choices, plugins) if arguments else example(_everything(adapters), plugins)
    if output == "-":
        invocation.output.write(text)
        return
    _write(Path(output), text, force=force)
    steps = Padding(_steps(invocation, choices, output), (1, 0, 0, 2))
    invocation.output.out.print(Text.assemble((output, "name"), " is written. Next:"), steps)


def _everything(adapters: Sequence[Adapter | BrokenAdapter]) -> Choices:
    """Return every adapter that can be used, and a service without one."""
    usable = [each.name for each in adapters if isinstance(each, Adapter)]
    return attrs.evolve(choices_of(usable, adapters), services={"crm": ("https://crm.example/api",)})


def _write(path: Path, text: str, *, force: bool) -> None:
    try:
        with path.open("w" if force else "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        remedy = "--force replaces it, --output - prints what would be written."
        raise click.UsageError(f"{path} is there already. {remedy}") from None
    except OSError as error:
        raise click.ClickException(f"{path} cannot be written: {error.strerror}.") from None


def _steps(invocation: Invocation, choices: Choices, output: str) -> Table:
    """Say what is left to do: the secrets that are not there, and how to go on."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    if not (choices.domains or choices.services):
        grid.add_row(text_of(output, "name"), "nothing in it counts yet: take the # away from what you want")
    for adapter in [each for adapters in choices.domains.values() for each in adapters]:
        for name in [place["env"] for place in places(adapter).values() if "env" in place]:
            there = Text("is set", style="good")
            missing = Text.assemble(("is not set yet", "care"), f": the secret of {adapter.name}")
            grid.add_row(text_of(name, "name"), there if os.environ.get(name) else missing)
    found = invocation.source == (output,)
    doctor = "nexus doctor" if found else f"nexus --config {shlex.quote(output)} doctor"
    grid.add_row(Text(doctor, style="name"), "checks the file, its secrets and its services")
    return grid
