from __future__ import annotations

import re
import socket

import pytest

FULL = """
from nexus_connector import Connector, Gate, hookimpl

class Limit(Gate):
    name = "limit"

class Hooks:
    @hookimpl
    def gates(self, config): return [Limit()] if config.name == "crm" else []
    @hookimpl(service="sdk")
    def resolve_credentials(self, call, rejected): return None

def make():
    return Connector.from_config(
        {
            "services": {
                "crm": {
                    "base_url": ["https://eu.crm.example/v2", "https://us.crm.example/v2"],
                    "timeout_seconds": 20,
                    "tenant": "required",
                    "credentials": {"token": {"env": "CRM_TOKEN"}},
                    "endpoints": {"GET /orders/{id}": {"timeout_seconds": 3}},
                },
                "sdk": {"headers": {"X-Key": {"file": "nowhere.key"}}},
                "free": {"base_url": "https://free.example"},
            },
            "plugins": {"only": ["cli"]},
        },
        plugins=[Hooks()],
        check=False,
    )
"""
ACME = """
from nexus_connector import ServiceAdapter, Vendor
class Adapter(ServiceAdapter):
    vendor = Vendor(name="acme", domain="email", base_url=("https://acme.example",),
        credentials={"method": "bearer", "token": {"env": "ACME_TOKEN"}})
"""
IDLE = """
import attrs
from nexus_connector import Plugin, hookimpl
@attrs.frozen
class Options: pass
class Hooks:
    @hookimpl
    def before_request(self): return None
plugin = Plugin(name="idle", factory=lambda _: Hooks(), config=Options, waiting=lambda _: "plugins.idle.key")
"""


def service(ran, name):
    """Return what is said about a service."""
    return next(each for each in ran.json["services"] if each["name"] == name)


def test_a_service_is_told(nexus, app, monkeypatch):
    """Regions, timeout, tenant rule, endpoints, method of the credentials, and whether the secrets are there."""
    monkeypatch.setenv("CRM_TOKEN", "canary-token")
    ran = nexus("status", "--json", "--app", f"{app(FULL)}:make")
    assert service(ran, "crm") == {
        "name": "crm",
        "adapter": None,
        "base_url": ["https://eu.crm.example/v2", "https://us.crm.example/v2"],
        "timeout_seconds": 20,
        "tenant": "required",
        "endpoints": 1,
        "credentials": "bearer",
        "secrets": {"CRM_TOKEN": True},
        "problem": None,
    }
    sdk, free = service(ran, "sdk"), service(ran, "free")
    assert (sdk["base_url"], sdk["credentials"], sdk["secrets"]) == ([], "by Hooks", {"nowhere.key": False})
    assert (free["credentials"], free["secrets"]) == (None, {})
    assert "canary-token" not in ran.out


def test_a_person_reads_the_same(nexus, app, monkeypatch):
    """The page has each fact in words, in 80 columns."""
    monkeypatch.setenv("CRM_TOKEN", "canary-token")
    monkeypatch.setenv("COLUMNS", "80")
    module = app(FULL)
    ran = nexus("status", "--app", f"{module}:make")
    page = re.sub(r" +", " ", ran.out)
    assert max(map(len, ran.out.splitlines())) <= 80
    assert f"connector from {module}:make\n" in page
    assert "services crm https://eu.crm.example/v2\n https://us.crm.example/v2\n" in page
    assert " any HTTP API, 20 s a call, tenant required, 1 endpoint\n" in page
    assert " credentials bearer: CRM_TOKEN is set\n" in page
    assert " sdk no base URL\n any HTTP API, 30 s a call, tenant optional\n" in page
    assert " credentials by Hooks: nowhere.key is missing\n" in page
    assert " no credentials\n" in page
    assert "domains none\n" in page
    assert " Hooks active: given in code\n" in page
    assert "stores shared memory://, on it: limit of crm\n durable none\n" in page
    problems = " ".join(page[page.index("problems") :].split())
    assert problems.startswith("problems fail services.sdk.headers.X-Key: the file nowhere.key cannot be read")
    assert "Check the path and its permissions. warn service sdk: has no base URL. Add services.sdk" in problems
    assert "canary-token" not in ran.out


def test_domains_and_adapters_are_told(nexus, config, install, monkeypatch):
    """A domain with the services of single tenants, and the adapter of a service by its own name."""
    monkeypatch.setenv("ACME_TOKEN", "t")
    install("acme", ACME, vendors="acme = app_of_acme:Adapter")
    config("""
        [domains.email]
        service = "acme"
        tenants = { big = "second" }
        [services.acme]
        [services.second]
        adapter = "acme"
    """)
    ran = nexus("status", "--json")
    assert ran.code == 0
    assert ran.json["domains"] == [{"name": "email", "service": "acme", "tenants": {"big": "second"}}]
    assert [each["adapter"] for each in ran.json["services"]] == ["acme", "acme"]
    page = re.sub(r" +", " ", nexus("status").out)
    assert "domains email acme, second for big\n" in page
    assert " adapter acme, 30 s a call, tenant optional\n credentials bearer: ACME_TOKEN is set\n" in page
    assert page.rstrip().endswith("Nothing looks wrong. nexus doctor also connects to each service.")


def test_plugins_are_told(nexus, config, install):
    """Each with its version, and whether it is active, waits for a key, is off or is broken; waiting is no problem."""
    install("idle", IDLE, plugins="idle = app_of_idle:plugin")
    config('[services.crm]\nbase_url = "https://crm.example"\n')
    ran = nexus("status")
    assert re.search(r"^ +idle +1\.2\.3  waiting: plugins\.idle\.key$", ran.out, re.MULTILINE)
    assert re.search(r"^(?:plugins)? +cli +\d\S+ +active$", ran.out, re.MULTILINE)
    assert "problems" not in ran.out
    install("sad", "1 / 0", plugins="sad = app_of_sad:plugin")
    broken = nexus("status")
    assert broken.code == 0, "it starts all the same"
    assert re.search(r"^ +sad +1\.2\.3  broken$", broken.out, re.MULTILINE)
    assert "plugin sad: takes no part: ZeroDivisionError" in broken.out
    assert broken.out.rstrip().endswith("Something looks wrong: run nexus doctor.")
    config("plugins.idle = false")
    assert re.search(r"^ +idle +1\.2\.3  off$", nexus("status").out, re.MULTILINE)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            '[services.crm]\ncredentials = { token = { env = "NOT_SET" } }',
            "the environment variable NOT_SET is not set",
        ),
        ('[services.crm]\nadapter = "nope"', "services.crm.adapter: no adapter 'nope' is installed."),
        ("nonsense", "The configuration file connector.toml is no TOML"),
    ],
)
def test_what_would_not_start_exits_1(nexus, config, text, problem):
    """Status and start agree: what is said to fail does, and exits 1 with the problem and its remedy at the end."""
    from nexus_connector import Connector
    from nexus_connector.errors import ConnectorError

    config(text)
    ran = nexus("status", "--json")
    assert (ran.code, ran.json["starts"]) == (1, False)
    [found] = [each for each in ran.json["problems"] if each["level"] == "fail"]
    assert problem in found["text"]
    assert found["remedy"]
    page = nexus("status").out
    assert page.index("problems") < page.index(problem.partition(" ")[0], page.index("problems"))
    assert page.rstrip().endswith("It would not start like this: run nexus doctor.")
    with pytest.raises(ConnectorError):
        Connector.from_file()


def test_what_fails_comes_first(nexus, config):
    """A problem that stops something is told before one that may not matter."""
    config('domains.email = "sdk"\n[services.sdk]\n[services.z]\nadapter = "nope"\n')
    assert [each["level"] for each in nexus("status", "--json").json["problems"]] == ["fail", "fail", "warn"]


def test_a_service_that_does_not_compile_is_told(nexus, config):
    """The others are told all the same."""
    config(
        '[services.crm]\nadapter = "nope"\ntimeout_seconds = 7\n[services.free]\nbase_url = "https://free.example"\n'
    )
    ran = nexus("status")
    assert ran.code == 1
    assert "adapter nope, 7 s a call" in ran.out
    assert "cannot be compiled" in ran.out
    assert "https://free.example" in ran.out


def test_without_configuration_there_is_little_to_tell(nexus):
    """No configuration is a problem with a remedy, not an error."""
    ran = nexus("status")
    assert (ran.code, ran.err) == (1, "")
    assert "no configuration" in ran.out
    assert "nexus init writes one" in ran.out
    assert "services" not in ran.out


def test_the_source_is_told(nexus, folder, monkeypatch):
    """Files in their order, and the variables of the environment that count, by name alone."""
    for name in ("a.toml", "b.toml"):
        folder.joinpath(name).write_text('[services.crm]\nbase_url = "https://crm.example"\n')
    monkeypatch.setenv("NEXUS__SERVICES__CRM__TIMEOUT_SECONDS", "7.25")
    ran = nexus("status", "--json", "--config", "a.toml", "--config", "b.toml")
    assert ran.json["source"] == ["a.toml", "b.toml"]
    assert ran.json["variables"] == ["NEXUS__SERVICES__CRM__TIMEOUT_SECONDS"]
    assert service(ran, "crm")["timeout_seconds"] == 7.25
    page = nexus("status", "--config", "a.toml", "--config", "b.toml").out
    names = [line.split()[-1] for line in page.splitlines()[:3]]
    assert names == ["a.toml", "b.toml", "NEXUS__SERVICES__CRM__TIMEOUT_SECONDS"]


def test_several_processes_are_a_problem(nexus, app, monkeypatch):
    """Limits in memory are no problem of one process; of several they are."""
    monkeypatch.setenv("CRM_TOKEN", "t")
    name = f"{app(FULL)}:make"
    assert "each counts for itself" not in nexus("status", "--app", name).out
    monkeypatch.setenv("WEB_CONCURRENCY", "4")
    assert "WEB_CONCURRENCY=4 starts 4 processes" in nexus("status", "--app", name).out


def test_it_opens_no_connection(nexus, crm, monkeypatch):
    """A socket is not even made."""

    def refuse(*_: object, **__: object) -> None:
        pytest.fail("a socket was made")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    assert nexus("status").code == 0
