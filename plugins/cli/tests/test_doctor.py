from __future__ import annotations

import socket
import ssl
import sys

import pytest

ADAPTER = """
from nexus_connector import ServiceAdapter, Vendor
class Adapter(ServiceAdapter):
    vendor = Vendor(name="acme", domain="email", base_url=("http://127.0.0.1:1",),
        credentials={"method": "bearer", "token": {"env": "ACME_TOKEN"}})
"""


def levels(ran, subject):
    """Return the levels of what was found about a subject."""
    return [each["level"] for each in ran.json["findings"] if each["subject"] == subject]


def finding(ran, subject, level):
    """Return the one finding of a level about a subject."""
    [found] = [each for each in ran.json["findings"] if (each["subject"], each["level"]) == (subject, level)]
    return found


def test_everything_well(nexus, crm):
    """Where nothing is wrong, exit 0; every finding is ok or a warning."""
    ran = nexus("doctor", "--json")
    assert ran.code == 0
    assert ran.json["ok"] is True
    assert levels(ran, "service crm") == ["ok", "ok"]
    assert nexus("doctor").out.rstrip().endswith("0 fail")


def test_configuration_that_is_missing_fails(nexus):
    """Without a configuration the doctor says so and stops."""
    ran = nexus("doctor", "--json")
    assert ran.code == 1
    assert "nexus init writes one" in finding(ran, "configuration", "fail")["remedy"]
    assert [each["subject"] for each in ran.json["findings"]] == ["versions", "configuration"]


def test_missing_secrets_are_all_named(nexus, crm, config, monkeypatch):
    """Each secret that is not there is named by its variable or file, not only the first."""
    monkeypatch.delenv("CRM_TOKEN")
    config(f"""
        [services.crm]
        base_url = "{crm.url}"
        headers = {{ X-Key = {{ file = "nowhere" }} }}
        [services.crm.credentials]
        token = {{ env = "CRM_TOKEN" }}
    """)
    ran = nexus("doctor", "--offline", "--json")
    assert ran.code == 1
    token, file = [each for each in ran.json["findings"] if each["level"] == "fail"]
    assert "CRM_TOKEN is not set" in token["text"]
    assert token["remedy"] == "Set CRM_TOKEN, or name another place."
    assert "nowhere" in file["text"]


def test_service_without_base_url_is_a_warning(nexus, config):
    """run() works without, nothing else does."""
    config("[services.sdk]\n")
    ran = nexus("doctor", "--json")
    assert ran.code == 0
    assert finding(ran, "service sdk", "warn")["remedy"].startswith("Add services.sdk.base_url")


def test_no_service_is_a_warning(nexus, config):
    """A configuration without services is valid, and hardly meant."""
    config("")
    assert finding(nexus("doctor", "--json"), "services", "warn")


def test_service_that_does_not_compile_fails(nexus, config):
    """What would be raised by the first call is found now."""
    config('domains.email = "crm"\n[services.crm]\nbase_url = "https://crm.example"\nadapter = "no_such_vendor"\n')
    ran = nexus("doctor", "--offline", "--json")
    assert ran.code == 1
    assert "no_such_vendor" in finding(ran, "service crm", "fail")["text"]
    assert levels(ran, "domain email") == [], "one cause is told once"


def test_domain_needs_an_adapter_that_speaks_it(nexus, config, install, monkeypatch):
    """A domain bound to a service that cannot serve it fails, for single tenants too."""
    monkeypatch.setenv("ACME_TOKEN", "t")
    install("acme", ADAPTER, vendors="acme = app_of_acme:Adapter")
    config("""
        [services.acme]
        [services.crm]
        base_url = "https://crm.example"
        [domains.email]
        service = "acme"
        tenants = { big = "crm" }
        [domains.payments]
        service = "acme"
    """)
    ran = nexus("doctor", "--offline", "--json")
    assert levels(ran, "domain email") == ["ok", "fail"]
    assert "which has no adapter" in finding(ran, "domain email", "fail")["text"]
    assert "which speaks email" in finding(ran, "domain payments", "fail")["text"]


def test_broken_plugins_and_adapters_fail(nexus, config, install):
    """What is installed and cannot be imported is a failure with a remedy."""
    install("sad", "1 / 0", plugins="sad = app_of_sad:plugin", vendors="acme = app_of_sad:Adapter")
    config("")
    ran = nexus("doctor", "--offline", "--json")
    assert ran.code == 1
    assert "pip install --upgrade sad" in finding(ran, "plugin sad", "fail")["remedy"]
    assert "pip install --upgrade sad" in finding(ran, "vendor acme", "fail")["remedy"]


def test_waiting_plugin_is_a_note(nexus, config, install):
    """A plugin that has nothing to do names its key; nothing is wrong with that."""
    source = (
        "import attrs\nfrom nexus_connector import Plugin, hookimpl\n"
        "@attrs.frozen\nclass Options: pass\n"
        "class Hooks:\n    @hookimpl\n    def before_request(self): return None\n"
        "plugin = Plugin(name='idle', factory=lambda _: Hooks(), config=Options,\n"
        "    waiting=lambda _: 'plugins.idle.key')\n"
    )
    install("idle", source, plugins="idle = app_of_idle:plugin")
    config("")
    ran = nexus("doctor", "--offline", "--json")
    assert ran.code == 0
    assert "plugins.idle.key" in finding(ran, "plugin idle", "note")["remedy"]


GATED = """
from nexus_connector import Connector, Gate, hookimpl
class Open(Gate):
    name = "open"
class Gates:
    @hookimpl
    def gates(self, config): return [Open()]
CONFIG = {"services": {"crm": {"base_url": "http://127.0.0.1:1"}}, "plugins": {"only": ["cli"]}}
def make(): return Connector.from_config(CONFIG, plugins=[Gates()])
"""


def test_memory_store_under_gates_is_a_note(nexus, app):
    """Limits and circuits in memory count in each process for itself; without any there is nothing to say."""
    gated = nexus("doctor", "--offline", "--json", "--app", f"{app(GATED)}:make")
    assert "open of crm" in finding(gated, "stores.shared", "note")["text"]
    assert "a store that they share" in finding(gated, "stores.shared", "note")["remedy"]
    free = nexus("doctor", "--offline", "--json", "--app", f"{app(GATED.replace('[Open()]', '[]'))}:make")
    assert finding(free, "stores.shared", "ok")


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("WEB_CONCURRENCY", "4", "WEB_CONCURRENCY=4 starts 4 processes"),
        ("UVICORN_WORKERS", "2", "UVICORN_WORKERS=2 starts 2 processes"),
        ("GRANIAN_WORKERS", "2", "GRANIAN_WORKERS=2 starts 2 processes"),
        ("UWSGI_PROCESSES", "2", "UWSGI_PROCESSES=2 starts 2 processes"),
        ("UWSGI_WORKERS", "2", "UWSGI_WORKERS=2 starts 2 processes"),
        ("GUNICORN_CMD_ARGS", "--bind :80 --workers=3", "GUNICORN_CMD_ARGS (--workers=3) starts 3 processes"),
        ("GUNICORN_CMD_ARGS", "--workers 3 -k sync", "GUNICORN_CMD_ARGS (--workers 3) starts 3 processes"),
        ("GUNICORN_CMD_ARGS", "-w5", "GUNICORN_CMD_ARGS (-w5) starts 5 processes"),
        ("GUNICORN_CMD_ARGS", "-w 5 -w 2", "GUNICORN_CMD_ARGS (-w 2) starts 2 processes"),
    ],
)
def test_memory_store_in_several_processes_is_a_warning(nexus, app, monkeypatch, name, value, told):
    """Where the environment starts several processes, it is named, with how often every limit holds."""
    monkeypatch.setenv(name, value)
    warned = finding(nexus("doctor", "--offline", "--json", "--app", f"{app(GATED)}:make"), "stores.shared", "warn")
    assert told in warned["text"]
    assert "open of crm" in warned["text"]
    assert "times every limit" in warned["remedy"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WEB_CONCURRENCY", "1"),
        ("WEB_CONCURRENCY", "auto"),
        ("WEB_CONCURRENCY", ""),
        ("GUNICORN_CMD_ARGS", "--workers=1"),
        ("GUNICORN_CMD_ARGS", "--worker-connections 40 --threads 4 -b :80"),
    ],
)
def test_one_process_is_not_several(nexus, app, monkeypatch, name, value):
    """Only what asks for more than one process is one of several."""
    monkeypatch.setenv(name, value)
    assert finding(nexus("doctor", "--offline", "--json", "--app", f"{app(GATED)}:make"), "stores.shared", "note")


FAR = """
from nexus_connector import Connector, Gate, hookimpl
from nexus_connector.state import MemoryStore, StoreError
class Far(MemoryStore):
    blocking = True
    durable = {durable}
    asked = 0
    def describe(self): return "Far 1.2.3"
    def get(self, key):
        Far.asked += 1
        if {gone}: raise StoreError("no answer within 0.1 s")
        return super().get(key)
class Opens:
    @hookimpl
    def store(self, url, role): return Far(lambda: 0.0) if url.startswith("far:") else None
    @hookimpl
    def gates(self, config):
        gate = Gate()
        gate.name = "limit"
        return [gate]
CONFIG = {{
    "services": {{"crm": {{"base_url": "https://crm.example"}}}},
    "stores": {{"{name}": "far://u:canary-word@host"}},
    "plugins": {{"only": []}},
}}
def make(): return Connector.from_config(CONFIG, plugins=[Opens()])
"""


def stores_of(ran, name):
    """Return the findings about a store."""
    return [each for each in ran.json["findings"] if each["subject"] == f"stores.{name}"]


@pytest.mark.parametrize("name", ["shared", "durable"])
def test_a_store_is_asked(nexus, app, monkeypatch, name):
    """Each store outside of the process is asked: how long it took, and whether what it keeps survives it."""
    monkeypatch.setattr("nexus_connector_cli._checks.unreachable", lambda places: [None] * len(list(places)))
    source = app(FAR.format(name=name, gone=False, durable=name == "durable"))
    told = stores_of(nexus("doctor", "--json", "--app", f"{source}:make"), name)[-1]
    assert told["level"] == "ok"
    assert told["text"].startswith("Far 1.2.3 at far://****@host answers in ")
    assert ("survives the process" if name == "durable" else "may be lost with it") in told["text"]
    offline = nexus("doctor", "--offline", "--json", "--app", f"{source}:make")
    assert "answers" not in str(stores_of(offline, name))


def test_connecting_is_no_part_of_the_latency(nexus, app, monkeypatch):
    """A store is asked twice, for the first answer takes as long as connecting and making tables does."""
    monkeypatch.setattr("nexus_connector_cli._checks.unreachable", lambda places: [None] * len(list(places)))
    source = app(FAR.format(name="shared", gone=False, durable=False))
    assert nexus("doctor", "--json", "--app", f"{source}:make").code == 0
    assert sys.modules[source].Far.asked == 2


def test_a_durable_store_that_forgets_is_a_warning(nexus, app, monkeypatch):
    """What must survive lies where it may be lost."""
    monkeypatch.setattr("nexus_connector_cli._checks.unreachable", lambda places: [None] * len(list(places)))
    source = app(FAR.format(name="durable", gone=False, durable=False))
    told = stores_of(nexus("doctor", "--json", "--app", f"{source}:make"), "durable")[-1]
    assert told["level"] == "warn"
    assert "may be lost" in told["text"]
    assert "Name a database" in told["remedy"]


def test_a_store_that_cannot_say_what_it_is(nexus, app, monkeypatch):
    """``describe`` is optional: without it the store is called by its URL."""
    monkeypatch.setattr("nexus_connector_cli._checks.unreachable", lambda places: [None] * len(list(places)))
    text = FAR.format(name="shared", gone=False, durable=False)
    source = app("\n".join(line for line in text.splitlines() if "describe" not in line))
    told = stores_of(nexus("doctor", "--json", "--app", f"{source}:make"), "shared")[-1]
    assert told["text"].startswith("far://****@host answers in ")


def test_a_store_that_cannot_be_opened_is_told_once(nexus, config, monkeypatch):
    """A URL that is a secret which is not there is one failure, not another one of each service; the rest is told."""
    monkeypatch.delenv("STORE_URL", raising=False)
    config("""
        [stores]
        shared = { env = "STORE_URL" }
        [services.crm]
        base_url = "https://crm.example"
    """)
    ran = nexus("doctor", "--json")
    assert ran.code == 1
    [failed] = [each for each in ran.json["findings"] if each["level"] == "fail"]
    assert (failed["subject"], failed["text"]) == (
        "stores",
        "stores.shared: the environment variable STORE_URL is not set or empty.",
    )
    assert "Set STORE_URL" in failed["remedy"]
    assert any(each["subject"].startswith("plugin ") for each in ran.json["findings"])


@pytest.mark.parametrize("name", ["shared", "durable"])
def test_a_store_that_does_not_answer_is_a_failure(nexus, app, monkeypatch, name):
    """It says why, what to do, and no password."""
    monkeypatch.setattr("nexus_connector_cli._checks.unreachable", lambda places: [None] * len(list(places)))
    ran = nexus("doctor", "--json", "--app", f"{app(FAR.format(name=name, gone=True, durable=True))}:make")
    told = stores_of(ran, name)[-1]
    assert (ran.code, told["level"]) == (1, "fail")
    assert "does not answer: no answer within 0.1 s." in told["text"]
    assert f"stores.{name}" in told["remedy"]
    assert "canary-word" not in ran.out + ran.err


def test_a_shared_store_is_what_processes_share(nexus, app, monkeypatch):
    """With a store outside of the process nothing has to be said about several processes."""
    monkeypatch.setenv("WEB_CONCURRENCY", "4")
    source = app(FAR.format(name="shared", gone=False, durable=False))
    [told] = stores_of(nexus("doctor", "--offline", "--json", "--app", f"{source}:make"), "shared")
    assert told["level"] == "ok"
    assert "what all processes share (limit of crm)" in told["text"]


def test_most_processes_count(nexus, app, monkeypatch):
    """Of several settings the one that starts most processes is told."""
    monkeypatch.setenv("WEB_CONCURRENCY", "2")
    monkeypatch.setenv("GUNICORN_CMD_ARGS", "-w 8")
    ran = nexus("doctor", "--offline", "--json", "--app", f"{app(GATED)}:make")
    assert "starts 8 processes" in finding(ran, "stores.shared", "warn")["text"]


def test_a_store_that_nothing_opens_is_a_failure(nexus, config):
    """A store for which nothing is installed is said by its scheme; its password is not shown."""
    config('[stores]\nshared = "nowhere://user:canary-word@localhost/0"\n')
    ran = nexus("doctor", "--json")
    assert ran.code == 1
    assert "nothing installed opens 'nowhere' stores" in ran.out
    assert "canary-word" not in ran.out + ran.err


@pytest.fixture
def closed_port():
    """A port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_unreachable_service_fails(nexus, config, closed_port):
    """A base URL that nobody answers at fails; --offline does not look."""
    config(f'[services.crm]\nbase_url = "http://127.0.0.1:{closed_port}"\n')
    ran = nexus("doctor", "--json")
    assert ran.code == 1
    assert "refused" in finding(ran, "service crm", "fail")["text"].lower()
    assert "services.crm.base_url" in finding(ran, "service crm", "fail")["remedy"]
    assert nexus("doctor", "--offline").code == 0


def test_certificate_is_checked(nexus, config):
    """A certificate must be trusted: connecting alone is not enough."""
    trustme = pytest.importorskip("trustme")
    from nexus_connector.testing.emulator import VendorEmulator

    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with VendorEmulator(ssl_context=context) as vendor, authority.cert_pem.tempfile() as ca_file:
        config(f'[services.crm]\nbase_url = "{vendor.url}"\n')
        assert "certificate" in finding(nexus("doctor", "--json"), "service crm", "fail")["text"].lower()
        config(f'[services.crm]\nbase_url = "{vendor.url}"\nca_file = "{ca_file}"\n')
        assert levels(nexus("doctor", "--json"), "service crm") == ["ok", "ok"]
        config(f'[services.crm]\nbase_url = "{vendor.url}"\nca_file = "nowhere.pem"\n')
        assert "nowhere.pem" in finding(nexus("doctor", "--json"), "service crm", "fail")["text"]


def test_application_goes_on_as_it_was(nexus, app):
    """The doctor puts no made-up secret into the application's own services."""
    module = app(
        "from nexus_connector import Connector\n"
        'CRM = {"base_url": "http://127.0.0.1:1", "credentials": {"token": {"env": "NOT_SET"}}}\n'
        'connector = Connector.from_config({"services": {"crm": CRM}}, check=False)\n'
        "before = connector.runtime.resolve_secret\n"
    )
    assert nexus("doctor", "--offline", "--app", f"{module}:connector").code == 1
    runtime = sys.modules[module].connector.runtime
    assert runtime.resolve_secret is sys.modules[module].before
