"""Opening stores: the URLs of ``[stores]`` become the two stores of a process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import attrs

from .errors import ConfigurationError, ConnectorError, PluginError
from .state import MemoryStore, Store, WatchedStore

if TYPE_CHECKING:
    from datetime import datetime

    from .background import Outbox
    from .config import SecretRef, StoresConfig
    from .events import Event
    from .hooks import Hook
    from .redaction import Redactor
    from .secret import Secret

Role: TypeAlias = Literal["shared", "durable"]
MEMORY: Final = "memory://"
"""The URL of the store that comes with the core."""


@attrs.frozen(kw_only=True)
class Stores:
    """The stores of one process.

    Attributes:
        shared: Keeps limits, circuits and permits.
        durable: Keeps what must survive; ``None``: nothing does.
    """

    shared: Store
    durable: Store | None

    def close(self) -> None:
        """Give back what they hold open. May be called twice."""
        self.shared.close()
        if self.durable is not None:
            self.durable.close()


@attrs.frozen(kw_only=True)
class Opener:
    """Opens the stores of a process.

    Attributes:
        config: Their URLs.
        resolve: Finds a URL that is a secret.
        hooks: store implementations.
        now: Seconds of a clock that never goes back; virtual in tests.
        wall: The time of day.
        emit: Tells receivers.
        redactor: Masks what a URL holds.
    """

    config: StoresConfig
    resolve: Callable[[SecretRef], Secret]
    hooks: Sequence[Hook]
    now: Callable[[], float]
    wall: Callable[[], datetime]
    emit: Callable[[Event], None]
    redactor: Redactor

    def in_memory(self, clock: Callable[[], float]) -> Stores:
        """Return stores that keep everything in this process, for tests in virtual time."""
        return Stores(shared=MemoryStore(clock), durable=None if self.config.durable is None else MemoryStore(clock))

    def open(self, clock: Callable[[], float], outbox: Outbox) -> Stores:
        """Open the configured stores; nothing connects yet.

        Args:
            clock: Clock of the memory store.
            outbox: Does in the background what nobody shall wait for.

        Raises:
            ConfigurationError: If nothing here opens one of them.
        """
        shared, durable = self._url(self.config.shared), self._url(self.config.durable)
        if durable == MEMORY:
            hint = "What must survive the process needs a database; leave the key out if nothing has to."
            raise ConfigurationError("stores.durable: memory:// ends with the process.", hint=hint)
        return Stores(
            shared=MemoryStore(clock) if shared in {None, MEMORY} else self._open("shared", shared or "", outbox),
            durable=None if durable is None else self._open("durable", durable, outbox),
        )

    def label(self, url: str | SecretRef | None) -> str:
        """Return what reports call a store: its URL without what is secret, or where that comes from."""
        return self.redactor.url(url or "") if url is None or isinstance(url, str) else url.place

    def _url(self, url: str | SecretRef | None) -> str | None:
        return url if url is None or isinstance(url, str) else self.resolve(url).reveal()

    def _open(self, role: Role, url: str, outbox: Outbox) -> Store:
        store = next(filter(None, (self._ask(hook, url, role) for hook in self.hooks)), None)
        if store is None:
            scheme = url.partition(":")[0]
            known = " memory:// is the only one that comes with the core." if role == "shared" else ""
            hint = f"Install a plugin that opens {scheme}:// stores, or leave the key out.{known}"
            raise ConfigurationError(f"stores.{role}: nothing installed opens {scheme!r} stores.", hint=hint)
        if not store.blocking:
            return store
        return WatchedStore(store, now=self.now, later=outbox.post, watcher=_Teller(self, self.redactor.url(url)))

    def _ask(self, hook: Hook, url: str, role: Role) -> Store | None:
        try:
            found: Store | None = hook.function(url, role)
        except ConnectorError:
            raise
        except Exception as error:
            message = f"{hook.plugin}.{hook.name} raised {type(error).__name__}."
            raise PluginError(message, hint="Its own exception is the cause; mend the plugin or remove it.") from error
        return found


@attrs.frozen
class _Teller:
    opener: Opener
    url: str

    def degraded(self, message: str) -> None:
        from .conditions import StoreDegraded

        self.opener.emit(
            StoreDegraded(service="", call_id=None, at=self.opener.wall(), store=self.url, message=message)
        )

    def recovered(self, seconds: float) -> None:
        from .conditions import StoreRecovered

        self.opener.emit(
            StoreRecovered(service="", call_id=None, at=self.opener.wall(), store=self.url, degraded_seconds=seconds)
        )
