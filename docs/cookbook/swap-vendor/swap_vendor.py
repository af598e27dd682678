"""Sends an email with an attachment; which vendor does it is none of its business."""

from nexus_connector import Attachment, Connector

TERMS = b"Payment is due within 14 days.\n"


def main() -> None:
    """Send it and say who did."""
    with Connector.from_file() as connector:
        receipt = connector.email.send_transactional_email(
            ["ada@example.com", "Bob <bob@example.com>"],
            "Invoice 1001",
            "<p>Please pay <b>12.50 EUR</b>.</p>",
            attachments=[
                Attachment(name="terms.txt", content=TERMS, content_type="text/plain")
            ],
            metadata={"order": "o-7"},
        )
    print(f"{receipt.call.service}: {receipt.status} {receipt.message_id}")


if __name__ == "__main__":
    main()
