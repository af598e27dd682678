"""Money: a decimal amount in a currency."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import final

import attrs

from .errors import InvalidRequestError

_AMOUNT = re.compile("-?[0-9]+([.][0-9]+)?")
_CURRENCY = re.compile("[A-Z]{3}")


def _amount(value: str | int | Decimal) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        message = f"An amount of money is text, int or Decimal, not {type(value).__name__}."
        raise InvalidRequestError(message, hint='Write it as text: Money("12.50", "EUR").')
    amount = Decimal(value) if not isinstance(value, str) or _AMOUNT.fullmatch(value) else Decimal("NaN")
    if not amount.is_finite():
        message = f"{value!r} is not an amount of money."
        raise InvalidRequestError(message, hint='Use digits and a point: Money("12.50", "EUR").')
    return amount


def _currency(value: object) -> str:
    if isinstance(value, str) and _CURRENCY.fullmatch(value):
        return value
    message = f"{value!r} is not a currency."
    raise InvalidRequestError(message, hint='Use the ISO 4217 code in capitals, as "EUR".')


@final
@attrs.frozen
class Money:
    """An amount and its currency. Adapters send it in the vendor's unit; it is never a float.

    Args:
        amount: Text, int or Decimal in the currency's main unit (12.50 euro, not 1250 cent).
        currency: ISO 4217 code, upper case.

    Raises:
        InvalidRequestError: If the amount is a float or no finite number, or the currency no ISO code.

    >>> Money("12.50", "EUR")
    Money(amount=Decimal('12.50'), currency='EUR')
    """

    amount: Decimal = attrs.field(converter=_amount)
    currency: str = attrs.field(converter=_currency)
