"""What the two faces of a service share: the options of its methods, and the operations they become."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, TypedDict

import attrs

from .body import Content
from .message import Into, Response, build_request, parser
from .operation import NO_OPTIONS, CallOptions, Operation
from .verdict import Safety

if TYPE_CHECKING:
    from .pagination import Pager
    from .target import Target

_OF_THE_CALL: Final = ("timeout_seconds", "idempotency_key", "tenant_id")
_OF_THE_REQUEST: Final = ("path_values", "query", "headers", "json", "form", "files", "content")


class ReadOptions(TypedDict, total=False):
    """What every method of a service takes.

    Attributes:
        path_values: Values of the path's placeholders; quoted.
        query: Query parameters; a list repeats its name.
        headers: Header fields.
        safety: Whether sending it twice can do it twice; by default what the method means.
        timeout_seconds: Time of the whole call.
        idempotency_key: Key under which it is done once.
        tenant_id: Tenant on whose behalf it is done.
    """

    path_values: Mapping[str, object]
    query: Mapping[str, object]
    headers: Mapping[str, str]
    safety: Safety
    timeout_seconds: float | None
    idempotency_key: str | None
    tenant_id: str | None


class BodyOptions(ReadOptions, total=False):
    """What methods with a body take besides; one of json, form with files, or content.

    Attributes:
        json: Sent as JSON.
        form: Sent as a form; with `files` as multipart.
        files: Files of a multipart form: bytes, paths or binary files, read while they are sent.
        content: Sent as it is.
    """

    json: object
    form: Mapping[str, object]
    files: Mapping[str, Content]
    content: Content


class ListOptions(TypedDict, total=False):
    """What a list takes besides its path and items; each page is a call with these.

    Attributes:
        query: Query parameters of the first page.
        path_values: Values of the path's placeholders; quoted.
        headers: Header fields.
        timeout_seconds: Time of each page.
        tenant_id: Tenant on whose behalf it is read.
    """

    query: Mapping[str, object]
    path_values: Mapping[str, object]
    headers: Mapping[str, str]
    timeout_seconds: float | None
    tenant_id: str | None


def call_options(options: Mapping[str, Any]) -> CallOptions:
    """Take out of a method's options what concerns the call."""
    said = {name: options[name] for name in _OF_THE_CALL if name in options}
    return CallOptions(**said) if said else NO_OPTIONS


def request_operation(
    method: str, path: str, into: Into[Any] | None, allow_status: Collection[int], options: Mapping[str, Any]
) -> Operation[Any]:
    """Return the operation of ``service.get(path, ...)`` and its like."""
    if not options and into is None and not allow_status:
        return _plain(method, path)
    request = build_request(method, path, **{name: options[name] for name in _OF_THE_REQUEST if name in options})
    operation: Operation[Any] = Operation(
        name=f"{method} {path}", request=request, parse=parser(into), allow_status=allow_status
    )
    safety = options.get("safety")
    return operation if safety is None else attrs.evolve(operation, safety=safety)


@lru_cache(maxsize=1024)
def _plain(method: str, path: str) -> Operation[Response]:
    """Return what asks for a path and says nothing else; it is the same each time."""
    return Operation(name=f"{method} {path}", request=build_request(method, path), parse=parser(None))


def stream_operation(path: str, idle_timeout_seconds: float, options: Mapping[str, Any]) -> Operation[Response]:
    """Return the operation of ``service.stream(path)``."""
    names = ("path_values", "query", "headers")
    request = build_request("GET", path, **{name: options[name] for name in names if name in options})
    return Operation(
        name=f"GET {path}", request=request, parse=parser(None), stream=True, idle_timeout_seconds=idle_timeout_seconds
    )


def pager(target: Target, path: str, into: Into[Any]) -> Pager:
    """Return the rules by which a list of this service goes on."""
    from .pagination import Pager  # here: many programs read no lists

    return Pager(rules=target.config.pagination, base_urls=target.config.base_url, into=into, name=f"GET {path}")
