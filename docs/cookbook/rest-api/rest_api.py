"""Works with the orders of an internal REST API, as typed values."""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Literal

import attrs

from nexus_connector import Connector, Endpoint
from nexus_connector.errors import NotFoundError, ResponseFormatError


@attrs.frozen
class Line:
    """One line of an order."""

    sku: str
    count: int
    price: Decimal


@attrs.frozen
class Order:
    """An order, as the API tells it. Fields that are not named here are passed over."""

    id: str
    state: Literal["open", "paid", "cancelled"]
    placed_on: date
    lines: list[Line]
    note: str | None = None

    @property
    def total(self) -> Decimal:
        """What is to be paid."""
        return sum((line.count * line.price for line in self.lines), Decimal(0))


@attrs.frozen
class Customer:
    """One entry of the list of customers."""

    id: int
    name: str


ORDER = Endpoint.get("/customers/{customer}/orders/{order}", into=Order)
PLACE = Endpoint.post("/orders", into=Order)


class Crm:
    """What this application wants of the CRM, in its own words."""

    def __init__(self, connector: Connector) -> None:
        self._connector = connector
        self._crm = connector.service("crm")

    def customers(self, city: str) -> Iterator[Customer]:
        """Yield the customers of a city; the next page is fetched when it is needed."""
        return self._crm.paginate("/customers", query={"city": city}, into=Customer)

    def order(self, customer: int, order: str) -> Order | None:
        """Return an order, if there is one of this name."""
        try:
            path = {"customer": customer, "order": order}
            return self._connector.execute("crm", ORDER, path_values=path)
        except NotFoundError:
            return None

    def place(self, customer: int, lines: list[Line], key: str) -> Order:
        """Place an order: one, however often it is asked for under the same key."""
        payload = {"customer": customer, "lines": lines}
        return self._connector.execute("crm", PLACE, payload, idempotency_key=key)

    def cancel(self, order: str) -> bool:
        """Cancel an order; returns whether there was anything to cancel."""
        response = self._crm.delete(
            "/orders/{order}", path_values={"order": order}, allow_status=(404, 409)
        )
        return response.status == 204


def main() -> None:
    """Read a list, read an order, place one, cancel two."""
    with Connector.from_file() as connector:
        crm = Crm(connector)
        for customer in crm.customers("London"):
            print(customer)
        order = crm.order(1, "2026/17")  # the slash is part of the name
        print(order and (order.id, order.state, order.placed_on.year, order.total))
        print(crm.order(1, "2026/18"))
        placed = crm.place(1, [Line("tea", 3, Decimal("4.20"))], key="basket-9")
        print(placed.id, placed.total)
        print(crm.cancel(placed.id), crm.cancel("2026/17"))
        try:
            crm.order(1, "broken")
        except ResponseFormatError as error:
            print(error.path, error)


if __name__ == "__main__":
    main()
