from __future__ import annotations

import sys
from pathlib import Path

import pytest

from nexus_connector_cli import plugin

GREETER = """
import click
from nexus_connector import Connector, hookimpl

class Greeter:
    @hookimpl
    def cli_commands(self, group):
        @group.command()
        @click.argument("name")
        @click.pass_obj
        def greet(nexus, name):
            "Greet somebody."
            click.echo(f"hello {name}: {sorted(nexus.connector().runtime.config.services)}")

connector = Connector.from_config({"services": {"crm": {"base_url": "http://127.0.0.1:1"}}}, plugins=[Greeter()])
"""


def test_hook_cli_commands(nexus, app):
    """What a plugin adds to the group is a command like any other, and gets the run's connector."""
    module = app(GREETER)
    assert nexus("--app", f"{module}:connector", "greet", "Ada").out == "hello Ada: ['crm']\n"
    assert "greet Greet somebody." in " ".join(nexus("--app", f"{module}:connector", "--help").out.split())


def test_own_commands_come_through_the_same_hook(app):
    """The plugin's own commands are those that its hook adds."""
    import click

    group = click.Group()
    plugin.factory(plugin.config()).cli_commands(group)
    assert list(group.commands) == [
        "demo",
        "init",
        "new",
        "status",
        "doctor",
        "plugins",
        "explain",
        "call",
        "schema",
    ]


def test_command_with_a_taken_name_is_refused(nexus, app):
    """Two commands of one name are an error that says so, not one that silently wins."""
    module = app(GREETER.replace("@group.command()", "@group.command('doctor')"))
    ran = nexus("--app", f"{module}:connector", "greet", "Ada")
    assert ran.code == 2
    assert "'doctor', which nexus has already" in ran.err


def test_failing_hook_is_named(nexus, app):
    """What a hook raises ends the run with the plugin's name; nexus itself stays usable."""
    module = app(GREETER.replace("@group.command()", "1 / 0"))
    ran = nexus("--app", f"{module}:connector", "greet", "Ada")
    assert (ran.code, ran.out) == (2, "")
    assert "Greeter.cli_commands raised ZeroDivisionError." in ran.err
    helped = nexus("--app", f"{module}:connector", "--help")
    assert helped.code == 0
    assert "doctor" in helped.out
    assert "Commands of plugins are left out" in helped.err


@pytest.mark.parametrize(("typed", "meant"), [("explian", "explain"), ("plugin", "plugins")])
def test_unknown_command_names_the_nearest(nexus, typed, meant):
    """A misspelt command is wrong usage, and the right one is named."""
    ran = nexus(typed)
    assert ran.code == 2
    assert f"Did you mean '{meant}'?" in ran.err


def test_unknown_command_lists_the_known(nexus):
    """Where no command is near, all are named."""
    assert "Commands: demo, init," in nexus("xyzzy").err


def test_no_configuration_is_wrong_usage(nexus):
    """Without a configuration there is nothing to explain or call: exit 2, and what to do."""
    for arguments in (["explain", "crm"], ["call", "crm", "GET", "/x"]):
        ran = nexus(*arguments)
        assert (ran.code, ran.out) == (2, "")
        assert "There is no configuration file connector.toml." in ran.err


def test_broken_configuration_is_wrong_usage(nexus, config):
    """A configuration that cannot be read is exit 2, with place and remedy, without traceback."""
    config("[services.crm]\nbase_url = 'https://crm.example'\ntimeout_second = 1\n")
    for arguments in (["explain", "crm"], ["call", "crm", "GET", "/x"], ["plugins"], ["xyzzy"]):
        ran = nexus(*arguments)
        assert (ran.code, ran.out) == (2, "")
        assert "services.crm.timeout_second" in ran.err
        assert "timeout_seconds" in ran.err
        assert "Traceback" not in ran.err


def test_debug_shows_where(nexus, config):
    """--debug shows the traceback, on standard error, in front of the text."""
    config("nonsense")
    ran = nexus("--debug", "plugins")
    assert "Traceback (most recent call last)" in ran.err
    assert ran.err.rstrip().splitlines()[-1].startswith("Error: The configuration file")


@pytest.mark.parametrize("place", ["before", "after", "environment", "default"])
def test_configuration_is_found(nexus, config, place, folder, monkeypatch):
    """--config counts before and after the command; then NEXUS_CONFIG; then ./connector.toml."""
    path = config('[services.crm]\nbase_url = "https://crm.example"\n')
    if place != "default":
        path = path.rename(folder / "other.toml")
    if place == "environment":
        monkeypatch.setenv("NEXUS_CONFIG", str(path))
    runs = {"before": ["--config", path, "explain", "crm"], "after": ["explain", "--config", path, "crm"]}
    assert nexus(*runs.get(place, ["explain", "crm"])).code == 0


def test_later_files_win(nexus, folder):
    """--config may be given several times; the later file wins."""
    Path("a.toml").write_text('[services.crm]\nbase_url = "https://crm.example"\ntimeout_seconds = -1\n')
    Path("b.toml").write_text("[services.crm]\ntimeout_seconds = 2\n")
    assert nexus("--config", "a.toml", "explain", "crm").code == 2
    assert nexus("--config", "a.toml", "--config", "b.toml", "explain", "crm").code == 0


CONNECTORS = """
from nexus_connector import AsyncConnector, Connector
from nexus_connector.errors import ConfigurationError
CONFIG = {"services": {"crm": {"base_url": "http://127.0.0.1:1"}}}
connector = Connector.from_config(CONFIG)
awaited = AsyncConnector.from_config(CONFIG)
def make(): return Connector.from_config(CONFIG)
def broken(): raise ConfigurationError("no luck", hint="none")
class place: inner = connector
number = 7
"""


@pytest.mark.parametrize("name", ["connector", "awaited", "make", "place.inner"])
def test_application_may_be_named_in_several_ways(nexus, app, name, monkeypatch):
    """--app and NEXUS_APP take a connector of either face, or a function that makes one."""
    assert nexus("--app", f"{app(CONNECTORS)}:{name}", "explain", "crm").code == 0
    monkeypatch.setenv("NEXUS_APP", f"{app(CONNECTORS)}:{name}")
    assert nexus("explain", "crm").code == 0


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("number", "is a int, not a Connector"),
        ("missing", "AttributeError"),
        ("broken", "no luck"),
        ("", "names no connector"),
    ],
)
def test_application_that_is_none_is_wrong_usage(nexus, app, name, text):
    """What cannot be a connector is told with exit 2."""
    ran = nexus("--app", f"{app(CONNECTORS)}:{name}", "explain", "crm")
    assert ran.code == 2
    assert text in ran.err


def test_named_file_wins_over_an_application_of_the_environment(nexus, app, config, monkeypatch):
    """What is typed counts more than what the environment says."""
    monkeypatch.setenv("NEXUS_APP", f"{app(CONNECTORS)}:connector")
    path = config('[services.other]\nbase_url = "https://other.example"\n')
    assert nexus("explain", "other", "--config", path).code == 0


def test_application_and_file_exclude_each_other(nexus):
    """An application brings its configuration."""
    ran = nexus("--app", "a:b", "--config", "c.toml", "explain", "crm")
    assert ran.code == 2
    assert "exclude each other" in ran.err


@pytest.mark.parametrize(
    "command", [(sys.executable, "-m", "nexus_connector_cli"), (str(Path(sys.executable).with_name("nexus")),)]
)
def test_process_ends_with_the_exit_code(shell, config, command):
    """As a process: results on standard output, errors on standard error, exit 0, 1 or 2, no colour in a pipe."""
    config('[services.crm]\nbase_url = "http://127.0.0.1:9"\n')
    good = shell("explain", "crm", command=command)
    assert (good.code, good.err) == (0, "")
    assert "attempt_record" in good.out
    failed = shell("call", "crm", "GET", "/x", command=command)
    assert (failed.code, failed.out) == (1, "")
    assert "outcome     not_sent" in failed.err
    misused = shell("explain", "cmr", command=command)
    assert (misused.code, misused.out) == (2, "")
    assert "Did you mean 'crm'?" in misused.err
    assert "\x1b" not in good.out + failed.err + misused.err


def test_version_is_the_core_s(nexus):
    """--version names the core."""
    assert nexus("--version").out.startswith("nexus-connector, version 0.")
