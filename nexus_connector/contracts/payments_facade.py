"""The payments facades: ``connector.payments`` on both faces."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Unpack

from ..money import Money
from .facade import CallKeywords, Facade, call_options
from .payments import (
    CaptureRequest,
    Charge,
    ChargeRequest,
    PaymentIntent,
    PaymentIntentRequest,
    Refund,
    RefundRequest,
    check_amount,
)


class ChargeKeywords(CallKeywords, total=False):
    """What a charge takes beside amount and source.

    Attributes:
        capture: Take the money now (default); ``False`` only reserves it.
        customer: The vendor's id of the customer.
        description: What the payer sees.
        metadata: Values kept with the charge at the vendor.
    """

    capture: bool
    customer: str | None
    description: str | None
    metadata: Mapping[str, str]


_CHARGE_FIELDS = frozenset(ChargeKeywords.__annotations__) - frozenset(CallKeywords.__annotations__)


class _PaymentsFacade(Facade):
    domain: ClassVar[str] = "payments"

    def _charge(self, amount: Money, source: str, options: Mapping[str, Any]) -> Any:
        fields = {name: value for name, value in options.items() if name in _CHARGE_FIELDS}
        request = ChargeRequest(amount=amount, source=source, **fields).check()
        return self._run("charge", request, call_options(options, beside=_CHARGE_FIELDS))

    def _refund(self, charge_id: str, amount: Money | None, reason: str | None, options: Mapping[str, Any]) -> Any:
        check_amount(amount)
        return self._run(
            "refund", RefundRequest(charge_id=charge_id, amount=amount, reason=reason), call_options(options)
        )

    def _capture(self, authorization_id: str, amount: Money | None, options: Mapping[str, Any]) -> Any:
        check_amount(amount)
        return self._run(
            "capture_authorization",
            CaptureRequest(authorization_id=authorization_id, amount=amount),
            call_options(options),
        )

    def _intend(
        self, amount: Money, customer: str | None, metadata: Mapping[str, str] | None, options: Mapping[str, Any]
    ) -> Any:
        check_amount(amount)
        request = PaymentIntentRequest(amount=amount, customer=customer, metadata=metadata or {})
        return self._run("create_payment_intent", request, call_options(options))

    def _look_up(self, method: str, name: str, options: Mapping[str, Any]) -> Any:
        return self._run(method, name, call_options(options))


class PaymentsFacade(_PaymentsFacade):
    """``connector.payments``."""

    def charge(self, amount: Money, source: str, **options: Unpack[ChargeKeywords]) -> Charge:
        """Charge a payment method. Pass an ``idempotency_key`` of your own: it is what a second try is recognised by.

        Args:
            amount: How much.
            source: The vendor's id of the payment method.
            options: See `ChargeKeywords` and `CallKeywords`.

        Raises:
            PaymentDeclinedError: If it was declined.
            OutcomeUnknownError: If nobody knows; settle it with `find_charge`.
        """
        return self._charge(amount, source, options)  # type: ignore[no-any-return]  # the adapter's parser makes it

    def refund(
        self, charge_id: str, amount: Money | None = None, *, reason: str | None = None, **options: Unpack[CallKeywords]
    ) -> Refund:
        """Give money back.

        Args:
            charge_id: The vendor's id of the charge.
            amount: How much; ``None``: all of it.
            reason: Why, in the vendor's words.
            options: See `CallKeywords`.
        """
        return self._refund(charge_id, amount, reason, options)  # type: ignore[no-any-return]  # the adapter's parser makes it

    def capture_authorization(
        self, authorization_id: str, amount: Money | None = None, **options: Unpack[CallKeywords]
    ) -> Charge:
        """Take money that was reserved.

        Args:
            authorization_id: The vendor's id of the reservation.
            amount: How much; ``None``: all of it.
            options: See `CallKeywords`.
        """
        return self._capture(authorization_id, amount, options)  # type: ignore[no-any-return]  # the adapter's parser makes it

    def create_payment_intent(
        self,
        amount: Money,
        *,
        customer: str | None = None,
        metadata: Mapping[str, str] | None = None,
        **options: Unpack[CallKeywords],
    ) -> PaymentIntent:
        """Prepare a payment that the payer confirms.

        Args:
            amount: How much.
            customer: The vendor's id of the customer.
            metadata: Values kept with it at the vendor.
            options: See `CallKeywords`.
        """
        return self._intend(amount, customer, metadata, options)  # type: ignore[no-any-return]  # the adapter's parser makes it

    def get_charge(self, charge_id: str, **options: Unpack[CallKeywords]) -> Charge:
        """Look a charge up.

        Args:
            charge_id: The vendor's id of the charge.
            options: See `CallKeywords`.
        """
        return self._look_up("get_charge", charge_id, options)  # type: ignore[no-any-return]  # the adapter's parser makes it

    def find_charge(
        self, *, idempotency_key: str, tenant_id: str | None = None, timeout_seconds: float | None = None
    ) -> Charge | None:
        """Look a charge up by the key it was made under: how an unknown outcome is settled.

        Args:
            idempotency_key: Key of the charge that is looked for.
            tenant_id: Tenant on whose behalf it was made.
            timeout_seconds: Time of the whole call.

        Returns:
            The charge; ``None``: the vendor has none under this key, the charge did not happen.
        """
        options = {"tenant_id": tenant_id, "timeout_seconds": timeout_seconds}
        return self._look_up("find_charge", idempotency_key, options)  # type: ignore[no-any-return]  # the adapter's parser makes it


class AsyncPaymentsFacade(_PaymentsFacade):
    """``connector.payments`` of the async face."""

    async def charge(self, amount: Money, source: str, **options: Unpack[ChargeKeywords]) -> Charge:
        """Charge a payment method. Pass an ``idempotency_key`` of your own: it is what a second try is recognised by.

        Args:
            amount: How much.
            source: The vendor's id of the payment method.
            options: See `ChargeKeywords` and `CallKeywords`.

        Raises:
            PaymentDeclinedError: If it was declined.
            OutcomeUnknownError: If nobody knows; settle it with `find_charge`.
        """
        return await self._charge(amount, source, options)  # type: ignore[no-any-return]  # the adapter's parser makes it

    async def refund(
        self, charge_id: str, amount: Money | None = None, *, reason: str | None = None, **options: Unpack[CallKeywords]
    ) -> Refund:
        """Give money back.

        Args:
            charge_id: The vendor's id of the charge.
            amount: How much; ``None``: all of it.
            reason: Why, in the vendor's words.
            options: See `CallKeywords`.
        """
        return await self._refund(charge_id, amount, reason, options)  # type: ignore[no-any-return]  # the adapter's parser makes it

    async def capture_authorization(
        self, authorization_id: str, amount: Money | None = None, **options: Unpack[CallKeywords]
    ) -> Charge:
        """Take money that was reserved.

        Args:
            authorization_id: The vendor's id of the reservation.
            amount: How much; ``None``: all of it.
            options: See `CallKeywords`.
        """
        return await self._capture(authorization_id, amount, options)  # type: ignore[no-any-return]  # the adapter's parser makes it

    async def create_payment_intent(
        self,
        amount: Money,
        *,
        customer: str | None = None,
        metadata: Mapping[str, str] | None = None,
        **options: Unpack[CallKeywords],
    ) -> PaymentIntent:
        """Prepare a payment that the payer confirms.

        Args:
            amount: How much.
            customer: The vendor's id of the customer.
            metadata: Values kept with it at the vendor.
            options: See `CallKeywords`.
        """
        return await self._intend(amount, customer, metadata, options)  # type: ignore[no-any-return]  # the adapter's parser makes it

    async def get_charge(self, charge_id: str, **options: Unpack[CallKeywords]) -> Charge:
        """Look a charge up.

        Args:
            charge_id: The vendor's id of the charge.
            options: See `CallKeywords`.
        """
        return await self._look_up("get_charge", charge_id, options)  # type: ignore[no-any-return]  # the adapter's parser makes it

    async def find_charge(
        self, *, idempotency_key: str, tenant_id: str | None = None, timeout_seconds: float | None = None
    ) -> Charge | None:
        """Look a charge up by the key it was made under: how an unknown outcome is settled.

        Args:
            idempotency_key: Key of the charge that is looked for.
            tenant_id: Tenant on whose behalf it was made.
            timeout_seconds: Time of the whole call.

        Returns:
            The charge; ``None``: the vendor has none under this key, the charge did not happen.
        """
        options = {"tenant_id": tenant_id, "timeout_seconds": timeout_seconds}
        return await self._look_up("find_charge", idempotency_key, options)  # type: ignore[no-any-return]  # the adapter's parser makes it
