"""Signs every request to one service, anew for each attempt."""

import hashlib
import hmac
import os

from nexus_connector import Call, Connector, Credentials, Request, Secret, hookimpl
from nexus_connector.credentials import AuthMethod
from nexus_connector.errors import AuthenticationError, InvalidRequestError


class SignRequests:
    """Hooks for the service ``warehouse``; the other services do not know of them.

    Args:
        key: What both sides know.
    """

    def __init__(self, key: Secret) -> None:
        self._key = key

    @hookimpl(service="warehouse")
    def resolve_credentials(self, rejected: Credentials | None) -> Credentials | None:
        """Name the key as a secret of this call; there is no newer one after a 401."""
        if rejected is not None:
            return None
        return Credentials(method=AuthMethod.HMAC, secrets=(self._key,))

    @hookimpl(service="warehouse")
    def before_attempt(self, call: Call, request: Request) -> Request:
        """Put time and signature on what is about to be sent."""
        if request.source is not None:
            text = "A streamed body cannot be signed beforehand."
            raise InvalidRequestError(text, hint="Give it as bytes.")
        stamp = f"{call.now.timestamp():.3f}"
        head = f"{request.method}\n{request.target}\n{stamp}\n"
        key, signed = self._key.reveal().encode(), head.encode() + request.body
        signature = f"v1={hmac.new(key, signed, hashlib.sha256).hexdigest()}"
        return request.with_headers({"X-Timestamp": stamp, "X-Signature": signature})


def connect(key: str) -> Connector:
    """Return a connector that signs with this key."""
    return Connector.from_file(plugins=[SignRequests(Secret(key))])


def main() -> None:
    """Count some stock, then try it with a wrong key."""
    with connect(os.environ["WAREHOUSE_KEY"]) as connector:
        warehouse = connector.service("warehouse")
        response = warehouse.put("/stock/tea", json={"count": 3})
        print(response.status, response.json(), "attempts:", response.attempts)
    with connect("a key that the warehouse does not know") as connector:
        try:
            connector.service("warehouse").get("/stock/tea")
        except AuthenticationError as error:
            print(error)


if __name__ == "__main__":
    main()
