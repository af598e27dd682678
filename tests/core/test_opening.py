"""Opening stores: by the URL in ``[stores]``, through a plugin, once per process, and nothing connects at start."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nexus_connector import Connector, Gate, Secret, ServiceSetup, StoreDegraded, StoreRecovered, hookimpl
from nexus_connector.errors import ConfigurationError, PluginError
from nexus_connector.state import MemoryStore, Store, StoreError, WatchedStore
from nexus_connector.testing import fake

CRM = {"crm": {"base_url": "https://crm.example"}}


class Remote(MemoryStore):
    """A store of another process, as far as anybody can tell."""

    blocking = True
    durable = True
    gone = False

    def __init__(self) -> None:
        super().__init__(lambda: 0.0)
        self.closed = 0

    def get(self, key: tuple[str, ...]) -> bytes | None:
        if self.gone:
            message = "no answer"
            raise StoreError(message)
        return super().get(key)

    def close(self) -> None:
        self.closed += 1


class Opens:
    """A plugin that opens ``far://`` stores."""

    def __init__(self, make: Callable[[], Store | None] = Remote) -> None:
        self.make = make
        self.opened: list[tuple[str, Any]] = []
        self.roles: list[str] = []
        self.setups: list[ServiceSetup] = []

    @hookimpl
    def store(self, url: str, role: str) -> Store | None:
        if not url.startswith("far://"):
            return None
        self.roles.append(role)
        self.opened.append((url, self.make()))
        return self.opened[-1][1]  # type: ignore[no-any-return]  # made by the test

    @hookimpl
    def gates(self, config: ServiceSetup) -> list[Gate]:
        self.setups.append(config)
        return []


def build(opens: Opens, *, check: bool = True, **stores: object) -> Connector:
    """A connector with these stores."""
    config = {"services": CRM, "stores": stores, "plugins": {"only": []}}
    return Connector.from_config(config, plugins=[opens], check=check)


def test_hook_store() -> None:
    """Each URL is opened once, and what build hooks get is the store behind it; a close closes both."""
    opens = Opens()
    with build(opens, shared="far://a", durable="far://b") as connector:
        assert [url for url, _ in opens.opened] == ["far://a", "far://b"]
        assert opens.roles == ["shared", "durable"]
        [setup] = opens.setups
        assert setup.shared is connector.runtime.process.stores.shared
        assert setup.durable is connector.runtime.process.stores.durable
        assert isinstance(setup.shared, WatchedStore)
        setup.shared.put(("k",), b"x", ttl_ms=1000)
        assert opens.opened[0][1].get(("k",)) == b"x"
    assert [store.closed for _, store in opens.opened] == [1, 1]


def test_hook_store_is_not_asked_for_memory() -> None:
    """``memory://`` comes with the core; without ``stores.durable`` there is no durable store."""
    opens = Opens()
    with build(opens, shared="memory://"):
        [setup] = opens.setups
        assert isinstance(setup.shared, MemoryStore)
        assert setup.durable is None
    assert opens.opened == []


def test_a_store_that_does_not_block_is_used_as_it_is() -> None:
    """Only what waits on something can be missing."""
    opens = Opens(lambda: MemoryStore(lambda: 0.0))
    with build(opens, shared="far://a") as connector:
        assert connector.runtime.process.stores.shared is opens.opened[0][1]


@pytest.mark.parametrize("name", ["shared", "durable"])
def test_a_store_that_nobody_opens_stops_at_start(name: str) -> None:
    """State must not land elsewhere silently: the error names the key and the scheme, never the URL's password."""
    with pytest.raises(ConfigurationError, match=rf"stores\.{name}.*'near'") as caught:
        build(Opens(), **{name: "near://user:s3cr3t-canary@host"})
    assert "s3cr3t-canary" not in str(caught.value)


def test_what_must_survive_is_not_kept_in_memory() -> None:
    """``durable = "memory://"`` contradicts itself."""
    with pytest.raises(ConfigurationError, match=r"stores\.durable.*ends with the process"):
        build(Opens(), durable="memory://")


def test_a_plugin_that_fails_to_open_is_named() -> None:
    """A bug of the plugin becomes a PluginError with the plugin's name; its own refusal passes."""

    def bug() -> Store:
        raise LookupError

    def refusal() -> Store:
        raise ConfigurationError("far://a has no port.")

    with pytest.raises(PluginError, match=r"Opens\.store raised LookupError"):
        build(Opens(bug), shared="far://a")
    with pytest.raises(ConfigurationError, match="has no port"):
        build(Opens(refusal), shared="far://a")


def test_in_virtual_time_everything_is_in_memory() -> None:
    """A fake opens nothing; what would survive is kept for as long as the fake."""
    opens = Opens()
    with build(opens, shared="far://a", durable="far://b") as connector, fake(connector):
        stores = connector.runtime.process.stores
        assert isinstance(stores.shared, MemoryStore)
        assert isinstance(stores.durable, MemoryStore)
    with build(Opens()) as connector, fake(connector):
        assert connector.runtime.process.stores.durable is None


def test_a_missing_store_is_told_once_and_so_is_its_return() -> None:
    """StoreDegraded and StoreRecovered name the store without its password."""
    opens = Opens()
    told: list[StoreDegraded | StoreRecovered] = []
    with build(opens, shared="far://user:s3cr3t-canary@host/0") as connector:
        connector.on(StoreDegraded)(told.append)
        connector.on(StoreRecovered)(told.append)
        stores = connector.runtime.process.stores
        opens.opened[0][1].gone = True
        for _ in range(3):
            with pytest.raises(StoreError):
                stores.shared.get(("k",))
        opens.opened[0][1].gone = False
        stores.shared._trial()
        assert stores.shared.get(("k",)) is None
        connector.flush()
    assert [type(event) for event in told] == [StoreDegraded, StoreRecovered]
    assert "s3cr3t-canary" not in repr(told)
    assert all(event.store.startswith("far://") and "host" in event.store for event in told)


def test_a_child_opens_its_own() -> None:
    """A fork never uses its parent's connection."""
    opens = Opens()
    with build(opens, shared="far://a") as connector:
        before = connector.runtime.process.stores.shared
        connector.runtime.renew()
        assert connector.runtime.process.stores.shared is not before
        assert len(opens.opened) == 2


def test_a_url_may_be_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """``{ env = }`` and ``Secret(...)`` are resolved when the store is opened, and no report repeats them."""
    monkeypatch.setenv("STORE_URL", "far://user:s3cr3t-canary@a")
    opens = Opens()
    with build(opens, shared={"env": "STORE_URL"}, durable=Secret("far://b")) as connector:
        assert [url for url, _ in opens.opened] == ["far://user:s3cr3t-canary@a", "far://b"]
        assert connector.runtime.store_label("shared") == '{ env = "STORE_URL" }'
        assert "s3cr3t" not in repr(connector.runtime.config)
    with build(opens, shared="far://user:s3cr3t-canary@a") as connector:
        assert connector.runtime.store_label("shared") == "far://****@a"
        assert connector.runtime.store_label("durable") == ""


def test_a_secret_url_that_is_not_there_stops_at_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names key and variable; a build that checks nothing needs neither store nor secret."""
    monkeypatch.delenv("STORE_URL", raising=False)
    opens = Opens()
    with pytest.raises(ConfigurationError, match=r"stores\.shared: the environment variable STORE_URL is not set"):
        build(opens, shared={"env": "STORE_URL"})
    with build(opens, shared={"env": "STORE_URL"}, check=False) as connector:
        assert opens.opened == []
        with pytest.raises(ConfigurationError, match="STORE_URL"):
            connector.check()


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("sqlite:///nexus.db", "sqlite:///{folder}/nexus.db"),
        ("sqlite+pysqlite:///data/nexus.db", "sqlite+pysqlite:///{folder}/data/nexus.db"),
        ("sqlite:////var/nexus.db", "sqlite:////var/nexus.db"),
        ("sqlite:///:memory:", "sqlite:///:memory:"),
        ("redis:///0", "redis:///0"),
    ],
)
def test_a_relative_path_in_a_url_starts_at_the_file(url: str, expected: str, tmp_path: Path) -> None:
    """As every path of a file: it does not depend on where the program was started."""
    file = tmp_path / "connector.toml"
    file.write_text(f'[stores]\ndurable = "{url}"\n', encoding="utf-8")
    with Connector.from_file(file, check=False) as connector:
        assert connector.runtime.config.stores.durable == expected.format(folder=tmp_path)
