"""Sends mail through the company's own relay, as through any other vendor."""

import attrs

from nexus_connector import Attachment, Connector, EmailMessage
from nexus_connector.errors import NotSupportedError


def main() -> None:
    """Send one message, three at once, and one that Pigeon cannot carry."""
    with Connector.from_file() as connector:
        send = connector.email.send_transactional_email
        receipt = send(
            "ada@example.com",
            "Invoice 1001",
            "<p>12.50 EUR</p>",
            idempotency_key="invoice-1001",
        )
        print(receipt.status, receipt.message_id, "attempts:", receipt.call.attempts)

        people = ("ada@example.com", "bob@example.com", "eve@example.com")
        news = EmailMessage(subject="News", text="We have moved.")
        messages = [attrs.evolve(news, recipient=each) for each in people]
        items = connector.email.send_bulk_email(messages).items
        for person, item in zip(people, items, strict=True):
            detail = item.result.message_id if item.result else item.error
            print(person, item.outcome, detail)

        photo = Attachment(name="a.png", content=b"...")
        try:
            send("ada@example.com", "Photo", text="See below.", attachments=[photo])
        except NotSupportedError as error:
            print(error)


if __name__ == "__main__":
    main()
