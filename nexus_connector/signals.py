"""Signals: carries events to the receivers connected to their class, each on its own, never in the call's way."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

import blinker

from .errors import ConfigurationError
from .events import AttemptFinished, CallStarted, CallSucceeded, Event

if TYPE_CHECKING:
    import asyncio

E = TypeVar("E", bound=Event)
FindLoop: TypeAlias = "Callable[[], asyncio.AbstractEventLoop | None]"

_MAX_FOUND: Final = 4096
_OF_EVERY_CALL: Final = (CallStarted, AttemptFinished, CallSucceeded)

_log: Final = logging.getLogger("nexus_connector.signals")


class Signals:
    """The receivers of one runtime, in a namespace of its own.

    Attributes:
        heard: What `hears` has answered so far. Those events that belong to every call are always in it:
            ``signals.heard[CallStarted]`` is the quickest way to ask. A new mapping with each receiver, so that an
            answer under way cannot outlive its question.
    """

    def __init__(self) -> None:
        self.heard = _heard(frozenset())
        self._namespace = blinker.Namespace()
        self._order: list[Callable[..., object]] = []
        self._wanted: frozenset[type[Event]] = frozenset()
        self._loops: dict[int, FindLoop] = {}
        self._found: dict[tuple[type[Event], str], tuple[int, ...]] = {}

    def connect(
        self, kind: type[E], receiver: Callable[[E], object], *, service: str | None, loop: FindLoop | None
    ) -> None:
        """Connect a receiver, strongly: a lambda stays.

        Args:
            kind: Class of events; subclasses count.
            receiver: Called with each event.
            service: Only events of this service.
            loop: Finds the loop on which an ``async def`` receiver runs; ``None``: it cannot.

        Raises:
            ConfigurationError: If `kind` is no event class, or an ``async def`` receiver has no loop.
        """
        if not (isinstance(kind, type) and issubclass(kind, Event)):
            raise ConfigurationError(f"{kind!r} is no class of events.", hint="docs/reference/events.md lists them.")
        if inspect.iscoroutinefunction(receiver) and loop is None:
            message = f"{_name(receiver)} is async, and no event loop would run it."
            raise ConfigurationError(message, hint="Connect it with AsyncConnector.on, or write it with def.")
        if loop is not None and inspect.iscoroutinefunction(receiver):
            self._loops[len(self._order)] = loop
        index = len(self._order)
        self._order.append(receiver)
        # blinker keys receivers by identity and forgets their order: an index of ours keeps both.
        signal = self._namespace.signal(kind.__name__)
        signal.connect(_Indexed(index), sender=blinker.ANY if service is None else service, weak=False)
        self.want(kind)

    def want(self, kind: type[Event]) -> None:
        """Have events of this class made even if no receiver is connected: a sink hook hears them."""
        self._wanted |= {kind}
        self.heard = _heard(self._wanted)
        self._found = {}

    def hears(self, kind: type[Event]) -> bool:
        """Say whether anybody listens to a class of events."""
        heard, wanted = self.heard, self._wanted
        if kind not in heard:
            heard[kind] = _is_wanted(kind, wanted)
        return heard[kind]

    def deliver(self, event: Event) -> None:
        """Call the receivers in the order in which they were connected; what one raises concerns no other."""
        found, key = self._found, (type(event), event.service)
        indexes = found.get(key)
        if indexes is None:
            if len(found) >= _MAX_FOUND:
                found.clear()
            indexes = found[key] = self._receivers_of(event)
        for index in indexes:
            self._call(index, event)

    def _receivers_of(self, event: Event) -> tuple[int, ...]:
        indexes: set[int] = set()
        for kind in type(event).__mro__:
            if kind is object:
                break
            signal = self._namespace.get(kind.__name__)
            if signal is not None:
                indexes.update(each.index for each in signal.receivers_for(event.service) if isinstance(each, _Indexed))
        return tuple(sorted(indexes))

    def _call(self, index: int, event: Event) -> None:
        receiver, find_loop = self._order[index], self._loops.get(index)
        try:
            if find_loop is None:
                receiver(event)
            elif (loop := find_loop()) is not None and not loop.is_closed():
                import asyncio  # here: who has a loop has it already

                asyncio.run_coroutine_threadsafe(_awaited(receiver, event), loop)
        except Exception as error:
            _log.exception("receiver %s of %s raised", _name(receiver), type(event).__name__)
            self._tell(receiver, event, error)

    def _tell(self, receiver: Callable[..., object], event: Event, error: Exception) -> None:
        from .conditions import PluginFailed  # here: receivers seldom raise

        if isinstance(event, PluginFailed) or not self.hears(PluginFailed):
            return
        message = f"raised {type(error).__name__}"
        plugin, hook = _name(receiver), type(event).__name__
        self.deliver(
            PluginFailed(
                service=event.service, call_id=event.call_id, at=event.at, plugin=plugin, hook=hook, message=message
            )
        )


def _heard(wanted: frozenset[type[Event]]) -> dict[type[Event], bool]:
    return {kind: _is_wanted(kind, wanted) for kind in _OF_EVERY_CALL}


def _is_wanted(kind: type[Event], wanted: frozenset[type[Event]]) -> bool:
    return not wanted.isdisjoint(kind.__mro__)


class _Indexed:
    """What blinker holds for a receiver: its place in the order."""

    def __init__(self, index: int) -> None:
        self.index = index

    def __call__(self, sender: object) -> None:
        """Never called: events are delivered in order, each receiver on its own."""


def _name(receiver: Callable[..., object]) -> str:
    return getattr(receiver, "__qualname__", None) or type(receiver).__qualname__


async def _awaited(receiver: Callable[..., object], event: Event) -> None:
    try:
        await _coroutine(receiver(event))
    except Exception:
        _log.exception("receiver %s of %s raised", _name(receiver), type(event).__name__)


def _coroutine(value: Any) -> Coroutine[Any, Any, object]:
    return value  # type: ignore[no-any-return]  # made by a coroutine function
