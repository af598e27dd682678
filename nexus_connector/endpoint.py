"""Endpoints: one path of a service, described once and executed by name."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from enum import StrEnum
from typing import Any, Generic, TypedDict, TypeVar, Unpack, overload

import attrs

from .message import Into, Request, Response, build_request, parser
from .operation import Operation
from .policy import RetryPolicy
from .verdict import SAFETY_BY_METHOD, Safety

T = TypeVar("T")
R = TypeVar("R")


class HttpMethod(StrEnum):
    """HTTP methods.

    >>> HttpMethod.GET.safety
    'safe'
    """

    GET = "GET"
    HEAD = "HEAD"
    OPTIONS = "OPTIONS"
    PUT = "PUT"
    DELETE = "DELETE"
    POST = "POST"
    PATCH = "PATCH"

    @property
    def safety(self) -> Safety:
        """What the method alone says about sending it twice (RFC 9110 section 9.2)."""
        return SAFETY_BY_METHOD[self.value]


class EndpointOptions(TypedDict, total=False):
    """What an endpoint takes beside its path and result.

    Attributes:
        safety: Whether sending it twice can do it twice; by default what the method means.
        headers: Header fields of every request.
        allow_status: Statuses of 400 and above that are results.
        timeout_seconds: Time of the whole call; default: as configured.
        retry: How it is tried again; default: as configured.
    """

    safety: Safety
    headers: Mapping[str, str]
    allow_status: Collection[int]
    timeout_seconds: float | None
    retry: RetryPolicy | None


@attrs.frozen(kw_only=True)
class Endpoint(Generic[T]):
    """A path with its method, result and policies. Make one with `get`, `post` ... and keep it.

    Attributes:
        method: HTTP method.
        path: Path with placeholders, beginning with one slash.
        parse: Turns the answer into the result.
        safety: Whether sending it twice can do it twice.
        headers: Header fields of every request.
        allow_status: Statuses of 400 and above that are results.
        timeout_seconds: Time of the whole call; ``None``: as configured.
        retry: How it is tried again; ``None``: as configured.

    >>> Endpoint.get("/orders/{id}", into=dict).name
    'GET /orders/{id}'
    """

    method: HttpMethod
    path: str
    parse: Callable[[Response], T]
    safety: Safety
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str])
    allow_status: Collection[int] = ()
    timeout_seconds: float | None = None
    retry: RetryPolicy | None = None

    @property
    def name(self) -> str:
        """The operation's name: method and path, with placeholders."""
        return f"{self.method} {self.path}"

    def operation(
        self,
        *,
        payload: object = None,
        path_values: Mapping[str, object] | None = None,
        query: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Operation[T]:
        """Return the operation for one call.

        Args:
            payload: Sent as JSON; ``None``: no body.
            path_values: Values of the placeholders.
            query: Query parameters.
            headers: Header fields beside the endpoint's.
        """
        fields = {**self.headers, **(headers or {})}
        request: Request = build_request(
            self.method.value, self.path, path_values=path_values, query=query, headers=fields, json=payload
        )
        return Operation(
            name=self.name,
            request=request,
            parse=self.parse,
            safety=self.safety,
            allow_status=self.allow_status,
            timeout_seconds=self.timeout_seconds,
            retry=self.retry,
        )

    @overload
    @staticmethod
    def get(path: str, *, into: Into[R], **options: Unpack[EndpointOptions]) -> Endpoint[R]: ...
    @overload
    @staticmethod
    def get(path: str, **options: Unpack[EndpointOptions]) -> Endpoint[Response]: ...
    @staticmethod
    def get(path: str, *, into: Into[Any] | None = None, **options: Unpack[EndpointOptions]) -> Endpoint[Any]:
        """Describe a GET of this path.

        Args:
            path: Path with placeholders, as ``/orders/{id}``.
            into: Class or callable for the JSON of the answer; without it the result is the `Response`.
            options: See `EndpointOptions`.
        """
        return _endpoint(HttpMethod.GET, path, into, options)

    @overload
    @staticmethod
    def head(path: str, *, into: Into[R], **options: Unpack[EndpointOptions]) -> Endpoint[R]: ...
    @overload
    @staticmethod
    def head(path: str, **options: Unpack[EndpointOptions]) -> Endpoint[Response]: ...
    @staticmethod
    def head(path: str, *, into: Into[Any] | None = None, **options: Unpack[EndpointOptions]) -> Endpoint[Any]:
        """Describe a HEAD of this path.

        Args:
            path: Path with placeholders, as ``/orders/{id}``.
            into: Class or callable for the JSON of the answer; without it the result is the `Response`.
            options: See `EndpointOptions`.
        """
        return _endpoint(HttpMethod.HEAD, path, into, options)

    @overload
    @staticmethod
    def options(path: str, *, into: Into[R], **options: Unpack[EndpointOptions]) -> Endpoint[R]: ...
    @overload
    @staticmethod
    def options(path: str, **options: Unpack[EndpointOptions]) -> Endpoint[Response]: ...
    @staticmethod
    def options(path: str, *, into: Into[Any] | None = None, **options: Unpack[EndpointOptions]) -> Endpoint[Any]:
        """Describe an OPTIONS of this path.

        Args:
            path: Path with placeholders, as ``/orders/{id}``.
            into: Class or callable for the JSON of the answer; without it the result is the `Response`.
            options: See `EndpointOptions`.
        """
        return _endpoint(HttpMethod.OPTIONS, path, into, options)

    @overload
    @staticmethod
    def post(path: str, *, into: Into[R], **options: Unpack[EndpointOptions]) -> Endpoint[R]: ...
    @overload
    @staticmethod
    def post(path: str, **options: Unpack[EndpointOptions]) -> Endpoint[Response]: ...
    @staticmethod
    def post(path: str, *, into: Into[Any] | None = None, **options: Unpack[EndpointOptions]) -> Endpoint[Any]:
        """Describe a POST of this path.

        Args:
            path: Path with placeholders, as ``/orders/{id}``.
            into: Class or callable for the JSON of the answer; without it the result is the `Response`.
            options: See `EndpointOptions`.
        """
        return _endpoint(HttpMethod.POST, path, into, options)

    @overload
    @staticmethod
    def put(path: str, *, into: Into[R], **options: Unpack[EndpointOptions]) -> Endpoint[R]: ...
    @overload
    @staticmethod
    def put(path: str, **options: Unpack[EndpointOptions]) -> Endpoint[Response]: ...
    @staticmethod
    def put(path: str, *, into: Into[Any] | None = None, **options: Unpack[EndpointOptions]) -> Endpoint[Any]:
        """Describe a PUT of this path.

        Args:
            path: Path with placeholders, as ``/orders/{id}``.
            into: Class or callable for the JSON of the answer; without it the result is the `Response`.
            options: See `EndpointOptions`.
        """
        return _endpoint(HttpMethod.PUT, path, into, options)

    @overload
    @staticmethod
    def patch(path: str, *, into: Into[R], **options: Unpack[EndpointOptions]) -> Endpoint[R]: ...
    @overload
    @staticmethod
    def patch(path: str, **options: Unpack[EndpointOptions]) -> Endpoint[Response]: ...
    @staticmethod
    def patch(path: str, *, into: Into[Any] | None = None, **options: Unpack[EndpointOptions]) -> Endpoint[Any]:
        """Describe a PATCH of this path.

        Args:
            path: Path with placeholders, as ``/orders/{id}``.
            into: Class or callable for the JSON of the answer; without it the result is the `Response`.
            options: See `EndpointOptions`.
        """
        return _endpoint(HttpMethod.PATCH, path, into, options)

    @overload
    @staticmethod
    def delete(path: str, *, into: Into[R], **options: Unpack[EndpointOptions]) -> Endpoint[R]: ...
    @overload
    @staticmethod
    def delete(path: str, **options: Unpack[EndpointOptions]) -> Endpoint[Response]: ...
    @staticmethod
    def delete(path: str, *, into: Into[Any] | None = None, **options: Unpack[EndpointOptions]) -> Endpoint[Any]:
        """Describe a DELETE of this path.

        Args:
            path: Path with placeholders, as ``/orders/{id}``.
            into: Class or callable for the JSON of the answer; without it the result is the `Response`.
            options: See `EndpointOptions`.
        """
        return _endpoint(HttpMethod.DELETE, path, into, options)


def _endpoint(method: HttpMethod, path: str, into: Into[Any] | None, options: EndpointOptions) -> Endpoint[Any]:
    fields: dict[str, Any] = {"safety": method.safety, **options}
    return Endpoint(method=method, path=path, parse=parser(into), **fields)
