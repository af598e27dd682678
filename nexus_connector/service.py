"""The blocking face of a service: any HTTP API, by method and path."""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar, Unpack, overload

from .errors import InvalidRequestError
from .io.drive import drive
from .message import Into, Response
from .operation import Operation, Page
from .service_calls import (
    BodyOptions,
    ListOptions,
    ReadOptions,
    call_options,
    pager,
    request_operation,
    stream_operation,
)
from .stream import Stream

if TYPE_CHECKING:
    from .connector import Connector

T = TypeVar("T")


class Service:
    """One service of the configuration. Errors of 400 and above are raised; ``allow_status`` returns them.

    >>> Service.__name__
    'Service'
    """

    def __init__(self, connector: Connector, name: str) -> None:
        self._connector = connector
        self.name = name

    @overload
    def get(
        self, path: str, /, *, into: Into[T], allow_status: Collection[int] = ..., **options: Unpack[ReadOptions]
    ) -> T: ...
    @overload
    def get(self, path: str, /, *, allow_status: Collection[int] = ..., **options: Unpack[ReadOptions]) -> Response: ...
    def get(
        self,
        path: str,
        /,
        *,
        into: Into[Any] | None = None,
        allow_status: Collection[int] = (),
        **options: Unpack[ReadOptions],
    ) -> Any:
        """Send a GET.

        Args:
            path: Path below the base URL, beginning with one slash; ``{name}`` is filled from ``path_values``.
            into: Class or callable for the JSON of the answer; without it the `Response` is returned.
            allow_status: Statuses of 400 and above that are returned instead of raised.
            options: See `ReadOptions`.

        Raises:
            ConnectorError: Whatever went wrong.
        """
        return self._send("GET", path, into, allow_status, options)

    @overload
    def head(
        self, path: str, /, *, into: Into[T], allow_status: Collection[int] = ..., **options: Unpack[ReadOptions]
    ) -> T: ...
    @overload
    def head(
        self, path: str, /, *, allow_status: Collection[int] = ..., **options: Unpack[ReadOptions]
    ) -> Response: ...
    def head(
        self,
        path: str,
        /,
        *,
        into: Into[Any] | None = None,
        allow_status: Collection[int] = (),
        **options: Unpack[ReadOptions],
    ) -> Any:
        """Send a HEAD.

        Args:
            path: Path below the base URL, beginning with one slash; ``{name}`` is filled from ``path_values``.
            into: Class or callable for the JSON of the answer; without it the `Response` is returned.
            allow_status: Statuses of 400 and above that are returned instead of raised.
            options: See `ReadOptions`.

        Raises:
            ConnectorError: Whatever went wrong.
        """
        return self._send("HEAD", path, into, allow_status, options)

    @overload
    def delete(
        self, path: str, /, *, into: Into[T], allow_status: Collection[int] = ..., **options: Unpack[BodyOptions]
    ) -> T: ...
    @overload
    def delete(
        self, path: str, /, *, allow_status: Collection[int] = ..., **options: Unpack[BodyOptions]
    ) -> Response: ...
    def delete(
        self,
        path: str,
        /,
        *,
        into: Into[Any] | None = None,
        allow_status: Collection[int] = (),
        **options: Unpack[BodyOptions],
    ) -> Any:
        """Send a DELETE.

        Args:
            path: Path below the base URL, beginning with one slash; ``{name}`` is filled from ``path_values``.
            into: Class or callable for the JSON of the answer; without it the `Response` is returned.
            allow_status: Statuses of 400 and above that are returned instead of raised.
            options: See `BodyOptions`.

        Raises:
            ConnectorError: Whatever went wrong.
        """
        return self._send("DELETE", path, into, allow_status, options)

    @overload
    def post(
        self, path: str, /, *, into: Into[T], allow_status: Collection[int] = ..., **options: Unpack[BodyOptions]
    ) -> T: ...
    @overload
    def post(
        self, path: str, /, *, allow_status: Collection[int] = ..., **options: Unpack[BodyOptions]
    ) -> Response: ...
    def post(
        self,
        path: str,
        /,
        *,
        into: Into[Any] | None = None,
        allow_status: Collection[int] = (),
        **options: Unpack[BodyOptions],
    ) -> Any:
        """Send a POST.

        Args:
            path: Path below the base URL, beginning with one slash; ``{name}`` is filled from ``path_values``.
            into: Class or callable for the JSON of the answer; without it the `Response` is returned.
            allow_status: Statuses of 400 and above that are returned instead of raised.
            options: See `BodyOptions`.

        Raises:
            ConnectorError: Whatever went wrong.
        """
        return self._send("POST", path, into, allow_status, options)

    @overload
    def put(
        self, path: str, /, *, into: Into[T], allow_status: Collection[int] = ..., **options: Unpack[BodyOptions]
    ) -> T: ...
    @overload
    def put(self, path: str, /, *, allow_status: Collection[int] = ..., **options: Unpack[BodyOptions]) -> Response: ...
    def put(
        self,
        path: str,
        /,
        *,
        into: Into[Any] | None = None,
        allow_status: Collection[int] = (),
        **options: Unpack[BodyOptions],
    ) -> Any:
        """Send a PUT.

        Args:
            path: Path below the base URL, beginning with one slash; ``{name}`` is filled from ``path_values``.
            into: Class or callable for the JSON of the answer; without it the `Response` is returned.
            allow_status: Statuses of 400 and above that are returned instead of raised.
            options: See `BodyOptions`.

        Raises:
            ConnectorError: Whatever went wrong.
        """
        return self._send("PUT", path, into, allow_status, options)

    @overload
    def patch(
        self, path: str, /, *, into: Into[T], allow_status: Collection[int] = ..., **options: Unpack[BodyOptions]
    ) -> T: ...
    @overload
    def patch(
        self, path: str, /, *, allow_status: Collection[int] = ..., **options: Unpack[BodyOptions]
    ) -> Response: ...
    def patch(
        self,
        path: str,
        /,
        *,
        into: Into[Any] | None = None,
        allow_status: Collection[int] = (),
        **options: Unpack[BodyOptions],
    ) -> Any:
        """Send a PATCH.

        Args:
            path: Path below the base URL, beginning with one slash; ``{name}`` is filled from ``path_values``.
            into: Class or callable for the JSON of the answer; without it the `Response` is returned.
            allow_status: Statuses of 400 and above that are returned instead of raised.
            options: See `BodyOptions`.

        Raises:
            ConnectorError: Whatever went wrong.
        """
        return self._send("PATCH", path, into, allow_status, options)

    def paginate(
        self, path: str, /, *, into: Into[T], max_pages: int = 10_000, **options: Unpack[ListOptions]
    ) -> Iterator[T]:
        """Iterate over a list that comes in pages; each page is a call of its own.

        Args:
            path: Path of the list.
            into: Class or callable for one item.
            max_pages: After this many pages the list is taken for endless.
            options: See `ListOptions`.

        Raises:
            ConnectorError: Whatever went wrong; InvalidRequestError after `max_pages`.
        """
        target = self._connector.runtime.target(self.name)
        operation: Operation[Page[T]] | None = pager(target, path, into).first(path, options)
        for _ in range(max_pages):
            if operation is None:
                return
            page: Page[T] = self._connector.perform(self.name, operation, call_options(options))
            yield from page.items
            operation = page.next
        if operation is not None:
            raise endless(self.name, path, max_pages)

    @contextmanager
    def stream(
        self, path: str, /, *, idle_timeout_seconds: float = 30, **options: Unpack[ReadOptions]
    ) -> Generator[Stream]:
        """Open an answer whose body is read piece by piece.

        Args:
            path: Path below the base URL.
            idle_timeout_seconds: Longest wait for the next piece; ``timeout_seconds`` ends at the headers.
            options: See `ReadOptions`.

        Raises:
            ConnectorError: Whatever went wrong; while reading, if the body breaks off.
        """
        response, body = self._connector.open_stream(
            self.name, stream_operation(path, idle_timeout_seconds, options), call_options(options)
        )
        try:
            yield Stream(response, body, drive)
        except BaseException as error:
            body.close(error)
            raise
        finally:
            body.close()

    def _send(
        self, method: str, path: str, into: Into[Any] | None, allow_status: Collection[int], options: Mapping[str, Any]
    ) -> Any:
        return self._connector.perform_with(
            self.name,
            lambda _, __: request_operation(method, path, into, allow_status, options),
            call_options(options),
        )


def endless(service: str, path: str, max_pages: int) -> InvalidRequestError:
    """Return the error for a list that does not end."""
    hint = "Raise max_pages if the list is really that long; else look at services.NAME.pagination."
    return InvalidRequestError(
        f"{service} gave {max_pages} pages of {path} and names another one.", hint=hint, service=service
    )
