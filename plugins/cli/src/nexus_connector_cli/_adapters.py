"""Adapters: the vendor adapters that are installed, each imported to see whether it can be."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs

from nexus_connector.adapter import ServiceAdapter, Vendor
from nexus_connector.plugins import vendor_entries
from nexus_connector.redaction import DEFAULT_REDACTOR


@attrs.frozen(kw_only=True)
class Adapter:
    """An installed vendor adapter.

    Attributes:
        name: Its name, as services and domains call it.
        distribution: Distribution it comes from.
        version: That distribution's version.
        kind: Its class.
    """

    name: str
    distribution: str
    version: str
    kind: type[ServiceAdapter]

    @property
    def vendor(self) -> Vendor:
        """What its vendor is."""
        return self.kind.vendor


@attrs.frozen(kw_only=True)
class BrokenAdapter:
    """One that is installed and cannot be used.

    Attributes:
        name: Its name.
        distribution: Distribution it comes from.
        version: That distribution's version.
        problem: Why it cannot be used.
    """

    name: str
    distribution: str
    version: str
    problem: str


def installed_adapters() -> Iterator[Adapter | BrokenAdapter]:
    """Yield each installed vendor adapter, by name."""
    for name, entry in sorted(vendor_entries().items()):
        distribution, version = (entry.dist.name, entry.dist.version) if entry.dist is not None else ("?", "?")
        try:
            kind = _checked(entry.load())
        except Exception as error:  # whatever a foreign package raises, the others are still listed
            problem = DEFAULT_REDACTOR.text(f"{type(error).__name__}: {error}")
            yield BrokenAdapter(name=name, distribution=distribution, version=version, problem=problem)
        else:
            yield Adapter(name=name, distribution=distribution, version=version, kind=kind)


def _checked(kind: Any) -> type[ServiceAdapter]:
    if not (isinstance(kind, type) and issubclass(kind, ServiceAdapter) and hasattr(kind, "vendor")):
        message = "its entry point names no ServiceAdapter with a vendor"
        raise TypeError(message)
    return kind
