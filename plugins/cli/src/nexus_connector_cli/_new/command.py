"""The command ``new`` and its two: ``plugin`` and ``adapter``."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Final

import click
from rich.text import Text

from nexus_connector.config.reading import nearest
from nexus_connector.plugins import PLUGIN_GROUP, VENDOR_GROUP

from .._invocation import Invocation, pass_invocation, with_json
from .._output import text_of
from .folder import check_empty, is_member, render, write
from .names import Names, plugin_names, vendor_names

KINDS: Final = {
    "hook": "Sends the id of each call in a header field, so that the vendor's logs can be matched with ours.",
    "stage": "Tells when a call takes longer than it should.",
    "gate": "Admits so many calls of a service in one period.",
}
"""What a plugin can begin with, and what it then does."""
DOMAINS: Final = {"email": "Sends email through {stem}.", "payments": "Takes payments through {stem}."}
"""Domains that an adapter can serve, and what it then does."""

_output = click.option(
    "--output",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Folder to write, new or empty. Default: ./nexus-connector-NAME.",
)


@click.group(short_help="Begin a plugin or a vendor adapter.")
def new() -> None:
    """Write a plugin or a vendor adapter to begin with: a complete distribution that passes its own tests."""


@new.command(short_help="Begin a plugin.")
@click.argument("name")
@click.option(
    "--kind",
    metavar="KIND",
    type=click.Choice(list(KINDS)),
    default="stage",
    help="What it brings: hook (changes requests), stage (goes around calls), gate (admits attempts). Default: stage.",
)
@_output
@with_json
@pass_invocation
def plugin(invocation: Invocation, name: str, kind: str, output: Path | None) -> None:
    """Write the distribution nexus-connector-NAME of a plugin called NAME.

    It has options, an off-switch, tests and a README, and does something small, to be replaced by what yours does.
    """
    names = plugin_names(name)
    folder = output or Path(names.distribution)
    values = {"summary": KINDS[kind], "group": PLUGIN_GROUP, "entry": "plugin"}
    _begin(invocation, folder, names, layers=("distribution", "plugin", kind), values=values)


@new.command(short_help="Begin a vendor adapter.")
@click.argument("vendor")
@click.option("--domain", metavar="DOMAIN", required=True, help=f"Domain that it serves: {' or '.join(DOMAINS)}.")
@_output
@with_json
@pass_invocation
def adapter(invocation: Invocation, vendor: str, domain: str, output: Path | None) -> None:
    """Write the distribution nexus-connector-VENDOR of an adapter for a vendor.

    It speaks the whole contract of its domain with an API that does not exist. Comments that begin with "Look up" say
    what the vendor's documentation has to answer.
    """
    if domain not in DOMAINS:
        known = f"Domains: {', '.join(DOMAINS)}."
        raise click.UsageError(f"There is no domain {domain!r}.{nearest(domain, DOMAINS)} {known}")
    names = vendor_names(vendor)
    folder = output or Path(names.distribution)
    summary = DOMAINS[domain].format(stem=names.stem)
    values = {"summary": summary, "group": VENDOR_GROUP, "entry": f"{names.stem}ServiceAdapter", "domain": domain}
    _begin(invocation, folder, names, layers=("distribution", "adapter", domain), values=values)


def _begin(
    invocation: Invocation, folder: Path, names: Names, *, layers: Sequence[str], values: dict[str, str]
) -> None:
    check_empty(folder)
    core = version("nexus-connector")
    major, minor = (int(part) for part in core.split(".")[:2])
    member = is_member(folder)
    values |= {
        "name": names.name,
        "distribution": names.distribution,
        "package": names.package,
        "stem": names.stem,
        "variable": names.variable,
        "core": f"nexus-connector>={major}.{minor},<{major}.{minor + 1}",
        "version": core if member else "0.1.0",
        "authors": f"{'nexus-connector' if member else names.distribution} contributors",
    }
    texts = render(layers if member else (*layers, "alone"), values)
    write(folder, texts)
    view = Text.assemble(text_of(folder, "name"), *(text_of(f"\n  {each}") for each in texts))
    invocation.output.report({"folder": str(folder), "files": list(texts)}, view)
    try_it = f"Next: cd {shlex.quote(str(folder))} && python -m pytest"
    invocation.output.note("CONTRIBUTING.md says what else a new member needs." if member else try_it)
