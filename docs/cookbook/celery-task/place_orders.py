"""Asks for four orders and waits for what becomes of them."""

from tasks import place_order

from nexus_connector.errors import ConnectorError

BASKETS = {"b-1": "tea", "b-2": "milk", "b-3": "sugar", "b-4": "unicorn"}


def main() -> None:
    """Queue the tasks, then tell their results."""
    results = [(each, place_order.delay(each, sku)) for each, sku in BASKETS.items()]
    for basket, result in results:
        try:
            print(basket, result.get(timeout=60))
        except ConnectorError as error:
            print(basket, f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
