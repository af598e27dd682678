"""The runtime: one configuration, its plugins and its compiled services, under both faces."""

from __future__ import annotations

import atexit
import os
import weakref
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import attrs

from .background import Background
from .errors import ConfigurationError, ConnectorClosedError
from .io.blocking import BlockingIo
from .process import Process, Wire
from .transport import TransportOptions
from .transport.pool import PoolTransport

if TYPE_CHECKING:
    import asyncio

    import pluggy

    from .background import Outbox
    from .config import Config, SecretRef
    from .config.tables import Tables
    from .events import Event
    from .io import Io
    from .opening import Role
    from .plugins import Installed, Plugin
    from .redaction import Redactor
    from .secret import Secret
    from .target import Target

_DRAIN_SECONDS = 5.0

_runtimes: weakref.WeakSet[Runtime] = weakref.WeakSet()
"""Those alive in this process; only the fork and exit handlers look at it."""


@attrs.frozen
class Parts:
    """What a test may exchange in a runtime, all at once."""

    blocking_io: Io
    loop_io: Io
    process: Process
    targets: dict[str, Target]
    resolve_secret: Callable[[SecretRef], Secret]


class Runtime:
    """What both faces share. Built once; frozen afterwards but for what is bound to the process.

    Args:
        paths: Configuration files; ``None``: none.
        argument: Configuration given in code.
        plugins: Plugins and hook objects given in code.
        environ: Environment variables.
    """

    def __init__(
        self,
        *,
        paths: Iterable[str | os.PathLike[str]] | None,
        argument: Mapping[str, object] | None,
        plugins: Iterable[object],
        environ: Mapping[str, str],
    ) -> None:
        # Here, and not above: whoever only imports the connector needs nothing of what builds one.
        from .assembly import assemble
        from .delivery import Delivery
        from .hooks import compile_hooks
        from .opening import Opener
        from .signals import Signals

        self.assembly = assembly = assemble(paths, argument, plugins, environ)
        self.installed: tuple[Installed, ...] = assembly.installed
        self.plugins: Mapping[str, Plugin[Any]] = assembly.plugins
        self.tables: Tables = assembly.tables
        self.config: Config = assembly.tables.config
        self.registry: pluggy.PluginManager = assembly.registry
        self.off: Mapping[str, Collection[str]] = assembly.off
        self.options: Mapping[str, Any] = assembly.options
        self.signals = Signals()
        self.blocking_io: Io = BlockingIo(lambda: self.process)
        records, circuits = (
            compile_hooks(self.registry, name, off=self.off) for name in ("store_log", "on_circuit_change")
        )
        self.delivery = Delivery(records, circuits, self.signals, lambda: self.blocking_io.wall())  # noqa: PLW0108  # fakes exchange the Io
        self._targets: dict[str, Target] = {}
        self.resolve_secret: Callable[[SecretRef], Secret] = lambda reference: reference.resolve()
        self.closed = False
        self.loop: asyncio.AbstractEventLoop | None = None
        self._opener = Opener(
            config=self.config.stores,
            resolve=lambda reference: self.resolve_secret(reference),  # noqa: PLW0108  # fakes exchange it
            hooks=compile_hooks(self.registry, "store"),
            now=lambda: self.blocking_io.now(),  # noqa: PLW0108  # fakes exchange the Io
            wall=lambda: self.blocking_io.wall(),  # noqa: PLW0108  # the same
            emit=self.emit,
            redactor=self.redactor(),
        )
        self.process: Process = self.new_process()
        _runtimes.add(self)

    @cached_property
    def loop_io(self) -> Io:
        """The Io of the awaited face; the other one needs no asyncio."""
        from .io.looping import LoopIo

        return LoopIo(lambda: self.process)

    @classmethod
    def build(
        cls,
        *,
        paths: Iterable[str | os.PathLike[str]] | None,
        argument: Mapping[str, object] | None,
        plugins: Iterable[object],
        check: bool,
    ) -> Runtime:
        """Build a runtime from files, a mapping and the process's environment.

        Args:
            paths: Configuration files; ``None``: none.
            argument: Configuration given in code.
            plugins: Plugins and hook objects given in code.
            check: Compile every service and find every secret now.
        """
        runtime = cls(paths=paths, argument=argument, plugins=plugins, environ=os.environ)
        if check:
            runtime.check()
        return runtime

    def new_process(self, *, outbox: Outbox | None = None, clock: Callable[[], float] | None = None) -> Process:
        """Return everything bound to a process, fresh.

        Args:
            outbox: Where records and events go; by default a queue with its thread.
            clock: Clock of a test, whose state is all in memory; by default the configured stores are opened.
        """
        outbox = outbox or Background(self.delivery)
        opener = self._opener
        permits = sum(service.max_concurrency for service in self.config.services.values()) or 1
        return Process(
            wires=self._make_wire,
            outbox=outbox,
            open_stores=lambda: opener.open(self.blocking_io.now, outbox) if clock is None else opener.in_memory(clock),
            max_threads=min(permits + 8, self.config.io_threads),
        )

    def _make_wire(self, name: str) -> Wire:
        service = self.target(name).config
        options = TransportOptions(
            max_connections=service.max_concurrency,
            max_body_bytes=service.max_body_bytes,
            follow_redirects=service.follow_redirects,
            allowed_hosts=service.allowed_hosts,
            ca_file=service.ca_file,
        )
        return Wire(PoolTransport(options, contexts=self.process.contexts), service.max_concurrency)

    def target(self, name: str) -> Target:
        """Return a compiled service.

        Raises:
            ConfigurationError: If it is not configured, or cannot be compiled.
            ConnectorClosedError: If the connector is closed.
        """
        target = self._targets.get(name)
        if target is not None and not self.closed:
            return target
        if self.closed:
            raise ConnectorClosedError(
                "The connector is closed.", hint="Build another one, or close later.", service=name
            )
        self.known(name)
        from .compiling import compile_target  # here, as in __init__

        # Two threads may both compile it the first time; both get the same chain, and the first one stays.
        return self._targets.setdefault(name, compile_target(self, name))

    def known(self, name: str) -> None:
        """Refuse a service that is not configured.

        Raises:
            ConfigurationError: Names the nearest service.
        """
        if name not in self.config.services:
            from .config.reading import nearest

            guess = nearest(name, self.config.services).strip()
            hint = f"{guess} Or add [services.{name}]." if guess else f"Add [services.{name}]."
            raise ConfigurationError(f"There is no service {name!r}.", hint=hint)

    def store_label(self, role: Role) -> str:
        """Return what reports call a store of the configuration, without what is secret; empty: there is none."""
        return self._opener.label(self.config.stores.shared if role == "shared" else self.config.stores.durable)

    def check(self) -> None:
        """Open the stores, compile every service and resolve every static secret.

        Raises:
            ConnectorError: For the first thing that would fail later.
        """
        _ = self.process.stores
        for name in self.config.services:
            self.target(name)

    def exchange(self, parts: Parts) -> Parts:
        """Put other parts in place, for a test, and return the ones before."""
        before = Parts(self.blocking_io, self.loop_io, self.process, self._targets, self.resolve_secret)
        self.blocking_io, self.loop_io, self.process = parts.blocking_io, parts.loop_io, parts.process
        self._targets, self.resolve_secret = parts.targets, parts.resolve_secret
        return before

    def renew(self) -> None:
        """Start afresh in a forked child; chains are compiled anew too, for stages and gates hold locks."""
        self.process = self.new_process()
        self._targets = {}

    def redactor(self, secrets: Iterable[str] = ()) -> Redactor:
        """Return a redactor that knows the configured key names and these values."""
        from .redaction import Redactor

        return Redactor(sensitive_keys=frozenset(self.config.sensitive_keys), secrets=tuple(secrets))

    def emit(self, event: Event) -> None:
        """Tell receivers of something that happened outside of a call."""
        if self.signals.hears(type(event)):
            self.process.outbox.event(lambda: event)

    def read_log(self, call_id: str) -> Sequence[Mapping[str, object]] | None:
        """Ask the plugins that keep records for those of a call; the first answer counts."""
        from .hooks import compile_hooks

        for hook in compile_hooks(self.registry, "read_log"):
            found: Sequence[Mapping[str, object]] | None = hook.function(call_id)
            if found is not None:
                return found
        return None

    def origin(self, plugin: str) -> tuple[str, str]:
        """Return distribution and version of a plugin; hooks given in code belong to the application."""
        return self.assembly.origin(plugin)

    def waiting(self, name: str) -> str | None:
        """Say which key a plugin waits for before it has anything to do; ``None``: it takes part somewhere."""
        if any(name in target.plugins for target in self._targets.values()):
            return None
        from .registration import waiting_for

        plugin = self.plugins[name]
        for service in (service for service, tables in self.tables.overrides.items() if name in tables):
            options = self.tables.read(name, plugin.config, service)
            if options is not None and waiting_for(plugin, options, self.config) is None:
                return None
        return waiting_for(plugin, self.options.get(name), self.config)

    def flush(self, timeout_seconds: float) -> None:
        """Wait until receivers and sinks have heard of everything that has happened so far.

        Raises:
            TimeoutError: If they have not in time.
        """
        if not self.process.outbox.flush(timeout_seconds):
            message = f"Receivers and sinks have not heard of everything within {timeout_seconds:g} s."
            raise TimeoutError(message)

    def close(self, timeout_seconds: float = _DRAIN_SECONDS) -> None:
        """End what is in flight and deliver what is queued. May be called twice."""
        self.closed = True
        self.process.close(timeout_seconds)


def _after_fork() -> None:
    """Give every runtime a process object of its own; the parent's is left alone, locks, sockets, threads and all."""
    for runtime in list(_runtimes):
        _inherited.append(runtime.process)
        runtime.renew()


_inherited: list[Process] = []
"""What a parent left in this process. Kept, because destroying it could wait for a lock that nobody holds any more."""


def _at_exit() -> None:
    for runtime in list(_runtimes):
        if not runtime.closed:
            runtime.process.outbox.close(_DRAIN_SECONDS)


os.register_at_fork(after_in_child=_after_fork)
atexit.register(_at_exit)
