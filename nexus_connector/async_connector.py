"""The awaited face of a runtime."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from .async_service import AsyncService
from .connector import sdk_operation
from .endpoint import Endpoint
from .errors import ConnectorError, without_frames
from .events import Event
from .execution import execute
from .message import Response
from .operation import NO_OPTIONS, Bulk, CallOptions, Flow, Operation
from .pipeline import ChainEntry
from .runtime import Runtime
from .stream import StreamBody, stream_of
from .verdict import Safety

if TYPE_CHECKING:
    from .connector import Connector
    from .contracts.email_facade import AsyncEmailFacade
    from .contracts.payments_facade import AsyncPaymentsFacade
    from .outcomes import AsyncOutcomes
    from .target import Target

T = TypeVar("T")
E = TypeVar("E", bound=Event)


class AsyncConnector:
    """The same gateway for code on an event loop: same names, arguments and results, awaited.

    >>> AsyncConnector.from_config({"services": {"crm": {"base_url": "https://crm.example/api"}}}).explain("crm")[-1].name
    'send'
    """

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime

    @classmethod
    def from_file(cls, *paths: str | os.PathLike[str], plugins: Iterable[object] = (), check: bool = True) -> Self:
        """Build a connector from TOML files and the environment.

        Args:
            paths: Files, later ones winning. Default: the one NEXUS_CONFIG names, else ``./connector.toml``.
            plugins: Plugins, and objects with hook implementations, beside the installed ones.
            check: Compile every service and find every secret now. ``False`` opens nothing and needs no secret.

        Raises:
            ConfigurationError: Names the path in the configuration and the remedy.
            PluginError: If a plugin cannot be used.
        """
        return cls(Runtime.build(paths=paths, argument=None, plugins=plugins, check=check))

    @classmethod
    def from_config(cls, config: Mapping[str, object], *, plugins: Iterable[object] = (), check: bool = True) -> Self:
        """Build a connector from a mapping and the environment; the mapping wins.

        Args:
            config: The same tables as in a file; secrets are ``Secret(...)`` or their place.
            plugins: As for `from_file`.
            check: As for `from_file`.

        Raises:
            ConfigurationError: Names the path in the configuration and the remedy.
            PluginError: If a plugin cannot be used.
        """
        return cls(Runtime.build(paths=None, argument=config, plugins=plugins, check=check))

    async def __aenter__(self) -> Self:
        self.runtime.loop = asyncio.get_running_loop()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def check(self) -> None:
        """Compile every service and find every secret; raises the first thing that would fail later."""
        self.runtime.check()

    async def close(self) -> None:
        """End what is in flight, deliver queued records and events for at most 5 s. May be called twice."""
        await asyncio.to_thread(self.runtime.close)

    async def flush(self, timeout_seconds: float = 5) -> None:
        """Wait until receivers and sinks have heard of everything that has happened so far.

        Raises:
            TimeoutError: If they have not within `timeout_seconds`.
        """
        await asyncio.to_thread(self.runtime.flush, timeout_seconds)

    def as_sync(self) -> Connector:
        """Return the blocking face of the same runtime: pools, quotas and state are shared."""
        from .connector import Connector  # here: the two faces name each other

        return Connector(self.runtime)

    def explain(self, service: str) -> tuple[ChainEntry, ...]:
        """Return the compiled chain of a service, outermost first."""
        return self.runtime.target(service).entries

    @cached_property
    def email(self) -> AsyncEmailFacade:
        """Email, by whatever vendor ``[domains.email]`` names."""
        from .contracts.email_facade import AsyncEmailFacade  # here: a program imports the domains that it uses

        return AsyncEmailFacade(self)

    @cached_property
    def payments(self) -> AsyncPaymentsFacade:
        """Payments, by whatever vendor ``[domains.payments]`` names."""
        from .contracts.payments_facade import AsyncPaymentsFacade

        return AsyncPaymentsFacade(self)

    @cached_property
    def outcomes(self) -> AsyncOutcomes:
        """The calls of which nobody knows whether they happened."""
        from .outcomes import AsyncOutcomes

        return AsyncOutcomes(self.runtime)

    def service(self, name: str) -> AsyncService:
        """Return a service of the configuration.

        Raises:
            ConfigurationError: If it is not configured.
        """
        self.runtime.known(name)
        return AsyncService(self, name)

    async def execute(
        self,
        service: str,
        endpoint: Endpoint[T],
        payload: object = None,
        *,
        path_values: Mapping[str, object] | None = None,
        query: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
        tenant_id: str | None = None,
        timeout_seconds: float | None = None,
    ) -> T:
        """Call an endpoint of a service.

        Args:
            service: Name of the service.
            endpoint: What is called.
            payload: Sent as JSON; ``None``: no body.
            path_values: Values of the path's placeholders; quoted.
            query: Query parameters.
            headers: Header fields beside the endpoint's.
            idempotency_key: Key under which it is done once.
            tenant_id: Tenant on whose behalf it is done.
            timeout_seconds: Time of the whole call; default: as the endpoint or the service says.

        Raises:
            ConnectorError: Whatever went wrong.
        """
        options = CallOptions(idempotency_key=idempotency_key, tenant_id=tenant_id, timeout_seconds=timeout_seconds)
        return await self.perform(
            service,
            lambda: endpoint.operation(payload=payload, path_values=path_values, query=query, headers=headers),
            options,
        )

    async def run(self, service: str, function: Callable[[], T], *, operation: str, safety: Safety = "unsafe") -> T:
        """Call a function, say of a vendor's SDK, under the policies of a service: retries, gates, records.

        It cannot be interrupted; set the SDK's own timeouts.

        Args:
            service: Name of the service.
            function: Called once per attempt.
            operation: Name of the operation.
            safety: Whether calling it twice can do it twice.

        Raises:
            ConnectorError: If it raises; its own exception is the cause, the outcome unknown.
        """
        return await self.perform(service, sdk_operation(function, operation, safety))

    def on(
        self, event: type[E], /, *, service: str | None = None
    ) -> Callable[[Callable[[E], object]], Callable[[E], object]]:
        """Connect a receiver to a class of events; use it as decorator, or call the result with the receiver.

        An ``async def`` receiver runs on this connector's loop.

        Args:
            event: Class of events.
            service: Only those of this service.
        """

        def connect(receiver: Callable[[E], object]) -> Callable[[E], object]:
            self.runtime.signals.connect(event, receiver, service=service, loop=lambda: self.runtime.loop)
            return receiver

        return connect

    async def perform(
        self, service: str, thing: Operation[T] | Callable[[], Operation[T]], options: CallOptions | None = None
    ) -> T:
        """Do an operation, or what a function builds."""
        build = thing if callable(thing) else lambda: thing
        return await self.perform_with(service, lambda _, __: build(), options)  # type: ignore[no-any-return]  # what its parser makes

    async def perform_with(
        self,
        service: str,
        build: Callable[[Target, CallOptions], Operation[Any] | Flow[Any] | Bulk[Any]],
        options: CallOptions | None = None,
    ) -> Any:
        """Do what is built from the compiled service and the call's options; facades end here."""
        self.runtime.loop = asyncio.get_running_loop()
        try:
            return await execute(self.runtime, self.runtime.loop_io, service, build, options or NO_OPTIONS)
        except ConnectorError as error:
            raise without_frames(error)  # noqa: B904  # it is the same error

    async def open_stream(
        self, service: str, operation: Operation[Response], options: CallOptions
    ) -> tuple[Response, StreamBody]:
        """Open a streamed answer."""
        response = await self.perform(service, operation, options)
        return response, stream_of(response)
