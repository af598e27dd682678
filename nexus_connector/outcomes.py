"""Outcomes: the calls of which nobody knows whether they happened, listed and settled on both faces."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Literal, Protocol, cast, runtime_checkable

import attrs

from .errors import ConfigurationError, InvalidRequestError
from .io.drive import drive
from .verdict import Outcome

if TYPE_CHECKING:
    from .io import Io
    from .runtime import Runtime

Settled = Literal[Outcome.DONE, Outcome.REFUSED, Outcome.NOT_SENT]


@attrs.frozen(kw_only=True)
class PendingOutcome:
    """A call whose effect at the vendor is not known, or not yet.

    Attributes:
        service: Service it went to.
        operation: Its name.
        idempotency_key: Key of the caller, or the call's id.
        tenant_id: Its tenant.
        call_id: Id of the call, as in its records.
        since: When it began.
        state: ``unknown``, or ``in_flight`` while it may still be under way.
        message: What is known of it, redacted.
    """

    service: str
    operation: str
    idempotency_key: str
    tenant_id: str | None
    call_id: str
    since: datetime
    state: Literal["unknown", "in_flight"]
    message: str = ""


@runtime_checkable
class Claims(Protocol):
    """A stage that claims a call's key before it is sent.

    Attributes:
        claims_keys: True: keys are safe with it even where the vendor does not honour them.
    """

    claims_keys: bool

    async def pending(self, io: Io) -> Sequence[PendingOutcome]:
        """Return what is not settled, oldest first; may raise a ConnectorError."""
        ...

    async def settle(self, io: Io, pending: PendingOutcome, outcome: Settled) -> None:
        """Write down what became of it: done keeps its key taken, otherwise the call may be made again."""
        ...


class Outcomes:
    """The unknown outcomes of an application: ``connector.outcomes``.

    >>> from nexus_connector import Connector
    >>> connector = Connector.from_config({"services": {}, "plugins": {"only": []}})
    >>> connector.outcomes.list()
    []
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def list(self, service: str | None = None) -> list[PendingOutcome]:
        """Return the calls whose outcome is not settled, oldest first.

        Args:
            service: Only those of this service; by default those of all services that keep claims.

        Raises:
            ConfigurationError: If `service` is not configured or keeps no claims.
            IdempotencyUnavailableError: If the durable store does not answer.
        """
        return drive(_list(self._runtime, self._runtime.blocking_io, service))

    def settle(self, pending: PendingOutcome, outcome: Settled) -> None:
        """Say what became of a call, after a look at the vendor.

        Args:
            pending: One of `list`.
            outcome: ``done``: a repeat of its key is refused. ``refused`` or ``not_sent``: the key is free again.

        Raises:
            InvalidRequestError: If `outcome` is ``unknown``, or the call is still under way or settled already.
            ConfigurationError: If its service keeps no claims.
            IdempotencyUnavailableError: If the durable store does not answer.
        """
        drive(_settle(self._runtime, self._runtime.blocking_io, pending, outcome))


class AsyncOutcomes:
    """The unknown outcomes of an application, awaited; see `Outcomes`."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    async def list(self, service: str | None = None) -> list[PendingOutcome]:
        """Return the calls whose outcome is not settled, oldest first.

        Args:
            service: As for `Outcomes.list`.

        Raises:
            ConnectorError: As from `Outcomes.list`.
        """
        return await _list(self._runtime, self._runtime.loop_io, service)

    async def settle(self, pending: PendingOutcome, outcome: Settled) -> None:
        """Say what became of a call, after a look at the vendor.

        Args:
            pending: One of `list`.
            outcome: As for `Outcomes.settle`.

        Raises:
            ConnectorError: As from `Outcomes.settle`.
        """
        await _settle(self._runtime, self._runtime.loop_io, pending, outcome)


async def _list(runtime: Runtime, io: Io, service: str | None) -> list[PendingOutcome]:
    if service is not None:
        found = list(await _claims(runtime, service).pending(io))
    else:
        keepers = [claims for name in runtime.config.services if (claims := runtime.target(name).claims) is not None]
        found = [pending for claims in keepers for pending in await claims.pending(io)]
    return sorted(found, key=lambda pending: (pending.since, pending.call_id))


async def _settle(runtime: Runtime, io: Io, pending: PendingOutcome, outcome: Outcome) -> None:
    if outcome not in {Outcome.DONE, Outcome.REFUSED, Outcome.NOT_SENT}:
        message = "An outcome is settled as done, refused or not_sent."
        raise InvalidRequestError(message, hint="Look at the vendor first; what is still unknown stays in the list.")
    await _claims(runtime, pending.service).settle(io, pending, cast("Settled", outcome))


def _claims(runtime: Runtime, service: str) -> Claims:
    claims = runtime.target(service).claims
    if claims is None:
        hint = "Install the idempotency plugin and set stores.durable."
        raise ConfigurationError(f"Nothing keeps the outcomes of {service}.", hint=hint)
    return claims
