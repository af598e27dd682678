"""Errors: their tree, the fields of all, and a section for each class."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from nexus_connector import errors as module
from nexus_connector.errors import ConnectorError

from .markdown import attributes, code, summary, table
from .sources import makers, told_by

_HEAD = ("field", "meaning")


def error_tree(_: str) -> str:
    """Return the tree of the public classes, each below its parent, with the built-in class that it also is."""
    lines = [f"{'  ' * depth}{kind.__name__:{34 - 2 * depth}}{_also(kind)}".rstrip() for depth, kind in _walk()]
    return "\n".join(["```text", *lines, "```"])


def error_fields(_: str) -> str:
    """Return the fields of every error."""
    return table(_HEAD, [(code(name), text) for name, text in attributes(ConnectorError).items()])


def errors(remedies: str) -> str:
    """Return the sections of all public classes, in the order of the tree.

    Args:
        remedies: A line ``Name: What to do.`` for each class.

    Raises:
        ValueError: If a line names no public error.
    """
    known = dict(_remedy(line) for line in remedies.strip().splitlines())
    kinds = [kind for _, kind in _walk()]
    if unknown := known.keys() - {kind.__name__ for kind in kinds}:
        message = f"no public errors: {', '.join(sorted(unknown))}"
        raise ValueError(message)
    return "\n\n".join(_section(kind, known) for kind in kinds if kind is not ConnectorError)


def _remedy(line: str) -> tuple[str, str]:
    name, _, text = line.partition(":")
    return name.strip(), text.strip()


def _section(kind: type[ConnectorError], remedies: Mapping[str, str]) -> str:
    private = [each.__name__ for each in kind.__subclasses__() if each.__name__ not in module.__all__]
    parts = dict.fromkeys(part for name in (kind.__name__, *private) for part in makers().get(name, ()))
    own = {name: text for name, text in attributes(kind).items() if name not in {"message", "fields"}}
    lines = [
        f"### {kind.__name__}",
        summary(kind),
        f"**What to do**: {remedies[kind.__name__]}" if kind.__name__ in remedies else "",
        table(_HEAD, [(code(name), text) for name, text in own.items()]),
        f"Its class is called {' or '.join(code(name) for name in private)}." if private else "",
        f"{_parents(kind)}{told_by(list(parts), 'Raised')}",
    ]
    return "\n\n".join(line for line in lines if line)


def _parents(kind: type[ConnectorError]) -> str:
    names = [code(each.__name__) for each in kind.__bases__ if each is not ConnectorError]
    return f"Is a {' and a '.join(names)} too. " if names else ""


def _also(kind: type[ConnectorError]) -> str:
    names = [each.__name__ for each in kind.__bases__[1:]]
    return f"also {', '.join(names)}" if names else ""


def _walk(kind: type[ConnectorError] = ConnectorError, depth: int = 0) -> Iterator[tuple[int, type[ConnectorError]]]:
    """Yield the public classes with their depth in the tree, parents first, in the order of the module."""
    yield depth, kind
    for each in vars(module).values():
        if isinstance(each, type) and each.__bases__[0] is kind and each.__name__ in module.__all__:
            yield from _walk(each, depth + 1)
