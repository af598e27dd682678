from __future__ import annotations

import tomllib

import pytest

GREETER = """
import attrs
from nexus_connector import Plugin, hookimpl, option

@attrs.frozen(kw_only=True)
class Options:
    greeting: str | None = option(None, "What is said.")

class Hooks:
    @hookimpl
    def before_request(self, call, request): return None
    @hookimpl
    def classify(self, call, verdict, response): return None

plugin = Plugin(name="greeter", factory=lambda _: Hooks(), config=Options,
    waiting=lambda options: None if options.greeting else "plugins.greeter.greeting")
"""


@pytest.fixture
def greeter(install):
    """A plugin that waits for a key, one that cannot be imported, and an adapter that cannot."""
    install("greeter", GREETER, plugins="greeter = app_of_greeter:plugin")


@pytest.fixture
def broken(install):
    """A plugin and an adapter that cannot be imported."""
    install("sad", "1 / 0", plugins="sad = app_of_sad:plugin", vendors="acme = app_of_sad:Adapter")


def row_of(ran, name):
    """Return the row of a plugin."""
    return next(row for row in ran.json["plugins"] if row["name"] == name)


@pytest.mark.parametrize(
    ("text", "state", "why"),
    [
        ("", "waiting", "plugins.greeter.greeting"),
        ('[plugins.greeter]\ngreeting = "hi"', "active", None),
        ("[plugins]\ngreeter = false", "off", None),
        ('[plugins]\nonly = ["cli"]', "not in plugins.only", None),
    ],
)
@pytest.mark.usefixtures("greeter")
def test_state_of_a_plugin(nexus, config, text, state, why):
    """A plugin is at work, waits for a key, is off, or is not allowed."""
    config(text)
    row = row_of(nexus("plugins", "--json"), "greeter")
    assert (row["state"], row["why"]) == (state, why)
    assert (row["distribution"], row["version"]) == ("greeter", "1.2.3")
    if state == "active":
        assert row["hooks"] == ["before_request", "classify"]
    assert state in nexus("plugins").out


@pytest.mark.usefixtures("broken")
def test_broken_plugin_says_why(nexus, config):
    """What cannot be imported is listed with its reason; the others are listed all the same."""
    config("")
    ran = nexus("plugins", "--json")
    assert ran.code == 0
    assert (row_of(ran, "sad")["state"], row_of(ran, "sad")["why"]) == ("broken", "ZeroDivisionError: division by zero")
    assert row_of(ran, "cli")["state"] == "active"
    [vendor] = [row for row in ran.json["vendors"] if row["name"] == "acme"]
    assert vendor["problem"] == "ZeroDivisionError: division by zero"
    assert "broken: ZeroDivisionError" in nexus("plugins").out


@pytest.mark.usefixtures("broken")
def test_freeze_allows_what_takes_part(nexus, config):
    """--freeze prints a line of TOML with the plugins that take part, and only those."""
    config("")
    line = nexus("plugins", "--freeze").out
    only = tomllib.loads(line)["plugins"]["only"]
    assert "cli" in only
    assert "sad" not in only
    assert nexus("plugins", "--freeze", "--json").json == {"plugins": {"only": only}}
    config(line)
    assert row_of(nexus("plugins", "--json"), "sad")["state"] == "not in plugins.only"


def test_hooks_of_the_application_are_listed(nexus, app):
    """Hooks given in code stand beside the installed plugins, and are not frozen."""
    module = app(
        "from nexus_connector import Connector, hookimpl\n"
        "class Trace:\n"
        "    @hookimpl\n"
        "    def before_request(self, call, request): return None\n"
        "def make(): return Connector.from_config({}, plugins=[Trace()])\n"
    )
    row = row_of(nexus("plugins", "--json", "--app", f"{module}:make"), "Trace")
    assert (row["distribution"], row["state"], row["hooks"]) == ("application", "active", ["before_request"])
    assert "Trace" not in nexus("plugins", "--freeze", "--app", f"{module}:make").out


def test_without_configuration_the_states_are_those_of_an_empty_one(nexus):
    """What is installed can be looked at anywhere."""
    ran = nexus("plugins")
    assert ran.code == 0
    assert "cli" in ran.out
    assert "no configuration here" in ran.err


def test_vendor_names_its_services(nexus, config, install):
    """An adapter is listed with its domain and the services that use it."""
    install("acme", ADAPTER, vendors="acme = app_of_acme:Adapter")
    config('[services.acme]\n[services.second]\nadapter = "acme"\n')
    [vendor] = [row for row in nexus("plugins", "--json").json["vendors"] if row["name"] == "acme"]
    assert (vendor["domain"], vendor["services"]) == ("email", ["acme", "second"])
    assert "acme, second" in nexus("plugins").out


ADAPTER = """
from nexus_connector import ServiceAdapter, Vendor
class Adapter(ServiceAdapter):
    vendor = Vendor(name="acme", domain="email", base_url=("https://acme.example",))
"""
