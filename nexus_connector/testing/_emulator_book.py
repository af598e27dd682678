"""What an emulated vendor knows: routes, the requests that arrived, the effects performed. Safe in any thread."""

from __future__ import annotations

import re
import time
from fnmatch import translate
from threading import Condition

import attrs

from ._emulator_behaviours import Behaviour, Compute, Keyed, Plain, Reset
from ._emulator_exchange import Answer, Arrival
from ._emulator_http import Head

_TARGET = re.compile(r"(?:(?P<method>[A-Z]+) )?(?P<path>[/*].*)")


@attrs.frozen
class Target:
    """Which requests are meant: ``"POST /mail/send"``, ``"/orders/*"`` (any method) or ``""`` (all).

    >>> Target.parse("GET /orders/*").matches("GET", "/orders/7/items")
    True
    """

    method: str | None
    path: str
    _pattern: re.Pattern[str] | None

    @classmethod
    def parse(cls, text: str) -> Target:
        """Read a target.

        Args:
            text: A method (optional) and a path without query, in which ``*``, ``?`` and ``[...]`` are wildcards.
        """
        match = _TARGET.fullmatch(text or "*")
        if match is None:
            message = f"target {text!r} is neither 'METHOD /path' nor '/path'"
            raise ValueError(message)
        path = match["path"]
        return cls(match["method"], path, re.compile(translate(path)) if set(path) & set("*?[") else None)

    def matches(self, method: str, path: str) -> bool:
        """Whether a request is meant."""
        if self.method is not None and self.method != method:
            return False
        return self._pattern.match(path) is not None if self._pattern else self.path == path

    @property
    def precision(self) -> tuple[bool, bool, int]:
        """The larger, the closer it describes a request: exact path, then own method, then the longer pattern."""
        return self._pattern is None, self.method is not None, len(self.path)


class _Route:
    __slots__ = ("_behaviours", "_next", "target")

    def __init__(self, target: Target, behaviours: tuple[Behaviour, ...]) -> None:
        self.target = target
        self._behaviours = behaviours
        self._next = 0

    def take(self) -> Behaviour:
        behaviour = self._behaviours[self._next]
        self._next = min(self._next + 1, len(self._behaviours) - 1)
        return behaviour


class Book:
    """Routes, arrivals, effects and counters of one emulator, behind one lock.

    Args:
        name: Of the vendor, for messages.
        record: Whether arrivals are kept.

    >>> book = Book("stripe", record=True)
    >>> book.on("/charges", (Answer(201),))
    >>> book.arrivals(""), book.effects()
    ([], {})
    """

    def __init__(self, name: str, *, record: bool) -> None:
        self._name = name
        self._record = record
        self._changed = Condition()
        self._routes: list[_Route] = []
        self._arrivals: list[Arrival] = []
        self._arrived = 0
        self._effects: dict[str, int] = {}
        self._unkeyed = 0
        self._kept: dict[str, Answer] = {}
        self._connections = 0
        self._to_refuse = 0

    def on(self, target: str, behaviours: tuple[Behaviour, ...]) -> None:
        """Set or replace the route of a target."""
        if not behaviours:
            message = f"route {target!r} needs at least one behaviour"
            raise ValueError(message)
        route = _Route(Target.parse(target), behaviours)
        with self._changed:
            others = [other for other in self._routes if other.target != route.target]
            self._routes = sorted([*others, route], key=lambda item: item.target.precision, reverse=True)

    def clear(self) -> None:
        """Forget routes, arrivals and effects."""
        with self._changed:
            self._routes, self._arrivals, self._arrived = [], [], 0
            self._effects, self._unkeyed, self._kept = {}, 0, {}

    def accept(self) -> tuple[int, bool]:
        """Count a new connection; return its number and whether it is to be refused."""
        with self._changed:
            self._connections += 1
            refused = self._to_refuse > 0
            self._to_refuse -= refused
            return self._connections, refused

    def refuse(self, count: int) -> None:
        """Refuse the next `count` connections, instead of those still to be refused."""
        with self._changed:
            self._to_refuse = count

    def receive(self, head: Head, body: bytes, connection: int) -> tuple[Arrival, Behaviour]:
        """Note a request and take what answers it."""
        with self._changed:
            self._arrived += 1
            arrival = Arrival(
                at=time.monotonic(),
                number=self._arrived,
                connection=connection,
                method=head.method,
                path=head.path,
                query=head.query,
                target=head.target,
                headers=head.headers,
                raw_headers=head.raw_headers,
                body=body,
            )
            if self._record:
                self._arrivals.append(arrival)
                self._changed.notify_all()
            for route in self._routes:
                if route.target.matches(head.method, head.path):
                    return arrival, route.take()
        asked = {"vendor": self._name, "method": head.method, "path": head.path}
        return arrival, Answer(404, json={"error": "no route", **asked})

    def settle(self, behaviour: Behaviour, arrival: Arrival) -> Plain:
        """Turn what depends on the request into what is written.

        The function of a `Compute` is called outside the lock: it may use the emulator.
        """
        if isinstance(behaviour, Keyed):
            return self._perform(behaviour, arrival)
        return behaviour.function(arrival) if isinstance(behaviour, Compute) else behaviour

    def _perform(self, keyed: Keyed, arrival: Arrival) -> Plain:
        key = arrival.headers.get(keyed.key_header)
        with self._changed:
            answer = self._kept.get(key) if key is not None else None
        if answer is None:
            answer = keyed.answer.function(arrival) if isinstance(keyed.answer, Compute) else keyed.answer
            with self._changed:
                if key is None:
                    self._unkeyed += 1
                    self._effects[f"unkeyed-{self._unkeyed}"] = 1
                else:
                    self._effects[key] = self._effects.get(key, 0) + 1
                    self._kept[key] = answer
        return Reset() if keyed.lose else answer

    def arrivals(self, target: str) -> list[Arrival]:
        """The requests that arrived for a target, in order."""
        wanted = Target.parse(target)
        with self._changed:
            return self._matching(wanted)

    def effects(self) -> dict[str, int]:
        """Effects performed, by idempotency key."""
        with self._changed:
            return self._effects.copy()

    def connections(self) -> int:
        """Connections accepted so far."""
        with self._changed:
            return self._connections

    def wait_for(self, count: int, target: str, timeout_seconds: float) -> list[Arrival]:
        """Block until `count` requests arrived for a target; return all that have.

        Raises:
            TimeoutError: If they do not within `timeout_seconds`.
            RuntimeError: If arrivals are not kept.
        """
        if not self._record:
            message = "record=False keeps no arrivals to wait for"
            raise RuntimeError(message)
        wanted = Target.parse(target)
        with self._changed:
            enough = self._changed.wait_for(
                lambda: len(self._arrivals) >= count and len(self._matching(wanted)) >= count, timeout_seconds
            )
            found = self._matching(wanted)
            last = ", ".join(f"{arrival.method} {arrival.target}" for arrival in self._arrivals[-5:]) or "nothing"
        if enough:
            return found
        message = (
            f"{self._name}: {len(found)} of {count} requests for {target or 'any route'} arrived within"
            f" {timeout_seconds} s; last of all that arrived: {last}"
        )
        raise TimeoutError(message)

    def _matching(self, wanted: Target) -> list[Arrival]:
        return [arrival for arrival in self._arrivals if wanted.matches(arrival.method, arrival.path)]
