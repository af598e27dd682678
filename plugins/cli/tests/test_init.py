from __future__ import annotations

import re
import tomllib
from itertools import combinations
from pathlib import Path

import attrs
import pytest

from nexus_connector import Connector
from nexus_connector.config import EndpointConfig
from nexus_connector.plugins import vendor_entries
from nexus_connector_cli import _choices
from nexus_connector_cli._adapters import Adapter, installed_adapters
from nexus_connector_cli._tables import plugin_tables
from nexus_connector_cli._toml import toml

VENDORS = """
import attrs
from typing import Literal
from nexus_connector import Plugin, ServiceAdapter, Vendor, hookimpl, option
from nexus_connector.config import SecretRef

@attrs.frozen(kw_only=True)
class Options:
    \"\"\"``[plugins.greeter]``: how greetings are said.\"\"\"
    loudness: float = option(0.5, "How loud.", validator=[attrs.validators.gt(0), attrs.validators.le(11)], unit="dB")
    echo: int | None = option(None, "How often.", validator=attrs.validators.optional(attrs.validators.ge(2)))
    mood: Literal["glad", "sad"] | None = option(None, 'The "mood".')
    rate: float | None = option(
        None, "How sure.", validator=attrs.validators.optional([attrs.validators.gt(0), attrs.validators.lt(1)])
    )
    times: int | None = option(
        None, "How many.", validator=attrs.validators.optional([attrs.validators.ge(3), attrs.validators.lt(4)])
    )
    cry: bool | None = option(None, "Whether it cries.")
    names: tuple[str, ...] = option(("Ada",), "Who is greeted.")
    pin: SecretRef | None = option(None, "A secret.")

class Acme(ServiceAdapter):
    vendor = Vendor(name="acme", domain="email", base_url=("https://acme.example",), documentation="https://acme.example/doc",
        credentials={"method": "bearer", "token": {"env": "ACME_TOKEN"}})
    options_class = Options

class Bravo(ServiceAdapter):
    vendor = Vendor(name="bravo", domain="email", base_url=("https://eu.bravo.example", "https://us.bravo.example"),
        credentials={"method": "basic", "username": "api", "password": {"file": "bravo.key"}})

class Coin(ServiceAdapter):
    vendor = Vendor(name="coin", domain="payments", base_url=("https://coin.example",))

class Hooks:
    @hookimpl
    def before_request(self, call, request): return None

plugin = Plugin(name="greeter", factory=lambda _: Hooks(), config=Options)
"""
ALL = ("email=acme", "email=bravo", "payments=coin", "crm=https://crm.example/api", "x-1=http://127.0.0.1:9")


@pytest.fixture
def vendors(install, monkeypatch):
    """Three vendor adapters and a plugin with options; the secret of one of the vendors is there."""
    entries = "acme = app_of_vendors:Acme\nbravo = app_of_vendors:Bravo\ncoin = app_of_vendors:Coin"
    install("vendors", VENDORS, plugins="greeter = app_of_vendors:plugin", vendors=entries)
    for name in ("ACME_TOKEN", "CRM_TOKEN"):
        monkeypatch.setenv(name, "t0k3n")
    Path("bravo.key").write_text("t0k3n")


def written(ran):
    """Return the configuration file of a run, read."""
    assert (ran.code, ran.err) == (0, "")
    return tomllib.loads(Path("connector.toml").read_text(encoding="utf-8"))


def everything(text):
    """Return what a connector makes of a configuration: its own part, and what plugins and services make of theirs."""
    Path("tried.toml").write_text(text, encoding="utf-8")
    with Connector.from_file("tried.toml", check=False) as connector:
        runtime = connector.runtime
        services = {name: made_of(runtime.target(name)) for name in runtime.config.services}
        return attrs.evolve(runtime.config, services={}), runtime.options, services


def made_of(target):
    """Return what a service is compiled to."""
    endpoints = {name: each for name, each in target.config.endpoints.items() if each != EndpointConfig()}
    config = attrs.evolve(target.config, credentials={}, options={}, endpoints=endpoints)
    secrets = target.credentials.revealed() if target.credentials is not None else ()
    return config, secrets, target.adapter.options if target.adapter is not None else None


@pytest.mark.usefixtures("vendors")
def test_whatever_was_asked_for_can_be_loaded(nexus):
    """Every set of vendors and services, in either order, makes a file from which a connector can be built."""
    for asked in (each for size in range(len(ALL) + 1) for each in combinations(ALL, size)):
        for arguments in (asked, asked[::-1]):
            written(nexus("init", "--force", *arguments))
            with Connector.from_file(check=False) as connector:
                names = {argument.partition("=")[2 if "://" not in argument else 0] for argument in arguments}
                assert set(connector.runtime.config.services) == names
                connector.check()


def test_every_installed_vendor_can_be_loaded(nexus, vendors):
    """Whatever is really installed here: alone and all together, by name or by domain."""
    adapters = [each for each in installed_adapters() if isinstance(each, Adapter)]
    asked = [[each.name] for each in adapters] + [[f"{each.vendor.domain}={each.name}" for each in adapters]]
    for arguments in asked:
        table = written(nexus("init", "--force", *arguments))
        assert set(table["services"]) == {argument.rpartition("=")[2] for argument in arguments}
        Connector.from_file(check=False).close()


@pytest.mark.usefixtures("vendors")
def test_the_file_says_what_it_is_about(nexus):
    """Domain, service, the variable of the secret, options of vendor and plugins with type, unit and default."""
    nexus("init", "email=acme")
    text = Path("connector.toml").read_text(encoding="utf-8")
    assert '[domains.email]\nservice = "acme"                        # swap the vendor here\n' in text
    assert "[services.acme]\n# https://acme.example/doc\n" in text
    assert '#base_url = "https://acme.example"\n' in text
    assert "[services.acme.credentials]             # the secret is read from ACME_TOKEN\n" in text
    assert '#token = { env = "ACME_TOKEN" }\n' in text
    loudness = "# How loud.\n#loudness = 0.5                         # number, > 0, <= 11, in dB\n"
    assert f"[services.acme.options]\n{loudness}" in text
    also = "# In [services.NAME] only greeter = false, which switches it off there."
    assert f"[plugins.greeter]                       # How greetings are said\n{also}\n" in text
    assert text.count(loudness) == 2
    assert "#echo = 2                               # whole number, >= 2, no default\n" in text
    assert "[plugins.cli]" not in text, "a plugin without options needs no table"


@pytest.mark.usefixtures("vendors")
def test_first_vendor_serves_and_others_stand_by(nexus):
    """Of several vendors of a domain the first one serves it; a comment names the others, and they are configured."""
    table = written(nexus("init", "email=bravo", "email=acme", "email=acme"))
    assert table["domains"] == {"email": {"service": "bravo"}}
    assert list(table["services"]) == ["bravo", "acme"]
    assert '# swap the vendor here: "acme" stands by\n' in Path("connector.toml").read_text(encoding="utf-8")


@pytest.mark.usefixtures("vendors")
def test_urls_of_one_name_are_its_regions(nexus):
    """NAME=URL is any HTTP API; given several times, it has several regions, in order."""
    table = written(
        nexus("init", "crm=https://eu.crm.example", "erp=https://erp.example", "crm=https://us.crm.example")
    )
    assert table["services"]["crm"]["base_url"] == ["https://eu.crm.example", "https://us.crm.example"]
    assert table["services"]["erp"]["base_url"] == "https://erp.example"
    assert "domains" not in table


def switched_on(text, number):
    """Return a configuration in which one setting counts that did not."""
    lines = text.splitlines()
    lines[number] = lines[number].removeprefix("#")
    return "\n".join(lines)


def settings_in(text):
    """Return the numbers of lines that are settings which do not count; no store can be opened that keeps what must."""
    return [n for n, line in enumerate(text.splitlines()) if re.match(r"#[^# ]", line) and "#durable" not in line]


@pytest.fixture
def one_plugin(vendors, monkeypatch):
    """Of plugins only the one of this test: others may want two of their settings together, or none."""
    tables = [table for table in plugin_tables() if table.path == "plugins.greeter"]
    monkeypatch.setattr("nexus_connector_cli._init.plugin_tables", lambda: tables)


@pytest.mark.usefixtures("one_plugin")
def test_a_setting_shows_its_default(nexus):
    """Each setting of a written file may be switched on by itself; it changes nothing, unless it is an example."""
    nexus("init", *ALL)
    text = Path("connector.toml").read_text(encoding="utf-8")
    before = everything(text)
    numbers = settings_in(text)
    assert len(numbers) > 60
    for number in numbers:
        line = text.splitlines()[number]
        if re.search(r"# .*(default|required)", line):
            Path("tried.toml").write_text(switched_on(text, number), encoding="utf-8")
            Connector.from_file("tried.toml", check=False).close()
        else:
            assert everything(switched_on(text, number)) == before, line


@pytest.mark.usefixtures("one_plugin")
def test_without_arguments_every_setting_is_shown_and_none_counts(nexus):
    """The example is valid as it stands and configures nothing; with every # taken away it is valid, too."""
    table = written(nexus("init"))
    assert "services" not in table
    assert "domains" not in table
    with Connector.from_file() as connector, Connector.from_config({}) as empty:
        assert connector.runtime.config == empty.runtime.config
        assert connector.runtime.options == empty.runtime.options
    text = Path("connector.toml").read_text(encoding="utf-8")
    assert {line.rindex("  # ") for line in text.splitlines() if "  # " in line} == {38}, (
        "what stands beside is in line"
    )
    for number in settings_in(text):
        text = switched_on(text, number)
    Path("connector.toml").write_text(text, encoding="utf-8")
    with Connector.from_file(check=False) as connector:
        config = connector.runtime.config
    assert {"acme", "bravo", "coin", "crm"} <= set(config.services)
    assert {"email", "payments"} <= set(config.domains)
    assert "greeter" in (config.plugins.only or ())


@pytest.mark.usefixtures("vendors")
def test_the_example_knows_every_option(nexus):
    """No option of the core, of a plugin or of a vendor is missing from the example."""
    text = nexus("init", "--output", "-").out
    shown = set(re.findall(r"^#(?:endpoints\.\"[^\"]+\"\.)?(\w+) = ", text, re.MULTILINE))
    listed = set(re.findall(r"^  (\w+) +\S", nexus("schema").out, re.MULTILINE))
    assert listed - shown == {"method", "options", "credentials"} & listed, "tables of their own"


def test_without_any_vendor(nexus, monkeypatch):
    """Where no adapter is installed the example still shows a service."""
    monkeypatch.setattr("nexus_connector_cli._adapters.vendor_entries", dict)
    text = nexus("init", "--output", "-").out
    assert "#[services.crm]\n" in text
    assert "[domains." not in text
    assert tomllib.loads(text).keys() == {"stores", "plugins"}


def test_a_file_is_not_overwritten(nexus, config):
    """What is there stays, and the error says how to replace it; --force replaces it."""
    path = config("# mine\n")
    ran = nexus("init")
    assert (ran.code, ran.out) == (2, "")
    assert "connector.toml is there already. --force replaces it" in ran.err
    assert path.read_text() == "# mine\n"
    assert nexus("init", "--force").code == 0
    assert path.read_text().startswith("# Configuration of nexus-connector")


def test_the_file_may_be_another_or_none(nexus):
    """--output names another file; - prints the file and nothing else."""
    ran = nexus("init", "crm=https://crm.example", "--output", "my own.toml")
    assert "nexus --config 'my own.toml' doctor" in ran.out
    printed = nexus("init", "crm=https://crm.example", "--output", "-")
    assert printed.err == ""
    assert printed.out == Path("my own.toml").read_text(encoding="utf-8")
    assert not Path("connector.toml").exists()


def test_a_file_that_cannot_be_written_is_a_failure(nexus):
    """A folder that is not there is told, not made."""
    ran = nexus("init", "--output", "nowhere/connector.toml")
    assert (ran.code, ran.out) == (1, "")
    assert "cannot be written: No such file or directory." in ran.err


@pytest.mark.usefixtures("vendors")
def test_it_says_what_to_do_next(nexus, monkeypatch):
    """Each variable of a secret is named with whether it is set, then the doctor; what is set is not shown."""
    ran = nexus("init", "email=acme")
    assert re.search(r"^  ACME_TOKEN +is set$", ran.out, re.MULTILINE)
    assert re.search(r"^  nexus doctor +checks", ran.out, re.MULTILINE)
    assert "t0k3n" not in ran.out
    monkeypatch.delenv("ACME_TOKEN")
    assert "is not set yet: the secret of acme" in nexus("init", "email=acme", "--force").out
    assert "nothing in it counts yet" in nexus("init", "--force").out
    monkeypatch.setenv("NEXUS_CONFIG", "other.toml")
    assert "nexus --config connector.toml doctor" in nexus("init", "--force").out


@pytest.mark.parametrize(
    ("argument", "text"),
    [
        ("email=amce", "No vendor adapter 'amce' is installed. Did you mean 'acme'?"),
        ("amce", "Did you mean 'acme'?"),
        ("emial=acme", "'acme' serves email, not emial: write email=acme."),
        ("payments=acme", "'acme' serves email, not payments"),
        ("qqq", "nexus plugins lists those that are: acme, bravo, coin"),
        ("qqq", "write qqq=https://..., its base URL."),
        ("email=", "'email=' says too little"),
        ("=acme", "'=acme' says too little"),
        ("a.b=https://crm.example", "'a.b' is no name of a service"),
        ("acme=https://crm.example", "'acme' is a vendor adapter: ask for acme"),
        ("crm=http://crm.example", "crm: base_url must be https://"),
        ("crm=https://", "crm: base_url must be an absolute http(s) URL."),
        ("email=sad", "'sad' cannot be imported: ZeroDivisionError"),
        ("email=bare", "'bare' cannot be imported: TypeError: its entry point names no ServiceAdapter with a vendor"),
        ("email=odd", "'odd' cannot be imported: TypeError: its entry point names no ServiceAdapter with a vendor"),
    ],
)
@pytest.mark.usefixtures("vendors")
def test_what_cannot_be_asked_for_is_wrong_usage(nexus, install, monkeypatch, argument, text):
    """Exit 2, and what was meant or can be done; nothing is written."""
    install("sad", "1 / 0", vendors="sad = app_of_sad:Adapter")
    bare = "from nexus_connector import ServiceAdapter as Bare\nclass Adapter: pass"
    install("odd", bare, vendors="odd = app_of_odd:Adapter\nbare = app_of_odd:Bare")
    here = {name: entry for name, entry in vendor_entries().items() if entry.value.startswith("app_of_")}
    monkeypatch.setattr("nexus_connector_cli._adapters.vendor_entries", lambda: here)
    ran = nexus("init", argument)
    assert (ran.code, ran.out) == (2, "")
    assert text in " ".join(ran.err.split())
    assert not Path("connector.toml").exists()


def test_a_known_vendor_that_is_absent_is_named_with_its_distribution(nexus, monkeypatch):
    """What the core's own extras list can be installed: the error says how, for a misspelt name, too."""
    extras = ["attrs>=24.2", 'nexus-connector-zinc>=0.1; extra == "all"', 'nexus-connector-cli>=0.1; extra == "all"']
    monkeypatch.setattr(_choices, "requires", lambda _: extras)
    monkeypatch.setattr("nexus_connector_cli._adapters.vendor_entries", dict)
    assert "'zinc' is installed. pip install nexus-connector-zinc." in " ".join(nexus("init", "email=zinc").err.split())
    assert "Did you mean 'zinc'? pip install nexus-connector-zinc." in nexus("init", "zinnc").err
    assert "pip install" not in nexus("init", "cli").err, "it is installed, and no vendor"
    monkeypatch.setattr(_choices, "requires", lambda _: None)
    assert "lists those that are: none." in nexus("init", "zinc").err


@pytest.mark.parametrize(
    "value",
    [True, -1, 0.1, 1e300, "a", 'quo"te\\', "tab\t\x7f\n", "ü", [], ["a", 1], {}, {"a b": {"c": ["d"]}, "e-1": False}],
)
def test_values_survive_toml(value):
    """What is written as TOML is read back as it was."""
    assert tomllib.loads(f"value = {toml(value)}")["value"] == value
