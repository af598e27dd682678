"""The loader: installed plugins are found, checked and registered, and what is wrong with one is said by name."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from nexus_connector import Connector, hookimpl
from nexus_connector.errors import ConfigurationError, PluginError

GOOD = """
import attrs
from nexus_connector import Plugin, hookimpl

@attrs.frozen(kw_only=True)
class Options:
    pass

class Hooks:
    @hookimpl
    def before_request(self, call, request):
        return request.with_headers({"X-Plugin": __name__})

plugin = Plugin(name="NAME", factory=lambda options: Hooks(), config=Options)
"""

Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Install a distribution the way pip leaves one: a module and its metadata on the path."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(
        distribution: str, name: str, code: str, group: str = "nexus_connector.plugins", target: str = "plugin"
    ) -> None:
        module = distribution.replace("-", "_")
        (tmp_path / f"{module}.py").write_text(code.replace("NAME", name))
        info = tmp_path / f"{module}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[{group}]\n{name} = {module}:{target}\n")
        monkeypatch.delitem(sys.modules, module, raising=False)

    return write


def build(**plugins: object) -> Connector:
    return Connector.from_config({"services": {"crm": {"base_url": "https://crm.example"}}, "plugins": plugins})


def test_an_installed_plugin_takes_part(install: Install) -> None:
    """What is installed is active, and explain names its distribution and version."""
    install("acme-trace", "trace", GOOD)
    with build(only=["trace"]) as connector:
        [line] = [entry for entry in connector.explain("crm") if entry.kind == "hook" and "trace" in entry.name]
    assert (line.name, line.distribution, line.version) == ("trace.before_request", "acme-trace", "1.0")


def test_two_plugins_with_one_name_are_refused(install: Install) -> None:
    """Two distributions that bring one name are an error that names both; pluggy would drop one silently."""
    install("acme-trace", "trace", GOOD)
    install("other-trace", "trace", GOOD)
    with pytest.raises(ConfigurationError, match=r"acme-trace and other-trace.*pip uninstall"):
        build()


def test_a_broken_plugin_that_is_named_stops_the_start(install: Install) -> None:
    """A plugin that the configuration names must import; its own exception is the cause."""
    install("acme-trace", "trace", "raise RuntimeError('boom')")
    with pytest.raises(PluginError, match=r"'trace' of acme-trace 1\.0.*RuntimeError: boom") as caught:
        build(trace={})
    assert isinstance(caught.value.__cause__, RuntimeError)
    with pytest.raises(PluginError, match="trace"):
        build(require=["trace"])


def test_a_broken_plugin_that_is_merely_installed_is_a_warning(
    install: Install, caplog: pytest.LogCaptureFixture
) -> None:
    """A plugin nobody asked for that does not import takes no part and does not end discovery."""
    install("acme-trace", "trace", "import no_such_module")
    install("acme-tail", "zz_tail", GOOD)
    with (
        caplog.at_level(logging.WARNING, logger="nexus_connector.plugins"),
        build(only=["trace", "zz_tail"]) as connector,
    ):
        states = {each.name: each.problem for each in connector.runtime.installed}
    assert "no_such_module" in (states["trace"] or "")
    assert states["zz_tail"] is None
    assert "nexus doctor" in caplog.text


def test_only_is_checked_before_import(install: Install) -> None:
    """What plugins.only leaves out is not even imported."""
    install("acme-trace", "trace", "raise SystemExit('imported')")
    with build(only=[]) as connector:
        assert {each.problem for each in connector.runtime.installed} == {"not in plugins.only"}


def test_require_and_only_must_agree(install: Install) -> None:
    """A plugin that is required and left out is a contradiction, said at start."""
    install("acme-trace", "trace", GOOD)
    with pytest.raises(ConfigurationError, match=r"plugins\.require.*plugins\.only"):
        build(require=["trace"], only=[])


def test_an_entry_that_is_no_plugin_is_refused(install: Install) -> None:
    """An entry point must name a Plugin, of its own name and of this core's interface."""
    install("acme-trace", "trace", "plugin = 5")
    with pytest.raises(PluginError, match="not a Plugin"):
        build(trace={})
    install("acme-other", "other", GOOD.replace('name="NAME"', 'name="another"'))
    with pytest.raises(PluginError, match="must agree"):
        build(only=["other"], require=["other"])
    install("acme-later", "later", GOOD.replace("config=Options", "config=Options, api=99"))
    with pytest.raises(PluginError, match="interface 99"):
        build(only=["later"], require=["later"])


def test_a_misspelt_hook_is_refused() -> None:
    """A hook that does not exist is an error that names the nearest one."""

    class Hooks:
        @hookimpl
        def before_reqest(self, call, request):
            return None

    with pytest.raises(PluginError, match=r"before_reqest.*'before_request'"):
        Connector.from_config({}, plugins=[Hooks()])


def test_a_misspelt_argument_is_refused() -> None:
    """An argument that a hook does not get is an error that names the nearest one."""

    class Hooks:
        @hookimpl
        def before_request(self, call, requst):
            return None

    with pytest.raises(PluginError, match=r"'requst'.*'request'"):
        Connector.from_config({}, plugins=[Hooks()])


def test_an_undecorated_hook_is_refused() -> None:
    """An object without any hook does nothing; the error says what was forgotten."""

    class Hooks:
        def before_request(self, call, request):
            return None

    with pytest.raises(PluginError, match="Decorate before_request with @hookimpl"):
        Connector.from_config({}, plugins=[Hooks()])


def test_a_hook_for_an_unknown_service_is_refused() -> None:
    """A hook limited to a service that is not configured would never run: an error with the nearest name."""

    class Hooks:
        @hookimpl(service="warehose")
        def before_request(self, call, request):
            return None

    with pytest.raises(ConfigurationError, match="'warehouse'"):
        Connector.from_config({"services": {"warehouse": {"base_url": "https://w.example"}}}, plugins=[Hooks()])


def test_an_adapter_of_the_services_own_name_is_found(install: Install) -> None:
    """A service called like an installed vendor gets that adapter, its base URL and its credentials."""
    code = """
from nexus_connector import ServiceAdapter, Vendor

class AcmeServiceAdapter(ServiceAdapter):
    vendor = Vendor(name="acme", domain="email", base_url=("https://api.acme.example",))
"""
    install("acme-mail", "acme", code, "nexus_connector.vendors", "AcmeServiceAdapter")
    with Connector.from_config({"services": {"acme": {}}, "plugins": {"only": []}}) as connector:
        target = connector.runtime.target("acme")
    assert target.adapter is not None
    assert target.config.base_url == ("https://api.acme.example",)


def test_an_adapter_may_be_named_by_its_class() -> None:
    """Adapter = "package.module:Class" needs no entry point; what is no adapter is refused."""
    config = {"services": {"x": {"adapter": "nexus_connector.money:Money"}}}
    with pytest.raises(ConfigurationError, match="no ServiceAdapter"):
        Connector.from_config(config)
