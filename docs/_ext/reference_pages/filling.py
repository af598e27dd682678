"""Filling: what a page leaves to the code is written into it before it is read."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

from .commands import command_overview, commands, shared_options
from .diagram import order
from .errors import error_fields, error_tree, errors
from .events import events
from .hooks import hook
from .options import adapters, credentials, options, plugins
from .requirements import requirements

MAKERS: Final[Mapping[str, Callable[[str], str]]] = {
    make.__name__: make
    for make in (
        adapters,
        command_overview,
        commands,
        credentials,
        error_fields,
        error_tree,
        errors,
        events,
        hook,
        options,
        order,
        plugins,
        requirements,
        shared_options,
    )
}
"""What can be made, by the word that stands behind ``{generated}``. Each gets the lines of the block."""

_BLOCK: Final = re.compile(r"^```\{generated\} (?P<name>\w+)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)


def fill(page: str) -> str:
    """Return the page with what its ``{generated}`` blocks stand for.

    Raises:
        KeyError: If nothing is called so.
    """
    return _BLOCK.sub(lambda block: MAKERS[block["name"]](block["body"]), page)


def has_blocks(page: str) -> bool:
    """Say whether a page leaves something to the code."""
    return _BLOCK.search(page) is not None
