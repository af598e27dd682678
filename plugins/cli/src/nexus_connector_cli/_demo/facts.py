"""The facts of the demo: what each call came to, taken from the vendor, the events and the records, never from hope."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

import attrs

from nexus_connector import Connector, EmailReceipt

from .._explain import call_timeline
from .._timeline import Timeline
from .application import BODY, RECIPIENT, SUBJECT
from .script import VendorScript
from .stage import Stage
from .watch import Wait, Watch


@attrs.frozen(kw_only=True)
class Sending:
    """One email.

    Attributes:
        service: Service that it went through.
        call_id: Id of the call.
        message_id: The vendor's id of the message.
        status: Status of the last answer.
        attempts: Sends on the wire, as the connector counts them.
        requests: Requests that reached the vendor.
        waits_seconds: Waits between them.
        duration_seconds: From the call to its result.
        received: What the vendor received: subject, recipient and body, wherever its own format puts them.
        events: Events that were heard, by class.
        records: Records kept of the call.
        secret_header: Header in which the secret travelled.
        secret_recorded: That header as it was recorded.
        secret_in_clear: How often the secret stands in the files that were written.
        timeline: What ``nexus explain`` says about the call.
    """

    service: str
    call_id: str
    message_id: str
    status: int
    attempts: int
    requests: int
    waits_seconds: tuple[float, ...]
    duration_seconds: float
    received: Mapping[str, str]
    events: Mapping[str, int]
    records: int
    secret_header: str
    secret_recorded: str
    secret_in_clear: int
    timeline: Timeline


def sending_of(
    stage: Stage, vendor: VendorScript, connector: Connector, receipt: EmailReceipt, watch: Watch
) -> Sending:
    """Gather what is known about an email that was sent; everything that was queued has been delivered."""
    info, success = receipt.call, watch.success
    records = connector.runtime.read_log(info.id) or ()
    return Sending(
        service=info.service,
        call_id=info.id,
        message_id=receipt.message_id,
        status=success.status if success is not None else 0,
        attempts=info.attempts,
        requests=stage.requests(vendor.service),
        waits_seconds=tuple(line.seconds for line in watch.lines if isinstance(line, Wait)),
        duration_seconds=success.duration_seconds if success is not None else 0.0,
        received=_received(stage.received(vendor.service)),
        events=dict(watch.heard),
        records=len(records),
        secret_header=vendor.secret_header,
        secret_recorded=next(filter(None, (_header(each, vendor.secret_header) for each in records)), ""),
        secret_in_clear=stage.in_clear(vendor.service),
        timeline=call_timeline(connector, info.id),
    )


def _received(message: object) -> dict[str, str]:
    """Find what the application said in a message of any vendor's format."""
    texts = list(_texts(message))
    said = {"subject": SUBJECT, "recipient": RECIPIENT, "body": BODY}
    return {name: next((text for text in texts if value in text), "") for name, value in said.items()}


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in cast("dict[str, object]", value).values():
            yield from _texts(each)
    elif isinstance(value, list):
        for each in cast("list[object]", value):
            yield from _texts(each)


def _header(record: Mapping[str, object], name: str) -> str:
    data = cast("dict[str, Any] | None", record.get("request_data"))
    headers: dict[str, str] = data["headers"] if data is not None else {}
    return next((value for key, value in headers.items() if key.lower() == name.lower()), "")


@attrs.frozen(kw_only=True)
class Facts:
    """What the whole demo came to.

    Attributes:
        sendings: The emails, one through each vendor.
        swap: The lines of the configuration that changed in between.
        subject: The subject as the application gave it.
    """

    sendings: tuple[Sending, ...]
    swap: tuple[str, ...]
    subject: str

    def as_dict(self) -> dict[str, Any]:
        """Return them as plain JSON values."""
        plain = attrs.asdict(self)
        for sending, each in zip(plain["sendings"], self.sendings, strict=True):
            sending["timeline"] = each.timeline.as_dict()
        return plain
