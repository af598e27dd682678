"""Tells a Slack channel when the outside world is in trouble."""

import logging
import os
import time
from contextlib import suppress
from datetime import datetime, timedelta
from html import escape

import attrs

from nexus_connector import (
    AuthMethod,
    CallFailed,
    CircuitChanged,
    Connector,
    Credentials,
    Request,
    Secret,
    hookimpl,
)
from nexus_connector.errors import ConnectorError

SLACK = "slack"
QUIET = timedelta(minutes=5)
SIGNS = {
    "open": "red_circle",
    "half_open": "large_yellow_circle",
    "closed": "large_green_circle",
    "disabled": "white_circle",
}
log = logging.getLogger("alerts")


class SlackWebhook:
    """Keeps the secret half of the webhook's URL out of files and records.

    Args:
        path: What stands behind ``https://hooks.slack.com/services/``.
    """

    def __init__(self, path: Secret) -> None:
        self._path = path

    @hookimpl(service=SLACK)
    def resolve_credentials(self, rejected: Credentials | None) -> Credentials | None:
        """Name it as a secret of this call; there is no newer one after a 401."""
        if rejected is not None:
            return None
        return Credentials(method=AuthMethod.API_KEY, secrets=(self._path,))

    @hookimpl(service=SLACK)
    def before_attempt(self, request: Request) -> Request:
        """Put it on the request at the last moment."""
        return attrs.evolve(request, path=f"{request.path}/{self._path.reveal()}")


class Alerts:
    """Receivers that post to Slack, on the connector's background thread.

    Args:
        connector: Tells them, and posts for them.
        quiet: How long a failure of one kind is not told again.
    """

    def __init__(self, connector: Connector, quiet: timedelta = QUIET) -> None:
        self._slack = connector.service(SLACK)
        self._quiet = quiet
        self._told: dict[tuple[str, str], datetime] = {}
        connector.on(CircuitChanged)(self.circuit_changed)
        connector.on(CallFailed)(self.call_failed)

    def circuit_changed(self, event: CircuitChanged) -> None:
        """Tell every change: there are few, and each one matters."""
        if event.service == SLACK:
            return
        place = [event.service, event.region or "", event.group]
        lasts = f" for {event.open_seconds:g} s" if event.open_seconds else ""
        text = f"{event.old} -> {event.new}{lasts}: {event.reason}"
        self._post(SIGNS[event.new], " ".join(filter(None, place)), text)

    def call_failed(self, event: CallFailed) -> None:
        """Tell the first failure of a kind, then be quiet: an outage is one message."""
        if event.service == SLACK:  # the post itself failed; this would never end
            return
        if event.error == "CircuitOpenError":  # the circuit has been told
            return
        kind = (event.service, event.error)
        if kind in self._told and event.at - self._told[kind] < self._quiet:
            return
        self._told[kind] = event.at
        text = f"{event.error}, outcome {event.outcome}\n{event.message}"
        self._post("warning", event.service, f"{text}\ncall {event.call_id}")

    def _post(self, sign: str, about: str, text: str) -> None:
        about, told = escape(about, quote=False), escape(text, quote=False)
        try:
            self._slack.post("/services", json={"text": f":{sign}: *{about}* {told}"})
        except ConnectorError as error:
            log.warning("Slack does not know: %s", error)
        else:
            log.info("posted :%s: %s %s", sign, about, text.partition("\n")[0])


def main() -> None:
    """Ask a vendor that is down for a while, and see what the channel gets."""
    logging.basicConfig(format="[%(threadName)s] %(message)s")
    log.setLevel(logging.INFO)
    webhook = SlackWebhook(Secret(os.environ["SLACK_WEBHOOK_PATH"]))
    with Connector.from_file(plugins=[webhook]) as connector:
        Alerts(connector)
        for _ in range(12):
            with suppress(ConnectorError):
                connector.service("crm").get("/orders")
            time.sleep(0.1)
        connector.flush()  # a closed connector cannot post what is not told yet


if __name__ == "__main__":
    main()
