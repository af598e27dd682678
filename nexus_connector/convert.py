"""Conversion of responses: the JSON of a body into what the caller asked for."""

from __future__ import annotations

import json as jsonlib
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar, get_origin

import cattrs

from .errors import ResponseFormatError
from .problems import describe, problems
from .scalars import Number
from .strict import strict_converter

if TYPE_CHECKING:
    from .message import Into, Response

T = TypeVar("T")


def parse_json(response: Response, *, exact: bool = False) -> Any:
    """Parse the body of a response as JSON.

    Raises:
        ResponseFormatError: If it is empty or no JSON.
    """
    if not response.body.strip():
        raise _format_error(response, "", "the body is empty")
    try:
        return jsonlib.loads(response.body, parse_float=Number if exact else None)
    except (ValueError, RecursionError):
        kind = response.headers.get("content-type") or "no content type"
        raise _format_error(response, "", f"the body is no JSON ({kind})") from None


@cache
def _response_converter() -> cattrs.Converter:
    return strict_converter(forbid_extra_keys=False)


def structure(response: Response, into: Into[T]) -> T:
    """Convert the JSON body of a response, strictly.

    Raises:
        ResponseFormatError: If the body does not have this form.
    """
    if not _is_type(into):
        return into(parse_json(response))  # type: ignore[call-arg]
    parsed = parse_json(response, exact=True)
    try:
        return _response_converter().structure(parsed, into)  # type: ignore[arg-type]
    except Exception as error:
        path, problem = next(problems(error), ("", error))
        raise _format_error(response, path, describe(problem)) from None


def _is_type(into: object) -> bool:
    return isinstance(into, type) or get_origin(into) is not None or into is Any


def _format_error(response: Response, path: str, problem: str) -> ResponseFormatError:
    info = response.call
    place, who = f" at {path}" if path else "", info.service or "The service"
    return ResponseFormatError(
        f"{who} answered {info.operation or 'the request'} with {response.status}, but{place} {problem}.",
        hint="The call itself was done. Compare into= with what the vendor documents, or read response.body.",
        path=path,
        service=info.service or None,
        operation=info.operation or None,
        call_id=info.id or None,
        tenant_id=info.tenant_id,
        attempts=info.attempts,
        response=response,
    )
