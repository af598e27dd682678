"""The folder: templates become the files of a distribution."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from string import Template
from typing import Final

import click

_SUFFIX: Final = ".tmpl"


def render(layers: Sequence[str], values: Mapping[str, str]) -> dict[str, str]:
    """Return the text of every file, by its path.

    Args:
        layers: Folders of templates. A file that several of them have is that of all of them, in their order.
        values: What stands in the templates as ``$name``; ``package`` is also the name of the package's folder.
    """
    found: dict[str, str] = {}
    for layer in layers:
        for path, text in _templates(files(__package__ or "") / "templates" / layer):
            place = re.sub("^package/", f"src/{values['package']}/", path).removesuffix(_SUFFIX)
            found[place] = found.get(place, "") + Template(text).substitute(values)
    return dict(sorted(found.items()))


def _templates(folder: Traversable, above: str = "") -> Iterator[tuple[str, str]]:
    for each in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if each.is_dir():
            yield from _templates(each, f"{above}{each.name}/")
        else:
            yield f"{above}{each.name}", each.read_text(encoding="utf-8")


def check_empty(folder: Path) -> None:
    """Refuse a folder that holds something: nothing is ever overwritten.

    Raises:
        UsageError: If it is a file, or not empty.
    """
    if folder.is_dir() and not any(folder.iterdir()):
        return
    if folder.exists() or folder.is_symlink():
        raise click.UsageError(f"{folder} is there already, and is no empty folder. Name another one with --output.")


def is_member(folder: Path) -> bool:
    """Say whether a folder is a member's place in the repository of nexus-connector, whose settings it then shares."""
    root = folder.resolve().parent.parent / "pyproject.toml"
    if folder.resolve().parent.name not in {"contrib", "plugins"} or not root.is_file():
        return False
    project = tomllib.loads(root.read_text(encoding="utf-8")).get("project", {})
    return bool(project.get("name") == "nexus-connector")


def write(folder: Path, texts: Mapping[str, str]) -> None:
    """Write the files.

    Raises:
        ClickException: If the folder cannot be written.
    """
    try:
        for name, text in texts.items():
            file = folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        message = f"{folder} cannot be written ({error.strerror}). Name another folder with --output."
        raise click.ClickException(message) from error
