"""Names: what a new plugin or adapter is called in each place, and what it cannot be called."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.metadata import entry_points

import attrs
import click

from nexus_connector import Stage
from nexus_connector.config import PluginsConfig
from nexus_connector.config.reading import CORE_KEYS
from nexus_connector.plugins import PLUGIN_GROUP, VENDOR_GROUP

_LONGEST = 20


@attrs.frozen
class Names:
    """What one thing is called.

    Attributes:
        name: In the configuration, and the name of its entry point.

    >>> names = Names("acme-pay")
    >>> names.distribution, names.package, names.stem, names.variable
    ('nexus-connector-acme-pay', 'nexus_connector_acme_pay', 'AcmePay', 'ACME_PAY')
    """

    name: str

    @property
    def distribution(self) -> str:
        """Name under which it is installed."""
        return f"nexus-connector-{self.name.replace('_', '-')}"

    @property
    def package(self) -> str:
        """Name under which it is imported."""
        return f"nexus_connector_{self.name.replace('-', '_')}"

    @property
    def stem(self) -> str:
        """What its classes begin with."""
        return "".join(word.capitalize() for word in re.split("[-_]", self.name))

    @property
    def variable(self) -> str:
        """What its environment variables begin with."""
        return self.name.replace("-", "_").upper()


def plugin_names(typed: str) -> Names:
    """Return the names of a plugin.

    Raises:
        UsageError: If it cannot be called so: the core has no place for such a name, or it is taken.
    """
    _check_form(typed, "plugin", "_", "underscores")
    _check_free(typed, "plugin", _taken_from_plugins())
    return Names(typed)


def vendor_names(typed: str) -> Names:
    """Return the names of a vendor's adapter.

    Raises:
        UsageError: If it cannot be called so.
    """
    _check_form(typed, "vendor", "-", "dashes")
    _check_free(typed, "vendor", _installed(VENDOR_GROUP))
    return Names(typed)


def _check_form(typed: str, what: str, joint: str, joints: str) -> None:
    if _fits(typed, joint):
        return
    words = re.findall("[a-z0-9]+", re.sub("^nexus[-_]connector[-_]", "", typed.lower()))
    guess = joint.join(words).lstrip(f"0123456789{joint}")
    as_what = f", as {guess!r}" if typed.isascii() and _fits(guess, joint) else ""
    rule = f"Write lower-case letters, digits and single {joints}, a letter first, at most {_LONGEST} signs{as_what}."
    raise click.UsageError(f"{typed!r} cannot be the name of a {what}. {rule}")


def _fits(name: str, joint: str) -> bool:
    return len(name) <= _LONGEST and re.fullmatch(f"[a-z][a-z0-9]*({joint}[a-z0-9]+)*", name) is not None


def _check_free(name: str, what: str, taken: Iterator[tuple[str, str]]) -> None:
    reason = next((reason for other, reason in taken if other == name), None)
    if reason is not None:
        raise click.UsageError(f"A {what} cannot be called {name!r}: {reason}. Choose another name.")


def _taken_from_plugins() -> Iterator[tuple[str, str]]:
    """Yield the names that no new plugin may have, each with the reason."""
    for key in CORE_KEYS:
        yield key, "a service has a key of that name"
    for field in attrs.fields(PluginsConfig):
        yield field.name, "the table [plugins] has a key of that name"
    # A plugin's stage of such a name would silently take the place of the core's.
    for stage in Stage.__subclasses__():
        if stage.__module__.startswith("nexus_connector."):
            yield stage.name, "a part of the core's chain has that name"
    yield from _installed(PLUGIN_GROUP)


def _installed(group: str) -> Iterator[tuple[str, str]]:
    for entry in entry_points(group=group):
        origin = f" ({entry.dist.name})" if entry.dist is not None else ""
        yield entry.name, f"one of that name is installed{origin}"
