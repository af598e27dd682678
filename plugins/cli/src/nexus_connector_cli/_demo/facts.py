"""The facts of the demo: what each call came to, taken from the vendor, the events and the records, never from hope."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

import attrs

from nexus_connector import Connector, EmailReceipt

from .._explain import call_timeline
from .._timeline import Timeline
from .application import BODY, RECIPIENT, SUBJECT
from .outage import Outage
from .rescue import Rescue
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
        outage: What became of the calls of a service that died.
        rescue: What became of them with a second region.
    """

    sendings: tuple[Sending, ...]
    swap: tuple[str, ...]
    subject: str
    outage: Outage
    rescue: Rescue

    def as_dict(self) -> dict[str, Any]:
        """Return them as plain JSON values."""
        plain = attrs.asdict(self)
        for sending, each in zip(plain["sendings"], self.sendings, strict=True):
            sending["timeline"] = each.timeline.as_dict()
        plain["claims"] = [attrs.asdict(claim) for claim in claims(self)]
        return plain


@attrs.frozen
class Claim:
    """Something the demo claims, and whether what was seen bears it out.

    Attributes:
        text: The claim.
        seen: What was seen.
        holds: Whether that proves it.
    """

    text: str
    seen: str
    holds: bool


def claims(facts: Facts) -> Iterator[Claim]:
    """Hold every claim against what was seen."""
    first, second = facts.sendings
    outage, rescue = facts.outage, facts.rescue
    clear = sum(each.secret_in_clear for each in facts.sendings)
    yield Claim(
        "A vendor in trouble cost no email",
        f"answered {first.status} at request {first.requests}",
        first.status < 300 and first.attempts == first.requests > 1,
    )
    yield Claim(
        "One line changed the vendor, no code",
        f"{len(facts.swap) // 2} line, the same received",
        len(facts.swap) == 2 and first.received == second.received and all(second.received.values()),
    )
    yield Claim("No secret was written down", f"{clear} found in what was written", clear == 0)
    yield Claim(
        "A dead service opens its circuit",
        f"{outage.failures} failures, {len(outage.pages)} page sent",
        len(outage.pages) == 1 and outage.failures > 0,
    )
    yield Claim(
        "Then it is left alone, and nobody waits",
        f"{outage.refused:,} calls refused, {outage.requests} sent",
        outage.refused > 0 and outage.requests == 0,
    )
    yield Claim(
        "A second region loses no call",
        f"{rescue.lost} of {rescue.calls} lost, <= {rescue.most_attempts} attempts",
        rescue.lost == 0 and len(rescue.moves) > 0,
    )
    yield Claim(
        "And the first one takes over again",
        f"{rescue.return_seconds:.1f} s after it was well",
        rescue.return_seconds > 0 and [state for state, _ in rescue.circuit] == ["open", "half_open", "closed"],
    )
