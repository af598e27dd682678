"""Reading an adapter: its contract, its secrets, the requests that a call makes and what they carry."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from types import UnionType
from typing import TYPE_CHECKING, Any, Union, cast, get_args, get_origin, get_type_hints
from urllib.parse import parse_qsl

from ..message import Request
from ..operation import Bulk, CallOptions, Flow, Operation

if TYPE_CHECKING:
    from ..adapter import ServiceAdapter
    from .adapter_contract import Sample


def contract_of(domain: str) -> type:
    """Find the protocol of a domain.

    >>> contract_of("email").__name__
    'EmailAdapter'
    """
    contract: type = getattr(import_module(f"nexus_connector.contracts.{domain}"), f"{domain.capitalize()}Adapter")
    return contract


def methods_of(kind: type) -> set[str]:
    """Return the names of the public methods of a class."""
    return {name for name, _ in inspect.getmembers(kind, inspect.isfunction) if not name.startswith("_")}


def results_of(contract: type, method: str) -> tuple[type, ...]:
    """Read out of ``Operation[Charge | None] | Flow[Charge]`` what the result may be.

    >>> [kind.__name__ for kind in results_of(contract_of("email"), "validate_address")]
    ['AddressCheck']
    >>> [kind.__name__ for kind in results_of(contract_of("payments"), "charge")]
    ['Charge']
    """
    found: set[type] = set()
    for each in _members(get_type_hints(getattr(contract, method))["return"]):
        (inner,) = get_args(each)
        found.update(get_origin(kind) or kind for kind in _members(inner))
    return tuple(found)


def _members(hint: Any) -> tuple[Any, ...]:
    """Return the members of a union, which of generic types is another kind of union than of classes."""
    return get_args(hint) if get_origin(hint) in {Union, UnionType} else (hint,)


def variables_of(table: object) -> Iterator[str]:
    """Yield the environment variables that a table of options or credentials names.

    >>> list(variables_of({"method": "bearer", "token": {"env": "ACME_TOKEN"}}))
    ['ACME_TOKEN']
    """
    for name, value in _fields(table).items():
        if name == "env" and isinstance(value, str):
            yield value
        else:
            yield from variables_of(value)


def requests_of(adapter: ServiceAdapter, sample: Sample, **options: Any) -> list[Request]:
    """Return the requests that a call begins with: of an operation, of every chunk, of the first step of a flow."""
    call_options = CallOptions(**options)
    thing: Operation[Any] | Flow[Any] | Bulk[Any] = getattr(adapter, sample.method)(sample.value, call_options)
    if isinstance(thing, Operation):
        return [thing.request]
    if isinstance(thing, Bulk):
        return [chunk.request for chunk in thing.chunks]
    steps = thing.steps()
    try:
        return [next(steps).request]
    finally:
        steps.close()


def payload_of(request: Request) -> list[object]:
    """Return what a request carries, decoded: JSON or form, and the query.

    >>> payload_of(Request(query=(("page", "2"),)).with_json({"to": "ada"}))
    [{'to': 'ada'}, {'page': '2'}]
    """
    kind = (request.headers.get("content-type") or "").partition(";")[0]
    body: object = {}
    if kind.endswith("json") and request.body:
        body = json.loads(request.body)
    elif kind == "application/x-www-form-urlencoded":
        body = dict(parse_qsl(request.body.decode(), keep_blank_values=True))
    return [body, dict(request.query)]


def holds(payload: object, fields: Mapping[str, object]) -> bool:
    """Say whether every field, however deep, stands somewhere in a payload under its own name.

    >>> holds({"settings": {"asm": {"group_id": 42, "more": 1}}}, {"asm": {"group_id": 42}})
    True
    >>> holds({"asm": {}}, {"asm": {"group_id": 42}})
    False
    """
    return all(
        holds(payload, inner) if (inner := _fields(value)) else _stands(payload, name, value)
        for name, value in fields.items()
    )


def _stands(payload: object, name: str, value: object) -> bool:
    fields = _fields(payload)
    inner = fields.values() if fields else _items(payload)
    found = fields.get(name, ...)
    return found in (value, str(value)) or any(_stands(each, name, value) for each in inner)


def _fields(value: object) -> Mapping[str, object]:
    return cast("Mapping[str, object]", value) if isinstance(value, Mapping) else {}


def _items(value: object) -> Sequence[object]:
    return cast("Sequence[object]", value) if isinstance(value, list | tuple) else ()
