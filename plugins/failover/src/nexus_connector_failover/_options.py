"""The options of failover, as they stand in a configuration."""

from __future__ import annotations

import attrs

from nexus_connector.config.model import above, at_least, option


@attrs.frozen(kw_only=True)
class FailoverOptions:
    """``[plugins.failover]`` and ``[services.NAME.failover]``: when a region is left, and when it is tried again.

    A region is one of the base URLs of a service. With a single one there is nothing to choose.

    >>> FailoverOptions(failure_threshold=3).return_seconds
    60.0
    """

    failure_threshold: int = option(
        5, "Failures in a row, of whatever calls, after which a region is left.", validator=at_least(1)
    )
    return_seconds: float = option(
        60.0,
        "How long a region is left alone before one GET, PUT or DELETE tries it; any other call does after twice that.",
        validator=above(0),
        unit="s",
    )
    shared_keys: bool = option(
        False,
        "Whether the regions know each other's idempotency keys. If not, a call under a key whose outcome is unknown "
        "stays in its region: another one would do it again.",
    )
