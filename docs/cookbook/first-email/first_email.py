"""Sends one email through the vendor that connector.toml names."""

from nexus_connector import Connector
from nexus_connector.errors import ConnectorError, OutcomeUnknownError


def main() -> None:
    """Send an invoice and say what became of it."""
    with Connector.from_file() as connector:
        try:
            receipt = connector.email.send_transactional_email(
                "ada@example.com",
                "Invoice 1001",
                "<p>Please pay <b>12.50 EUR</b>.</p>",
                text="Please pay 12.50 EUR.",
            )
        except OutcomeUnknownError as error:
            raise SystemExit(f"It may have been sent: {error}") from None
        except ConnectorError as error:
            raise SystemExit(f"Not sent: {error}") from None
    call = receipt.call
    print(f"{receipt.status}: {receipt.message_id} at {call.service}, call {call.id}")


if __name__ == "__main__":
    main()
