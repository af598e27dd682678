"""The world outside: the connector, and what its errors mean to our own callers."""

import logging
import math
from collections.abc import Callable
from functools import cache

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse

from nexus_connector import Connector
from nexus_connector.errors import (
    AuthenticationError,
    ConnectorError,
    DeadlineExceededError,
    NotFoundError,
    ResponseFormatError,
    TransportError,
    VendorError,
)

log = logging.getLogger(__name__)


@cache
def the_connector() -> Connector:
    """Return the connector of this process, built when it is first needed."""
    return Connector.from_file(settings.NEXUS_CONFIG)


def status_of(error: ConnectorError) -> int:
    """Choose the status by what our own caller can do about it."""
    if isinstance(error, NotFoundError):
        return 404  # there is no such thing
    if isinstance(error, DeadlineExceededError):
        return 504
    if error.retry_after is not None and error.retry_safe:
        return 503  # come again, and when: busy vendors, limits, open circuits
    if isinstance(error, AuthenticationError):
        return 500  # our credentials, not the caller's
    if isinstance(error, TransportError | VendorError | ResponseFormatError):
        return 502
    return 500  # our configuration, our mistake


class OutsideErrors:
    """Middleware that answers when a view lets an error of the connector through."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Pass the request on."""
        return self._get_response(request)

    def process_exception(
        self, request: HttpRequest, error: Exception
    ) -> HttpResponse | None:
        """Answer what went wrong beyond us.

        The text of the error is for our log, the id of the call for both sides.
        """
        if not isinstance(error, ConnectorError):
            return None
        log.warning("call %s: %s", error.call_id, error)
        status, seconds = status_of(error), math.ceil(error.retry_after or 0)
        headers = {"Retry-After": str(seconds)} if status == 503 else {}
        body = {
            "error": type(error).__name__,
            "outcome": error.outcome,
            "call_id": error.call_id,
        }
        return JsonResponse(body, status=status, headers=headers)
