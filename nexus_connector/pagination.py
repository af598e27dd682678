"""Pagination: how a list goes on, read from an answer by the service's own rules. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import parse_qsl, urljoin, urlsplit

import attrs

from .errors import ResponseFormatError
from .message import Into, Request, Response, build_request
from .operation import Operation, Page

if TYPE_CHECKING:
    from .config import PaginationConfig


@attrs.frozen(kw_only=True)
class Pager:
    """The rules of one list.

    Attributes:
        rules: ``[services.NAME.pagination]``.
        base_urls: Base URLs of the service; a next page is always on one of them.
        into: Class or callable for one item.
        name: Name of the operation.
    """

    rules: PaginationConfig
    base_urls: tuple[str, ...]
    into: Into[Any]
    name: str

    def first(self, path: str, options: Mapping[str, Any]) -> Operation[Page[Any]]:
        """Return the operation for the first page.

        Args:
            path: Path of the list.
            options: ``query``, ``path_values`` and ``headers``, if there are any.
        """
        rules = self.rules
        sized = {rules.size_parameter: rules.size} if rules.size_parameter else {}
        query = {**sized, **options.get("query", {})}
        values, headers = options.get("path_values"), options.get("headers")
        return self._operation(build_request("GET", path, path_values=values, query=query, headers=headers), 1, 0)

    def _operation(self, request: Request, number: int, seen: int) -> Operation[Page[Any]]:
        def parse(response: Response) -> Page[Any]:
            items = self._items(response)
            following = self._next(request, response, items, number, seen)
            if following is not None and (following.path, following.query) == (request.path, request.query):
                raise _problem(response, "the next page is the same page again")
            following_operation = (
                None if following is None else self._operation(following, number + 1, seen + len(items))
            )
            return Page(
                items=[self._convert(response, index, item) for index, item in enumerate(items)],
                next=following_operation,
            )

        return Operation(name=self.name, request=request, parse=parse)

    def _items(self, response: Response) -> list[Any]:
        found = _dig(response.json(), self.rules.items)
        if not isinstance(found, list):
            raise _problem(
                response, f"there is no list at {self.rules.items or 'its top'} (services.NAME.pagination.items)"
            )
        return cast("list[Any]", found)

    def _convert(self, response: Response, index: int, item: Any) -> Any:
        from .body import encode_json
        from .convert import structure

        place = f"{self.rules.items}[{index}]"
        try:
            return structure(attrs.evolve(response, body=encode_json(item)), self.into)
        except ResponseFormatError as error:
            error.path = f"{place}.{error.path}" if error.path else place
            error.message = f"{error.message} (item {place})"
            raise

    def _next(self, request: Request, response: Response, items: list[Any], number: int, seen: int) -> Request | None:
        rules = self.rules
        parameter = rules.parameter or rules.style
        if rules.style == "link":
            return self._follow(request, response, _next_link(response.headers.get("link") or ""))
        if rules.style == "cursor":
            cursor = _dig(response.json(), rules.cursor)
            if cursor is None or cursor == "" or cursor is False:
                return None
            if isinstance(cursor, str) and ("://" in cursor or cursor.startswith("/")):
                return self._follow(request, response, cursor)
            return request.with_query({parameter: cursor})
        if not items or (rules.size_parameter and len(items) < rules.size):
            return None
        return request.with_query({parameter: number + 1 if rules.style == "page" else seen + len(items)})

    def _follow(self, request: Request, response: Response, link: str | None) -> Request | None:
        """Follow a link, on the service's own host and below its own base path only: credentials go with it."""
        if not link:
            return None
        for base in self.base_urls:
            url = urlsplit(urljoin(base + request.path, link))
            home = urlsplit(base)
            below = url.path.removeprefix(home.path.rstrip("/"))
            inside = url.path == home.path.rstrip("/") + below and below.startswith("/")
            if (url.scheme, url.netloc) == (home.scheme, home.netloc) and inside:
                return attrs.evolve(request, path=below, query=tuple(parse_qsl(url.query, keep_blank_values=True)))
        raise _problem(response, "the link to the next page leads to another host or path")


def _dig(value: Any, path: str) -> Any:
    for name in path.split(".") if path else ():
        value = cast("Mapping[str, Any]", value).get(name) if isinstance(value, Mapping) else None
    return value


def _next_link(header: str) -> str | None:
    """Read the target of ``rel="next"`` (RFC 8288)."""
    for link in re.split(r",\s*(?=<)", header):
        target, _, parameters = link.strip().lstrip("<").partition(">")
        for parameter in parameters.split(";"):
            name, _, value = parameter.strip().partition("=")
            if name.lower() == "rel" and "next" in value.strip('" ').lower().split():
                return target
    return None


def _problem(response: Response, text: str) -> ResponseFormatError:
    info = response.call
    return ResponseFormatError(
        f"{info.service} answered {info.operation}, but {text}.",
        hint="Compare services.NAME.pagination with what the vendor documents.",
        service=info.service,
        operation=info.operation,
        call_id=info.id,
        response=response,
    )
