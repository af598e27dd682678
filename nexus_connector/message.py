"""Messages on the wire: the request a call sends and the response it gets, both frozen."""

from __future__ import annotations

import json as jsonlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar
from urllib.parse import quote, urlencode

import attrs

from .body import Content, Source, encode_form, encode_json, encode_multipart, open_content, text_pairs
from .errors import InvalidRequestError
from .headers import Headers
from .path import fill_path

if TYPE_CHECKING:
    from .call import Call
    from .redaction import Redactor
    from .stream import StreamBody
    from .transport import Received

T = TypeVar("T")
Into: TypeAlias = type[T] | Callable[[Any], T]
"""What an answer becomes: a class, converted strictly, or any callable, given the parsed JSON."""

_NO_HEADERS = Headers()


# The values of this module are made several times in every call. With a dict in place of slots a frozen one is made
# in two thirds of the time and copied in a third.
@attrs.frozen(kw_only=True, repr=False, slots=False)
class CallInfo:
    """What is known about a finished call; every response and every domain result carries one.

    Attributes:
        id: Id of the call (ULID).
        service: Service that answered.
        operation: Name of the operation.
        tenant_id: Tenant, if there was one.
        attempts: Sends on the wire.
        replayed: Whether the answer was kept from an earlier call with the same idempotency key.
        request_id: The vendor's own id of the request.
        response: The response, on domain results.
    """

    id: str
    service: str
    operation: str
    tenant_id: str | None = None
    attempts: int = 0
    replayed: bool = False
    request_id: str | None = None
    response: Response | None = None

    def __repr__(self) -> str:
        return f"CallInfo({self.id}, {self.service}, {self.operation}, attempts={self.attempts})"


@attrs.frozen(kw_only=True, repr=False, slots=False)
class Request:
    """A request. Hooks change it by returning a copy.

    Attributes:
        method: HTTP method, upper case.
        path: Quoted path, beginning with one slash, without query.
        query: Pairs of name and value, not yet encoded.
        headers: Header fields.
        body: Encoded body; empty if there is none or if it is a `source`.
        source: A body that is read while it is sent.
        base_url: Set before the first gate: scheme, host, port and base path of the region.

    >>> request = Request(method="GET", path="/orders", query=(("page", "2"),))
    >>> request.with_headers({"X-Trace": "1"}).target
    '/orders?page=2'
    """

    method: str = "GET"
    path: str = "/"
    query: tuple[tuple[str, str], ...] = ()
    headers: Headers = _NO_HEADERS
    body: bytes = b""
    source: Source | None = None
    base_url: str = ""

    @property
    def target(self) -> str:
        """Path and encoded query, as sent after the base URL."""
        return f"{self.path}?{urlencode(self.query, quote_via=quote)}" if self.query else self.path

    @property
    def url(self) -> str:
        """The whole URL; complete once the base URL is chosen."""
        return self.base_url + self.target

    def with_headers(self, headers: Mapping[str, str], /) -> Request:
        """Return a copy in which these header fields replace those of the same name."""
        return self._with(headers=self.headers.with_fields(headers))

    def with_query(self, query: Mapping[str, object], /) -> Request:
        """Return a copy in which these query parameters replace those of the same name."""
        kept = tuple(pair for pair in self.query if pair[0] not in query)
        return self._with(query=(*kept, *text_pairs(query, "query value")))

    def with_json(self, value: object, /) -> Request:
        """Return a copy with this value as JSON body.

        Raises:
            InvalidRequestError: If JSON cannot hold the value.
        """
        headers = self.headers.with_fields({"Content-Type": "application/json"})
        return attrs.evolve(self, headers=headers, body=encode_json(value), source=None)

    def at(self, base_url: str, /) -> Request:
        """Return a copy that goes to this base URL."""
        copy = object.__new__(Request)
        fields = copy.__dict__
        fields.update(self.__dict__)
        fields["base_url"] = base_url
        return copy

    def _with(self, **fields: object) -> Request:
        # attrs.evolve looks the fields up each time and costs ten times as much.
        copy = object.__new__(Request)
        copy.__dict__.update(self.__dict__, **fields)
        return copy

    def json(self) -> Any:
        """Return the body parsed as JSON; ``None`` if there is no body."""
        return jsonlib.loads(self.body) if self.body else None

    def __repr__(self) -> str:
        from .redaction import DEFAULT_REDACTOR  # here: a repr is rare

        return f"Request({self.method} {DEFAULT_REDACTOR.url(self.url)}, {len(self.body)} bytes)"


@attrs.frozen(kw_only=True, repr=False, slots=False)
class Response:
    """A response. `json()` and `into()` read the body; a streamed response has none.

    Attributes:
        status: HTTP status.
        headers: Header fields.
        body: Whole body, decompressed.
        call: What is known about the call.

    >>> Response(status=200, body=b'{"id": "7"}').json()
    {'id': '7'}
    """

    status: int
    headers: Headers = _NO_HEADERS
    body: bytes = b""
    call: CallInfo = CallInfo(id="", service="", operation="")
    stream: StreamBody | None = attrs.field(default=None, eq=False)

    @property
    def attempts(self) -> int:
        """Sends on the wire that the call made."""
        return self.call.attempts

    @property
    def info(self) -> CallInfo:
        """`call` with this response attached: what a domain result carries."""
        return attrs.evolve(self.call, response=self)

    def json(self) -> Any:
        """Parse the body as JSON.

        Raises:
            ResponseFormatError: If the body is empty or no JSON.
        """
        from .convert import parse_json  # here: converting is not needed to send

        return parse_json(self)

    def into(self, into: Into[T]) -> T:
        """Convert the JSON body, strictly.

        Args:
            into: A class (attrs, dataclass, ``list[Order]``, ``dict[str, int]`` ...), or any callable that gets the
                parsed JSON.

        Raises:
            ResponseFormatError: If the body does not have this form; `path` says where.
        """
        from .convert import structure

        return structure(self, into)

    def redacted(self, redactor: Redactor | None = None) -> Response:
        """Return a copy without anything secret, for a pickle or a log."""
        from .redaction import DEFAULT_REDACTOR

        redactor = redactor or DEFAULT_REDACTOR
        body = redactor.body(self.body, self.headers.get("content-type", "") or "") if self.body else ""
        encoded = body.encode() if isinstance(body, str) else encode_json(body)
        return Response(
            status=self.status, headers=Headers(redactor.headers(self.headers)), body=encoded, call=self.call
        )

    def __repr__(self) -> str:
        return f"Response({self.status}, {len(self.body)} bytes, call={self.call.id or None})"


def response_of(call: Call, received: Received, request_id: str | None) -> Response:
    """Return the response of a call.

    Args:
        call: The call, its present attempt counted.
        received: What came.
        request_id: The vendor's own id of the request.
    """
    # What attrs would do, without passing thirteen values by name: every attempt comes through here.
    info, response = object.__new__(CallInfo), object.__new__(Response)
    known = info.__dict__
    known["id"] = call.id
    known["service"] = call.service
    known["operation"] = call.operation.name
    known["tenant_id"] = call.tenant_id
    known["attempts"] = call.attempts
    known["replayed"] = False
    known["request_id"] = request_id
    known["response"] = None
    fields = response.__dict__
    fields["status"] = received.status
    fields["headers"] = received.headers
    fields["body"] = received.body
    fields["call"] = info
    fields["stream"] = None
    return response


def parser(into: Into[T] | None) -> Callable[[Response], Any]:
    """Return what turns a response into the result: conversion, or the response itself.

    >>> parser(None)(Response(status=204)).status
    204
    """
    if into is None:
        return lambda response: response
    return lambda response: response.into(into)


def build_request(
    method: str,
    path: str,
    *,
    path_values: Mapping[str, object] | None = None,
    query: Mapping[str, object] | None = None,
    headers: Mapping[str, str] | None = None,
    json: object = None,
    form: Mapping[str, object] | None = None,
    files: Mapping[str, Content] | None = None,
    content: Content | None = None,
) -> Request:
    """Build a request from what a caller gives.

    Raises:
        InvalidRequestError: If the path, a value or the body cannot be sent, or two bodies are given.
    """
    if sum((json is not None, form is not None or files is not None, content is not None)) > 1:
        message = "A request has one body: json, form with files, or content."
        raise InvalidRequestError(message, hint="Give one of them; nothing was sent.")
    fields = Headers(headers) if headers else _NO_HEADERS
    body: bytes | Source = b""
    kind: str | None = None
    if json is not None:
        body, kind = encode_json(json), "application/json"
    elif files is not None:
        kind, body = encode_multipart(form or {}, files)
    elif form is not None:
        body, kind = encode_form(form), "application/x-www-form-urlencoded"
    elif content is not None:
        body = open_content(content)
    if kind is not None and "content-type" not in fields:
        fields = fields.with_fields({"Content-Type": kind})
    return Request(
        method=method,
        path=fill_path(path, path_values or {}),
        query=tuple(text_pairs(query, "query value")) if query else (),
        headers=fields,
        body=body if isinstance(body, bytes) else b"",
        source=None if isinstance(body, bytes) else body,
    )
