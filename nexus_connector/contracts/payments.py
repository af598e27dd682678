"""The payments contract: its values, and what a payments adapter implements."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import attrs

from ..errors import InvalidRequestError
from ..message import CallInfo
from ..money import Money
from ..operation import CallOptions, Flow, Operation


@attrs.frozen(kw_only=True)
class ChargeRequest:
    """What is charged.

    Attributes:
        amount: How much.
        source: The vendor's id of the card, account or payment method.
        capture: Take the money now; ``False`` only reserves it.
        customer: The vendor's id of the customer.
        description: What the payer sees.
        metadata: Values kept with the charge at the vendor.

    >>> ChargeRequest(amount=Money("12.50", "EUR"), source="pm_1").check().capture
    True
    """

    amount: Money
    source: str
    capture: bool = True
    customer: str | None = None
    description: str | None = None
    metadata: Mapping[str, str] = attrs.field(factory=dict[str, str])

    def check(self) -> ChargeRequest:
        """Return the request if it can be sent.

        Raises:
            InvalidRequestError: If the amount is no money above 0, or the source is empty.
        """
        check_amount(self.amount)
        if not self.source:
            raise InvalidRequestError("A charge needs a source.", hint="Pass the vendor's id of the payment method.")
        return self


def check_amount(amount: Money | None) -> None:
    """Refuse what is no amount above 0; ``None``: all of it.

    Raises:
        InvalidRequestError: If it is a float, or not above 0.
    """
    if amount is None:
        return
    if not isinstance(amount, Money):
        raise InvalidRequestError(
            f"An amount is Money, not {type(amount).__name__}.", hint='Write Money("12.50", "EUR").'
        )
    if amount.amount <= 0:
        raise InvalidRequestError("An amount must be above 0.", hint="Nothing was sent.")


@attrs.frozen(kw_only=True)
class RefundRequest:
    """What is given back.

    Attributes:
        charge_id: The vendor's id of the charge.
        amount: How much; ``None``: all of it.
        reason: Why, in the vendor's words.
    """

    charge_id: str
    amount: Money | None = None
    reason: str | None = None


@attrs.frozen(kw_only=True)
class CaptureRequest:
    """Which reserved money is taken.

    Attributes:
        authorization_id: The vendor's id of the reservation.
        amount: How much; ``None``: all of it.
    """

    authorization_id: str
    amount: Money | None = None


@attrs.frozen(kw_only=True)
class PaymentIntentRequest:
    """A payment that the payer will confirm.

    Attributes:
        amount: How much.
        customer: The vendor's id of the customer.
        metadata: Values kept with it at the vendor.
    """

    amount: Money
    customer: str | None = None
    metadata: Mapping[str, str] = attrs.field(factory=dict[str, str])


@attrs.frozen(kw_only=True)
class Charge:
    """A charge, as the vendor knows it.

    Attributes:
        id: The vendor's id.
        status: What the vendor says of it.
        amount: How much.
        authorization_id: The vendor's id of the reservation, if there is one.
        call: What is known about the call.
    """

    id: str
    status: str
    amount: Money
    authorization_id: str | None
    call: CallInfo


@attrs.frozen(kw_only=True)
class Refund:
    """A refund, as the vendor knows it.

    Attributes:
        id: The vendor's id.
        status: What the vendor says of it.
        amount: How much.
        call: What is known about the call.
    """

    id: str
    status: str
    amount: Money
    call: CallInfo


@attrs.frozen(kw_only=True)
class PaymentIntent:
    """A payment that waits for the payer.

    Attributes:
        id: The vendor's id.
        client_secret: What the payer's browser needs to confirm it.
        status: What the vendor says of it.
        call: What is known about the call.
    """

    id: str
    client_secret: str = attrs.field(repr=False)
    status: str
    call: CallInfo


class PaymentsAdapter(Protocol):
    """What a payments adapter implements. It leaves out what its vendor cannot do: that becomes a NotSupportedError."""

    def charge(self, request: ChargeRequest, options: CallOptions, /) -> Operation[Charge] | Flow[Charge]:
        """Charge a payment method."""
        ...

    def refund(self, request: RefundRequest, options: CallOptions, /) -> Operation[Refund] | Flow[Refund]:
        """Give money back."""
        ...

    def capture_authorization(
        self, request: CaptureRequest, options: CallOptions, /
    ) -> Operation[Charge] | Flow[Charge]:
        """Take money that was reserved."""
        ...

    def create_payment_intent(
        self, request: PaymentIntentRequest, options: CallOptions, /
    ) -> Operation[PaymentIntent] | Flow[PaymentIntent]:
        """Prepare a payment that the payer confirms."""
        ...

    def get_charge(self, request: str, options: CallOptions, /) -> Operation[Charge]:
        """Look a charge up by its id."""
        ...

    def find_charge(self, request: str, options: CallOptions, /) -> Operation[Charge | None]:
        """Look a charge up by the idempotency key it was made under: how an unknown outcome is settled."""
        ...
