"""The options of ``[plugins.sql]``."""

from __future__ import annotations

import attrs
from attrs import validators

from nexus_connector.config.model import above, option


@attrs.frozen(kw_only=True)
class SqlOptions:
    """``[plugins.sql]``: how long stores in databases are waited for, and how many connections they take.

    >>> SqlOptions(timeout_seconds=0.1).max_connections
    8
    """

    timeout_seconds: float | None = option(
        None,
        "Time after which a database has failed to answer; 0.1 for a shared store on PostgreSQL and 2 for any other "
        "unless it is set. ``timeout_seconds`` in the query of a store's URL wins.",
        validator=validators.optional([above(0), validators.le(60)]),
        unit="s",
    )
    max_connections: int = option(
        8,
        "Connections to PostgreSQL that one process holds for one store. SQLite has one.",
        validator=validators.ge(1),
    )
