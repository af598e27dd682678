"""Hooks: marking implementations and compiling them into plain tuples, once per service."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from enum import Enum
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar, overload

import attrs
import pluggy

from .errors import ConfigurationError, ConnectorError, PluginError
from .hookspecs import PROJECT
from .io.drive import misuse_of

if TYPE_CHECKING:
    from .call import Call

F = TypeVar("F", bound=Callable[..., object])

_marker = pluggy.HookimplMarker(PROJECT)
_OPTIONS = f"{PROJECT}_options"


@attrs.frozen
class _Options:
    service: str | None = None
    blocking: bool = False


@overload
def hookimpl(function: F, /) -> F: ...
@overload
def hookimpl(
    *,
    service: str | None = None,
    blocking: bool = False,
    tryfirst: bool = False,
    trylast: bool = False,
    wrapper: bool = False,
) -> Callable[[F], F]: ...
def hookimpl(
    function: F | None = None,
    /,
    *,
    service: str | None = None,
    blocking: bool = False,
    tryfirst: bool = False,
    trylast: bool = False,
    wrapper: bool = False,
) -> F | Callable[[F], F]:
    """Mark a method or function as implementation of the hook of its name.

    Args:
        function: The implementation, when used as plain decorator.
        service: Only for this service; the others' chains do not know it.
        blocking: It waits by itself (own I/O): the async face runs it in a thread.
        tryfirst: Before the other implementations.
        trylast: After the other implementations.
        wrapper: Not supported; write a stage.

    Raises:
        PluginError: For ``wrapper=True``.

    >>> class Trace:
    ...     @hookimpl(service="warehouse")
    ...     def before_request(self, call, request):
    ...         return request.with_headers({"X-Trace": call.id})
    """
    if wrapper:
        raise PluginError(
            "A hook cannot wrap others.", hint="Write a stage: it goes around a call and may wait and repeat."
        )

    def mark(implementation: F) -> F:
        setattr(implementation, _OPTIONS, _Options(service, blocking))
        return _marker(implementation, tryfirst=tryfirst, trylast=trylast)

    return mark if function is None else mark(function)


class HookKind(Enum):
    """How an implementation runs: called, called in a thread, or awaited."""

    PURE = 0
    BLOCKING = 1
    ASYNC = 2


@attrs.frozen
class Hook:
    """One implementation, ready to call with all arguments of its specification.

    Attributes:
        name: Name of the hook.
        plugin: Name of the plugin it belongs to.
        kind: How it runs.
        function: The call itself.
        service: Only for this service; ``None``: for all.
        off: Services for which its plugin is switched off.
    """

    name: str
    plugin: str
    kind: HookKind
    function: Callable[..., Any]
    service: str | None = None
    off: Collection[str] = ()

    def concerns(self, service: str) -> bool:
        """Say whether it takes part in what happens to a service; the empty name is that of no service."""
        return self.service in {None, service} and service not in self.off

    @property
    def at_once(self) -> Callable[..., Any] | None:
        """The call itself if it waits for nothing: then no coroutine is needed. `None`: it may wait."""
        return self.function if self.kind is HookKind.PURE else None

    def foreign(self, error: Exception, call: Call) -> PluginError:
        """Return what to raise for an exception that is not this library's."""
        return misuse_of(error) or failure(self, error, call)

    async def __call__(self, call: Call, *args: object) -> Any:
        """Run it inside a call; a foreign exception becomes a PluginError."""
        try:
            if self.kind is HookKind.PURE:
                return self.function(call, *args)
            if self.kind is HookKind.BLOCKING:
                return await call.io.run(partial(self.function, call, *args))
            return await self.function(call, *args)
        except ConnectorError:
            raise
        except Exception as error:
            raise self.foreign(error, call) from error

    def check(self, call: Call, value: object, kinds: tuple[type, ...]) -> None:
        """Refuse an answer of another kind.

        Raises:
            PluginError: Names plugin, hook and what is allowed.
        """
        if not isinstance(value, kinds):
            allowed = " | ".join([kind.__name__ for kind in kinds])
            message = f"{self.plugin}.{self.name} returned {type(value).__name__}, not {allowed} | None."
            raise _plugin_error(message, "Mend the hook; docs/reference/hooks.md has its specification.", call)


def failure(hook: Hook, error: BaseException, call: Call) -> PluginError:
    """Return the error for a hook that raised something of its own."""
    message = f"{hook.plugin}.{hook.name} raised {type(error).__name__} in a call of {call.service}."
    return _plugin_error(message, "Its own exception is the cause; mend the hook or remove the plugin.", call)


def _plugin_error(message: str, hint: str, call: Call) -> PluginError:
    return PluginError(
        message,
        hint=hint,
        service=call.service,
        operation=call.operation.name,
        call_id=call.id,
        tenant_id=call.tenant_id,
        attempts=call.attempts,
    )


def compile_hooks(
    plugins: pluggy.PluginManager,
    name: str,
    service: str | None = None,
    off: Mapping[str, Collection[str]] = MappingProxyType({}),
) -> tuple[Hook, ...]:
    """Return the implementations of a hook for one service, in the order in which they run.

    Args:
        plugins: The registry.
        name: Name of the hook.
        service: The service; ``None``: for all of them.
        off: Services for which a plugin is switched off, by its name.
    """
    caller: pluggy.HookCaller = getattr(plugins.hook, name)
    spec = caller.spec
    arguments = tuple(spec.argnames) if spec is not None else ()
    hooks: list[Hook] = []
    for implementation in reversed(caller.get_hookimpls()):
        function = implementation.function
        options: _Options = getattr(function, _OPTIONS, _Options())
        hook = Hook(
            name,
            implementation.plugin_name,
            _kind(function, options),
            _adapt(function, implementation.argnames, arguments),
            options.service,
            off.get(implementation.plugin_name, ()),
        )
        if service is None or hook.concerns(service):
            hooks.append(hook)
    return tuple(hooks)


def check_services(
    plugins: pluggy.PluginManager, services: frozenset[str], nearest: Callable[[str, frozenset[str]], str]
) -> None:
    """Refuse implementations for a service that is not configured.

    Raises:
        ConfigurationError: Names plugin, hook and the nearest service.
    """
    for name in vars(plugins.hook):
        for implementation in getattr(plugins.hook, name).get_hookimpls() if not name.startswith("_") else ():
            wanted = getattr(implementation.function, _OPTIONS, _Options()).service
            if wanted is not None and wanted not in services:
                message = f"{implementation.plugin_name}.{name} is for service {wanted!r}, which is not configured."
                raise ConfigurationError(
                    message, hint=f"{nearest(wanted, services).strip()} Or add [services.{wanted}].".strip()
                )


def _kind(function: Callable[..., object], options: _Options) -> HookKind:
    if inspect.iscoroutinefunction(function):
        return HookKind.ASYNC
    return HookKind.BLOCKING if options.blocking else HookKind.PURE


def _adapt(function: Callable[..., Any], taken: tuple[str, ...], given: tuple[str, ...]) -> Callable[..., Any]:
    """Pluggy lets an implementation leave arguments out; the compiled call passes them all, in order."""
    if taken == given:
        return function
    places = [given.index(name) for name in taken]
    if len(places) == 1:  # the usual case: of call and request, the request
        [place] = places
        return lambda *args: function(args[place])
    return lambda *args: function(*[args[place] for place in places])
