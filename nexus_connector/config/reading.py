"""Reading configuration: the merged sources become checked values; every error names path, nearest name and remedy."""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import cache
from typing import Any, TypeVar

import attrs
import cattrs
from cattrs.errors import ForbiddenExtraKeysError

from ..errors import ConfigurationError
from ..problems import describe as describe_form
from ..problems import problems
from ..scalars import MismatchError
from ..strict import strict_converter
from .model import ServiceConfig
from .secrets import SecretRef, secret_ref
from .sources import EnvText, is_table

C = TypeVar("C")

_HINT = "nexus schema shows every key with type, unit and range."

CORE_KEYS = tuple(field.name for field in attrs.fields(ServiceConfig))
"""Keys of a service that no plugin may take as its name."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Return " Did you mean ...?" for the nearest known name, or nothing.

    >>> nearest("timeout_second", ["timeout_seconds"])
    " Did you mean 'timeout_seconds'?"
    """
    import difflib  # here: only mistakes need it

    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f" Did you mean {close[0]!r}?" if close else ""


@cache
def _converter() -> cattrs.Converter:
    converter = strict_converter(forbid_extra_keys=True)
    numbers = (
        (int, _parse_int, "a whole number"),
        (float, _parse_float, "a number"),
        (bool, _parse_bool, "true or false"),
    )
    for kind, parse, what in numbers:
        converter.register_structure_hook(kind, _also_from_environment(converter.get_structure_hook(kind), parse, what))
    text = converter.get_structure_hook(str)
    converter.register_structure_hook(str, lambda value, kind: text(str(_text(value)), kind))
    converter.register_structure_hook(SecretRef, lambda value, _: _secret(value))
    converter.register_structure_hook(
        str | SecretRef, lambda value, _: str(_text(value)) if isinstance(value, str) else _secret(value)
    )
    base = converter.get_structure_hook(tuple[str, ...])
    converter.register_structure_hook_func(
        lambda kind: kind == tuple[str, ...], lambda value, kind: base(_as_list(value), kind)
    )
    return converter


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    message = "expected text"
    raise MismatchError(message)


def _secret(value: object) -> SecretRef:
    return secret_ref({"env": ""} if value is None else value, "")


def _as_list(value: object) -> object:
    if isinstance(value, EnvText):
        try:
            return tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            message = 'expected a list, written as ["a", "b"]'
            raise MismatchError(message) from None
    return value


def _parse_int(text: str) -> int:
    return int(text) if text.isascii() else int("")


def _parse_float(text: str) -> float:
    number = float(text) if text.isascii() else math.nan
    return number if math.isfinite(number) else float("")


def _parse_bool(text: str) -> bool:
    return {"true": True, "false": False}[text.lower()]


def _also_from_environment(
    hook: Callable[[Any, Any], Any], parse: Callable[[str], object], what: str
) -> Callable[[Any, Any], Any]:
    def convert(value: object, kind: Any) -> Any:
        if isinstance(value, EnvText):
            try:
                return parse(value)
            except (ValueError, KeyError):
                message = f"expected {what}, got other text"
                raise MismatchError(message) from None
        return hook(value, kind)

    return convert


def read(raw: object, kind: type[C], path: str) -> C:
    """Convert one table.

    Args:
        raw: The merged table.
        kind: The attrs class of its options.
        path: Where it stands, for errors.

    Raises:
        ConfigurationError: Names the path and the remedy; never a value that could be secret.
    """
    if not is_table(raw):
        message = f"{path}: expected a table."
        raise ConfigurationError(message, hint=f"Write [{path}] and its keys below it.")
    if not raw:  # most plugins' tables are: cattrs writes and compiles a function for each class that it is to fill
        with suppress(Exception):  # something is required: cattrs says what
            return kind()
    try:
        return _converter().structure(_anchor_secrets(raw, path), kind)
    except ConfigurationError:
        raise
    except Exception as error:
        place, problem = _worst(error)
        where = f"{path}.{place}" if place else path
        raise _problem(where, problem, kind) from None


def _anchor_secrets(raw: object, path: str) -> Any:
    """Give secret references their path before they are converted, so that their errors can name it."""
    if is_table(raw):
        if len(raw) == 1 and next(iter(raw)) in {"env", "file"}:
            return secret_ref(raw, path)
        return {key: _anchor_secrets(value, f"{path}.{key}") for key, value in raw.items()}
    if type(raw).__name__ == "Secret":
        return secret_ref(raw, path)
    return raw


def _worst(error: BaseException) -> tuple[str, BaseException]:
    """Choose what to report: an unknown key before the missing one that it was meant to be."""
    found = list(problems(error)) or [("", error)]
    unknown = [each for each in found if isinstance(each[1], ForbiddenExtraKeysError)]
    return (unknown or found)[0]


def _problem(where: str, problem: BaseException, kind: type) -> ConfigurationError:
    if isinstance(problem, ConfigurationError):
        return (
            problem
            if not problem.message.startswith(":")
            else ConfigurationError(f"{where}{problem.message}", hint=problem.hint)
        )
    if isinstance(problem, ForbiddenExtraKeysError):
        name = min(str(key) for key in problem.extra_fields)
        names = [field.name for field in attrs.fields(problem.cl if attrs.has(problem.cl) else kind)]
        hint = f"{nearest(name, names).strip()} Known keys: {', '.join(names)}.".strip()
        return ConfigurationError(f"{where}.{name}: there is no such key.", hint=hint)
    if isinstance(problem, ValueError) and not isinstance(problem, MismatchError):
        return _out_of_range(where, problem)
    if isinstance(problem, TypeError) and "required" in str(problem):
        return ConfigurationError(f"{where}: a key is missing.", hint=_HINT)
    return ConfigurationError(f"{where}: {describe_form(problem)}.", hint=_HINT)


def _out_of_range(where: str, problem: ValueError) -> ConfigurationError:
    """Take the option's name and its bound out of what attrs says, and leave the value: it may stand for a secret."""
    text = str(problem.args[0]) if problem.args else "is out of range"
    match = re.match(r"'(\w+)' (must [^:]*)", text)
    place, bound = (f"{where}.{match[1]}", match[2]) if match is not None else (where, text)
    return ConfigurationError(f"{place}: {bound}.", hint=_HINT)


def check_keys(raw: Mapping[str, object], known: Iterable[str], path: str, what: str) -> None:
    """Refuse unknown keys of a table, naming the nearest right one.

    Raises:
        ConfigurationError: For the first unknown key.
    """
    names = sorted(known)
    for key in raw:
        if key not in names:
            where = f"{path}.{key}" if path else str(key)
            hint = f"{nearest(str(key), names).strip()} Known: {', '.join(names)}.".strip()
            raise ConfigurationError(f"{where}: there is no such {what}.", hint=hint)
