"""The pipeline: stages folded around the send, in the order of their slots."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Literal, TypeAlias

import attrs

from .errors import ConfigurationError, ConnectorError, PluginError
from .io.drive import misuse_of
from .message import Request, Response
from .verdict import Verdict

if TYPE_CHECKING:
    from .call import Call


@attrs.frozen(slots=False)  # made for every attempt, in two thirds of the time
class Result:
    """What a stage returns: how it went, and the answer if there was one.

    Attributes:
        verdict: How it went; its ``error`` is raised if nothing follows.
        response: The answer; ``None`` if none came.
    """

    verdict: Verdict
    response: Response | None = None


Next: TypeAlias = "Callable[[Call, Request], Awaitable[Result]]"
"""The rest of the chain. A stage may call it never, once or often."""


class Stage:
    """Base of stages: something around a call.

    A stage waits only through ``call.io``. Vendor, transport, credential and gate failures come back as results; only
    PluginError and what is no Exception passes through as an exception.

    Attributes:
        name: Unique name.
        slot: Where it stands, 200 to 949; the table in docs/explanation/order.md.
        before: Names of stages that must come after it.
        after: Names of stages that must come before it.

    >>> class Timer(Stage):
    ...     name, slot = "timer", 450
    ...     async def __call__(self, call, request, next):
    ...         started = call.io.now()
    ...         result = await next(call, request)
    ...         call.state["timer.seconds"] = call.io.now() - started
    ...         return result
    """

    name: str = ""
    slot: int = 0
    before: Sequence[str] = ()
    after: Sequence[str] = ()

    async def __call__(self, call: Call, request: Request, next: Next) -> Result:  # the word for the rest of a chain
        """Do what is to be done around ``await next(call, request)``."""
        return await next(call, request)


@attrs.frozen(kw_only=True)
class ChainEntry:
    """One line of ``connector.explain(service)``.

    Attributes:
        slot: Where it stands.
        name: Its name.
        kind: ``core``, ``stage``, ``gate`` or ``hook``.
        distribution: Distribution it comes from.
        version: That distribution's version.
    """

    slot: int
    name: str
    kind: Literal["stage", "gate", "hook", "core"]
    distribution: str
    version: str


def order(stages: Sequence[Stage]) -> list[Stage]:
    """Sort stages by slot, then name, as far as their before and after allow.

    Raises:
        ConfigurationError: If two have one name, or before and after contradict each other.
    """
    by_name: dict[str, Stage] = {}
    for stage in stages:
        if stage.name in by_name:
            raise ConfigurationError(f"Two stages are called {stage.name!r}.", hint="Switch one of their plugins off.")
        by_name[stage.name] = stage
    needs: dict[str, set[str]] = {stage.name: {name for name in stage.after if name in by_name} for stage in stages}
    for stage in stages:
        for name in stage.before:
            if name in needs:
                needs[name].add(stage.name)
    ordered: list[Stage] = []
    while needs:
        ready = [by_name[name] for name, missing in needs.items() if not missing & needs.keys()]
        if not ready:
            names = ", ".join(sorted(needs))
            raise ConfigurationError(
                f"These stages want to stand before each other: {names}.", hint="Switch one of their plugins off."
            )
        chosen = min(ready, key=lambda stage: (stage.slot, stage.name))
        ordered.append(chosen)
        del needs[chosen.name]
    return ordered


def fold(stages: Sequence[Stage], foreign: frozenset[str]) -> Next:
    """Fold ordered stages into one callable; the last one sends.

    Args:
        stages: In order, outermost first.
        foreign: Names of those that plugins brought: what they raise becomes a PluginError.
    """

    async def end(call: Call, request: Request) -> Result:
        raise PluginError(f"No stage of {call.service} sends.")

    chain: Next = end
    for stage in reversed(stages):
        chain = _guarded(stage, chain) if stage.name in foreign else _layer(stage, chain)
    return chain


def _layer(stage: Stage, inner: Next) -> Next:
    around = stage.__call__  # bound once: every call goes through here

    def layer(call: Call, request: Request) -> Awaitable[Result]:
        return around(call, request, inner)

    return layer


def _guarded(stage: Stage, inner: Next) -> Next:
    around: Callable[[Call, Request, Next], Awaitable[object]] = stage.__call__  # it may forget to return one

    async def layer(call: Call, request: Request) -> Result:
        try:
            result = await around(call, request, inner)
        except ConnectorError:
            raise
        except Exception as error:
            text = f"raised {type(error).__name__}"
            hint = "Its own exception is the cause; mend the stage or remove its plugin."
            raise misuse_of(error) or _broken(stage, call, text, hint) from error
        if not isinstance(result, Result):
            hint = "Return what next returned, or Result(verdict, response)."
            raise _broken(stage, call, f"returned {type(result).__name__}, not a Result,", hint)
        return result

    return layer


def _broken(stage: Stage, call: Call, text: str, hint: str) -> PluginError:
    return PluginError(
        f"Stage {stage.name!r} {text} in a call of {call.service}.",
        hint=hint,
        service=call.service,
        operation=call.operation.name,
        call_id=call.id,
        tenant_id=call.tenant_id,
        attempts=call.attempts,
    )
