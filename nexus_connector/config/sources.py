"""Sources of configuration: TOML files, environment variables, mappings; merged, later ones winning."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeGuard, cast

from ..errors import ConfigurationError

_RELATIVE_SQLITE = re.compile(r"^sqlite(?:\+\w+)?:///(?=[^/:])")

PREFIX = "NEXUS__"
"""Double underscores keep Kubernetes' own variables (``NEXUS_PORT=tcp://...``) out."""


def is_table(value: object) -> TypeGuard[Mapping[str, object]]:
    """Say whether a value is a table, that is a mapping.

    >>> is_table({}), is_table([])
    (True, False)
    """
    return isinstance(value, Mapping)


class EnvText(str):
    """Text of an environment variable: may also stand for a number, a boolean or a TOML list."""

    __slots__ = ()


def read_file(path: Path) -> dict[str, object]:
    """Read a TOML file.

    Raises:
        ConfigurationError: If it is not there or no TOML; names line and column.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        message = f"There is no configuration file {path}."
        hint = "Name one as argument or in NEXUS_CONFIG, or write that one; nexus schema shows every option."
        raise ConfigurationError(message, hint=hint) from None
    except OSError as error:
        message = f"The configuration file {path} cannot be read: {error.strerror}."
        raise ConfigurationError(message, hint="Check the path and its permissions.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        message = f"The configuration file {path} is no TOML: {error}."
        raise ConfigurationError(message, hint="Mend that place; https://toml.io shows the syntax.") from None


def find_files(paths: Iterable[str | os.PathLike[str]], environ: Mapping[str, str]) -> list[Path]:
    """Return the files to read: those named, else NEXUS_CONFIG, else ``connector.toml`` of the working directory."""
    named = [Path(path) for path in paths]
    return named or [Path(environ.get("NEXUS_CONFIG") or "connector.toml")]


def read_environment(environ: Mapping[str, str], known: Mapping[str, object]) -> dict[str, object]:
    """Read ``NEXUS__SERVICES__STRIPE__TIMEOUT_SECONDS`` and its like as a nested mapping.

    Args:
        environ: Environment variables.
        known: What the files said: a name there is met whatever its case, with ``-`` written as ``_``.

    >>> read_environment({"NEXUS__SERVICES__CRM__TIMEOUT_SECONDS": "5"}, {})
    {'services': {'crm': {'timeout_seconds': '5'}}}
    """
    found: dict[str, object] = {}
    for name in sorted(environ):
        if not name.startswith(PREFIX):
            continue
        parts = name.removeprefix(PREFIX).split("__")
        if not all(parts):
            message = f"The environment variable {name} names no configuration key."
            raise ConfigurationError(
                message, hint="Write NEXUS__SERVICES__NAME__KEY, or another prefix for other things."
            )
        _put(found, known, parts, EnvText(environ[name]), name)
    return found


def _put(found: dict[str, object], known: object, parts: list[str], value: EnvText, name: str) -> None:
    key = _known_name(parts[0], known)
    if len(parts) == 1:
        found[key] = value
        return
    inner = found.setdefault(key, {})
    if not is_table(inner):
        message = f"The environment variable {name} goes below a key that another variable sets to text."
        raise ConfigurationError(message, hint="Remove one of them.")
    _put(cast("dict[str, object]", inner), known.get(key) if is_table(known) else None, parts[1:], value, name)


def _known_name(part: str, known: object) -> str:
    wanted = part.lower()
    for key in known if is_table(known) else ():
        if str(key).lower().replace("-", "_") == wanted:
            return str(key)
    return wanted


def merge(base: Mapping[str, object], over: Mapping[str, object]) -> dict[str, object]:
    """Merge two mappings, tables key by key; anything else is replaced.

    >>> merge({"a": {"x": 1, "y": 2}}, {"a": {"y": 3}})
    {'a': {'x': 1, 'y': 3}}
    """
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        both = is_table(below) and is_table(value) and not _is_reference(value)
        merged[key] = merge(cast("Mapping[str, object]", below), cast("Mapping[str, object]", value)) if both else value
    return merged


def _is_reference(value: Mapping[str, object]) -> bool:
    """A secret's place is one value: ``{ file = }`` over ``{ env = }`` replaces it."""
    return len(value) == 1 and next(iter(value)) in {"env", "file"}


def anchor_paths(raw: object, folder: Path) -> object:
    """Make relative paths start at the file they stand in: ``{ file = }``, ``ca_file``, ``path`` and sqlite URLs."""
    if isinstance(raw, str):
        # As SQLAlchemy writes it: three slashes before a relative path, four before an absolute one.
        return _RELATIVE_SQLITE.sub(lambda url: f"{url[0]}{folder.as_posix()}/", raw)
    if isinstance(raw, list):
        return [anchor_paths(each, folder) for each in cast("list[object]", raw)]
    if not is_table(raw):
        return raw
    anchored: dict[str, object] = {}
    for key, value in raw.items():
        names_path = key in {"ca_file", "path"} or (key == "file" and _is_reference(raw))
        anchored[key] = (
            str(folder / value) if names_path and isinstance(value, str) and value else anchor_paths(value, folder)
        )
    return anchored


def load(
    paths: Iterable[str | os.PathLike[str]] | None, argument: Mapping[str, object] | None, environ: Mapping[str, str]
) -> dict[str, object]:
    """Merge all sources: files < environment < argument.

    Args:
        paths: Files, in order; ``None``: no file at all.
        argument: The mapping given in code.
        environ: Environment variables.
    """
    raw: dict[str, object] = {}
    for path in find_files(paths, environ) if paths is not None else ():
        read = anchor_paths(read_file(path), path.resolve().parent)
        raw = merge(raw, read)  # type: ignore[arg-type]  # a TOML document is a table
    known = merge(raw, argument or {})
    return merge(merge(raw, read_environment(environ, known)), argument or {})
