"""The options of the plugin: ``[plugins.idempotency]`` for all services, ``[services.NAME.idempotency]`` for one."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias, get_args

import attrs
from attrs import validators

from nexus_connector.config.model import at_least, option

WhenStoreDown: TypeAlias = Literal["refuse", "send"]
"""What becomes of a call that cannot be claimed; see `IdempotencyOptions`."""

_DAY: Final = 86_400.0
_LONGEST: Final = validators.le(10 * 366 * _DAY)


@attrs.frozen(kw_only=True)
class IdempotencyOptions:
    """How long keys stay taken, what is kept with them, and what happens while that cannot be written.

    Attributes:
        keep_seconds: How long the key of a call that was done stays taken, and its answer is replayed; at least 1.
        payments_keep_seconds: The same for operations whose name begins with ``payments.``.
        unknown_keep_seconds: How long an outcome that nobody settles stays listed and its key taken; at least 60.
        vendor_keep_seconds: How long the vendor recognises a key, from its first use; an unknown outcome that is older
            is not sent again.
        max_stored_bytes: Largest body that is kept for a replay, 0 to 16 MiB; 0 keeps only empty ones.
        when_store_down: ``refuse`` raises IdempotencyUnavailableError before anything is sent; ``send`` sends without
            a claim and logs a warning.

    >>> IdempotencyOptions().keep_ms("payments.charge") // 86_400_000
    30
    """

    keep_seconds: float = option(
        _DAY,
        "How long the key of a call that was done stays taken, and its answer is replayed.",
        validator=[at_least(1), _LONGEST],
        unit="s",
    )
    payments_keep_seconds: float = option(
        30 * _DAY,
        "The same for operations whose name begins with ``payments.``.",
        validator=[at_least(1), _LONGEST],
        unit="s",
    )
    unknown_keep_seconds: float = option(
        30 * _DAY,
        "How long an outcome that nobody settles stays listed and its key taken.",
        validator=[at_least(60), _LONGEST],
        unit="s",
    )
    vendor_keep_seconds: float = option(
        _DAY,
        "How long the vendor recognises a key, from its first use; an older unknown outcome is not sent again.",
        validator=[at_least(0), _LONGEST],
        unit="s",
    )
    max_stored_bytes: int = option(
        1024 * 1024,
        "Largest body that is kept for a replay, at most 16 MiB; 0 keeps only empty ones.",
        validator=[at_least(0), validators.le(16 * 1024 * 1024)],
        unit="bytes",
    )
    when_store_down: WhenStoreDown = option(
        "refuse",
        "``refuse`` raises IdempotencyUnavailableError before anything is sent; ``send`` sends without a claim and "
        "logs a warning.",
        validator=validators.in_(get_args(WhenStoreDown)),
    )

    def keep_ms(self, operation: str) -> int:
        """Return how long the key of a call that was done stays taken."""
        is_payment = operation.startswith("payments.")
        return round((self.payments_keep_seconds if is_payment else self.keep_seconds) * 1000)

    def open_ms(self, operation: str) -> int:
        """Return how long an outcome that nobody settles stays listed."""
        return max(self.keep_ms(operation), round(self.unknown_keep_seconds * 1000))
