"""Parity of the surface: both faces have the same names, arguments, defaults, and words about them."""

from __future__ import annotations

import inspect
import re
from types import FunctionType
from typing import Any

import pytest

import nexus_connector
from nexus_connector import (
    AsyncConnector,
    AsyncEmailFacade,
    AsyncOutcomes,
    AsyncPaymentsFacade,
    AsyncService,
    AsyncStream,
    Connector,
    EmailFacade,
    Outcomes,
    PaymentsFacade,
    Service,
    Stream,
)

PAIRS: dict[type, type] = {
    Connector: AsyncConnector,
    Service: AsyncService,
    Stream: AsyncStream,
    EmailFacade: AsyncEmailFacade,
    PaymentsFacade: AsyncPaymentsFacade,
    Outcomes: AsyncOutcomes,
}
ON_ONE_FACE = {
    "as_async": "leads to the other face",
    "as_sync": "leads to the other face",
    "drive": "runs a stream's reads; the awaited face awaits them",
}
COUNTERPARTS = {
    "__enter__": "__aenter__",
    "__exit__": "__aexit__",
    "__iter__": "__aiter__",
}
SYNC_ON_BOTH = {"from_file", "from_config", "check", "explain", "service", "on", "via"}
"""What waits for nothing, and so is not awaited on the awaited face either."""


def methods(kind: type) -> dict[str, Any]:
    """Public methods, properties and operators of a face, by the name of the blocking one."""
    back = {there: here for here, there in COUNTERPARTS.items()}
    found: dict[str, Any] = {}
    for base in reversed(kind.__mro__[:-1]):
        for name, value in vars(base).items():
            if name in ON_ONE_FACE or (name.startswith("_") and name not in {*COUNTERPARTS, *back}):
                continue
            found[back.get(name, name)] = getattr(value, "__func__", value)
    return found


EVERY = [(sync, name) for sync in PAIRS for name in methods(sync)]
each = pytest.mark.parametrize(("face", "name"), EVERY, ids=[f"{face.__name__}.{name}" for face, name in EVERY])


def as_sync(text: object) -> str:
    """An annotation of the awaited face as the blocking one writes it."""
    words = re.sub(r"\bAsync(?=[A-Z])", "", str(text))
    return re.sub(r"AsyncIterator|AsyncGenerator", lambda match: match[0].removeprefix("Async"), words)


@pytest.mark.parametrize(("sync", "on_loop"), PAIRS.items(), ids=[sync.__name__ for sync in PAIRS])
def test_both_faces_have_the_same_names(sync: type, on_loop: type) -> None:
    """What one can do the other can, under the same name."""
    assert sorted(methods(sync)) == sorted(methods(on_loop))
    assert on_loop.__name__ == f"Async{sync.__name__}"


@each
def test_both_faces_take_the_same_arguments(face: type, name: str) -> None:
    """Names, kinds, defaults and types of every argument, and the result but for its being awaited."""
    sync, on_loop = methods(face)[name], methods(PAIRS[face])[name]
    if not isinstance(sync, FunctionType):
        assert type(sync) is type(on_loop)
        return
    here, there = inspect.signature(sync), inspect.signature(on_loop)
    assert list(here.parameters) == list(there.parameters)
    for left, right in zip(here.parameters.values(), there.parameters.values(), strict=True):
        assert (left.kind, left.default) == (right.kind, right.default), left.name
        assert as_sync(left.annotation) == as_sync(right.annotation), left.name
    assert as_sync(here.return_annotation) == as_sync(there.return_annotation)


@each
def test_what_waits_is_awaited(face: type, name: str) -> None:
    """On the awaited face everything is awaited or iterated with ``async``, but for what never waits."""
    on_loop = inspect.unwrap(methods(PAIRS[face])[name])
    if isinstance(on_loop, FunctionType):
        waits = inspect.iscoroutinefunction(on_loop) or inspect.isasyncgenfunction(on_loop)
        assert waits is (name not in SYNC_ON_BOTH)
    sync = inspect.unwrap(methods(face)[name])
    assert not inspect.iscoroutinefunction(sync)


@each
def test_both_faces_say_the_same(face: type, name: str) -> None:
    """The text of a method is the same on both, or says in what they differ."""
    here, there = (inspect.getdoc(methods(kind)[name]) or "" for kind in (face, PAIRS[face]))
    assert here.splitlines()[:1] == there.splitlines()[:1]
    assert ("Args:" in here) == ("Args:" in there)


def test_every_pair_is_looked_at() -> None:
    """A new ``AsyncX`` in the public names belongs into this test."""
    public = {name for name in nexus_connector.__all__ if name.startswith("Async")}
    assert public == {kind.__name__ for kind in PAIRS.values()}
