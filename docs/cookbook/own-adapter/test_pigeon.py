"""What every adapter owes the connector; samples are from Pigeon's documentation."""

from pigeon import PigeonServiceAdapter

from nexus_connector import EmailMessage
from nexus_connector.errors import NotFoundError
from nexus_connector.testing import AdapterContract, Fault, Sample

MESSAGE = EmailMessage(
    recipient="ada@example.com",
    sender="billing@shop.example",
    subject="Hi",
    text="Hello",
)
TAKEN = {"id": "p-1", "state": "queued"}


class TestPigeonServiceAdapter(AdapterContract):
    """Both methods with an answer each, and the error that Pigeon names itself."""

    adapter_class = PigeonServiceAdapter
    samples = (
        Sample(
            method="send_transactional_email",
            value=MESSAGE,
            answers=[TAKEN],
            result={"message_id": "p-1", "status": "queued"},
            extra={"priority": "low"},
        ),
        Sample(method="send_bulk_email", value=[MESSAGE], answers=[[TAKEN]]),
    )
    faults = (
        Fault(
            method="send_transactional_email",
            answer=(400, {"error": "no_such_lane"}),
            code="no_such_lane",
            kind=NotFoundError,
        ),
    )
