"""Configuration: what is wrong stops the start, and says where, what was meant and what to do."""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest

from nexus_connector import AuthMethod, Connector, Gate, Plugin, Secret, ServiceSetup, Store, hookimpl, option
from nexus_connector.config import SecretRef
from nexus_connector.config.reading import nearest
from nexus_connector.config.sources import load, merge, read_environment
from nexus_connector.errors import ConfigurationError, PluginError
from nexus_connector.state import MemoryStore

CRM = {"base_url": "https://crm.example/api"}


def build(tmp_path: Path, toml: str, *, check: bool = True) -> Connector:
    path = tmp_path / "connector.toml"
    path.write_text(toml)
    return Connector.from_file(path, check=check)


@attrs.frozen(kw_only=True)
class LoudOptions:
    volume: int = option(3, "How loud.", validator=attrs.validators.ge(0))
    path: str | None = option(None, "Where.")


class Loud:
    def __init__(self, options: LoudOptions) -> None:
        self.options = options

    @hookimpl
    def before_request(self, call, request):
        return None


class LoudStages(Loud):
    @hookimpl
    def stages(self, config):
        return None


LOUD = Plugin(name="loud", factory=LoudStages, config=LoudOptions)

CRM_TABLE = '[services.crm]\nbase_url = "https://crm.example"\n'

WRONG = {
    "typo in a core key": (
        '[services.crm]\nbase_url = "https://crm.example"\ntimeout_second = 5\n',
        ["services.crm.timeout_second", "timeout_seconds"],
    ),
    "typo in a table": (
        '[servces.crm]\nbase_url = "https://crm.example"\n',
        ["servces", "'services'", "table or key"],
    ),
    "number as text": ("[services.crm]\nca_file = 5\n", ["services.crm.ca_file", "expected text"]),
    "number for a table": ("[services.crm]\npagination = 5\n", ["services.crm.pagination"]),
    "text for a domain": ("[domains]\nemail = 5\n", ["domains.email"]),
    "no name of a variable": (
        CRM_TABLE + 'credentials = { token = { env = "" } }\n',
        ["services.crm.credentials.token", "env"],
    ),
    "true for a plugin": ("[plugins]\nretry = true\n", ["plugins.retry"]),
    "wrong type": (
        '[services.crm]\ntimeout_seconds = "soon"\n',
        ["services.crm.timeout_seconds", "number", "nexus schema"],
    ),
    "boolean as number": ("[services.crm]\ntimeout_seconds = true\n", ["services.crm.timeout_seconds", "number"]),
    "NaN": ("[services.crm]\ntimeout_seconds = nan\n", ["services.crm.timeout_seconds", "finite"]),
    "infinity": ("[services.crm]\ntimeout_seconds = inf\n", ["services.crm.timeout_seconds", "finite"]),
    "negative seconds": ("[services.crm]\ntimeout_seconds = -1.0\n", ["services.crm", "timeout_seconds", "> 0"]),
    "zero permits": ("[services.crm]\nmax_concurrency = 0\n", ["max_concurrency", ">= 1"]),
    "text for a list": ('[plugins]\nrequire = "audit"\n', ["plugins.require", "list"]),
    "text for a table": ('services = "crm"\n', ["services", "table"]),
    "number for a service": ("[services]\ncrm = 5\n", ["services.crm", "table"]),
    "unknown plugin table": ("[plugins.brekaer]\nx = 1\n", ["plugins.brekaer", "pip install"]),
    "absent plugin's key": (
        '[services.crm]\nbase_url = "https://crm.example"\nbrake = { open_seconds = 3 }\n',
        ["services.crm.brake", 'pip install "nexus-connector-brake"'],
    ),
    "absent required plugin": ('[plugins]\nrequire = ["nowhere"]\n', ["plugins.require", "nowhere", "pip install"]),
    "unknown service of a domain": (
        '[domains]\nemail = "sendgird"\n[services.sendgrid]\nbase_url = "https://x.example"\n',
        ["domains.email.service", "'sendgrid'"],
    ),
    "unknown service of a tenant": (
        '[domains.email]\nservice = "a"\ntenants = { acme = "b" }\n[services.a]\nbase_url = "https://x.example"\n',
        ["domains.email.tenants.acme", "'b'"],
    ),
    "missing variable": (
        CRM_TABLE + '[services.crm.credentials]\ntoken = { env = "NEXUS_TEST_NOT_SET" }\n',
        ["services.crm.credentials.token", "NEXUS_TEST_NOT_SET", "Set "],
    ),
    "missing secret file": (
        CRM_TABLE + '[services.crm.credentials]\ntoken = { file = "nowhere" }\n',
        ["services.crm.credentials.token", "nowhere"],
    ),
    "literal secret": (
        CRM_TABLE + '[services.crm.credentials]\ntoken = "s3cr3t-canary"\n',
        ["services.crm.credentials.token", "must not stand", "env"],
    ),
    "unknown auth method": (
        CRM_TABLE + '[services.crm.credentials]\nmethod = "beerer"\ntoken = { env = "X" }\n',
        ["services.crm.credentials.method", "'bearer'"],
    ),
    "unknown key of credentials": (
        CRM_TABLE + '[services.crm.credentials]\nmethod = "bearer"\ntokn = { env = "X" }\n',
        ["services.crm.credentials.tokn", "'token'"],
    ),
    "plain http": ('[services.crm]\nbase_url = "http://crm.example"\n', ["base_url", "https"]),
    "credentials in a URL": ('[services.crm]\nbase_url = "https://u:p@crm.example"\n', ["base_url", "credentials"]),
    "no URL": ('[services.crm]\nbase_url = "crm.example"\n', ["base_url", "absolute"]),
    "unknown adapter": ('[services.crm]\nadapter = "sendgird"\n', ["services.crm.adapter", "sendgird"]),
    "adapter that cannot be imported": (
        '[services.crm]\nadapter = "no.such:Thing"\n',
        ["services.crm.adapter", "cannot be imported"],
    ),
    "options without an adapter": (
        '[services.crm]\nbase_url = "https://x.example"\noptions = { a = 1 }\n',
        ["services.crm.options"],
    ),
    "unknown pagination style": (
        '[services.crm]\nbase_url = "https://x.example"\npagination = { style = "curser" }\n',
        ["services.crm.pagination.style", "cursor"],
    ),
    "a shared store that nothing opens": (
        '[stores]\nshared = "nowhere://localhost"\n',
        ["stores.shared", "'nowhere'", "plugin"],
    ),
    "a durable store that nothing opens": ('[stores]\ndurable = "nowhere:///x.db"\n', ["stores.durable", "'nowhere'"]),
    "no TOML": ("[services\n", ["connector.toml", "no TOML"]),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_configuration_stops_at_start(case: str, tmp_path: Path) -> None:
    """Whatever is wrong is an error at start that names the path, the nearest right name and the remedy."""
    toml, facts = WRONG[case]
    with pytest.raises(ConfigurationError) as caught:
        build(tmp_path, toml)
    text = str(caught.value)
    for fact in facts:
        assert fact in text
    assert "s3cr3t-canary" not in text


def test_a_missing_file_names_the_ways_to_give_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a file the error says where one was looked for and how to name another."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NEXUS_CONFIG", raising=False)
    with pytest.raises(ConfigurationError, match=r"connector\.toml.*NEXUS_CONFIG"):
        Connector.from_file()


def test_the_file_is_found_by_variable_then_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """NEXUS_CONFIG names the file; without it connector.toml of the working directory is taken."""
    (tmp_path / "connector.toml").write_text('[services.here]\nbase_url = "https://here.example"\n')
    other = tmp_path / "other.toml"
    other.write_text('[services.other]\nbase_url = "https://other.example"\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NEXUS_CONFIG", raising=False)
    with Connector.from_file() as connector:
        assert list(connector.runtime.config.services) == ["here"]
    monkeypatch.setenv("NEXUS_CONFIG", str(other))
    with Connector.from_file() as connector:
        assert list(connector.runtime.config.services) == ["other"]


def test_sources_merge_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Defaults < files in order < environment; tables merge key by key."""
    first, second = tmp_path / "a.toml", tmp_path / "b.toml"
    first.write_text('[services.my-crm]\nbase_url = "https://a.example"\ntimeout_seconds = 1\nmax_concurrency = 7\n')
    second.write_text("[services.my-crm]\ntimeout_seconds = 2\nattempt_timeout_seconds = 2\n")
    monkeypatch.setenv("NEXUS__SERVICES__MY_CRM__ATTEMPT_TIMEOUT_SECONDS", "3.5")
    monkeypatch.setenv("NEXUS__SERVICES__MY_CRM__FOLLOW_REDIRECTS", "true")
    monkeypatch.setenv("NEXUS__SERVICES__MY_CRM__ALLOWED_HOSTS", '["a.example", "b.example"]')
    with Connector.from_file(first, second) as connector:
        crm = connector.runtime.config.services["my-crm"]
    assert (crm.base_url, crm.timeout_seconds, crm.attempt_timeout_seconds) == (("https://a.example",), 2.0, 3.5)
    assert (crm.max_concurrency, crm.follow_redirects, crm.allowed_hosts) == (7, True, ("a.example", "b.example"))


@pytest.mark.parametrize(("text", "value"), [("true", True), ("False", False)])
def test_yes_and_no_in_the_environment(monkeypatch: pytest.MonkeyPatch, text: str, value: bool) -> None:
    """A variable that should be yes or no is ``true`` or ``false``, in any case, whatever the file says."""
    monkeypatch.setenv("NEXUS__SERVICES__CRM__FOLLOW_REDIRECTS", text)
    with Connector.from_config({"services": {"crm": CRM}}) as connector:
        assert connector.runtime.config.services["crm"].follow_redirects is value


def test_the_argument_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is given in code wins."""
    monkeypatch.setenv("NEXUS__SERVICES__CRM__TIMEOUT_SECONDS", "3")
    with Connector.from_config({"services": {"crm": {**CRM, "timeout_seconds": 4}}}) as connector:
        assert connector.runtime.config.services["crm"].timeout_seconds == 4.0


@pytest.mark.parametrize("value", ["soon", "", "nan", "inf", "1e999", "-1", "٣", "0x10", "1_0.5.5"])
def test_odd_numbers_in_the_environment_are_errors(value: str) -> None:
    """A variable that should be a number of seconds is read as one, or refused."""
    raw = load(None, {"services": {"crm": CRM}}, {"NEXUS__SERVICES__CRM__TIMEOUT_SECONDS": value})
    raw["services"]["crm"]["timeout_seconds"]  # type: ignore[index]  # it was merged
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NEXUS__SERVICES__CRM__TIMEOUT_SECONDS", value)
        with pytest.raises(ConfigurationError, match=r"services\.crm.*timeout_seconds"):
            Connector.from_config({"services": {"crm": CRM}})


def test_other_variables_are_left_alone() -> None:
    """Only double underscores count: Kubernetes sets NEXUS_PORT and its like."""
    assert read_environment({"NEXUS_PORT": "tcp://10.0.0.1", "NEXUS_CONFIG": "x", "NEXUSX__A": "1"}, {}) == {}


def test_a_variable_that_names_nothing_is_an_error() -> None:
    """An empty part of a variable's name is a mistake, said by its name."""
    with pytest.raises(ConfigurationError, match="NEXUS__SERVICES____X"):
        read_environment({"NEXUS__SERVICES____X": "1"}, {})


def test_a_variable_below_text_is_an_error() -> None:
    """One variable cannot go below a key that another one sets to text."""
    with pytest.raises(ConfigurationError, match="NEXUS__A__B"):
        read_environment({"NEXUS__A": "1", "NEXUS__A__B": "2"}, {})


def test_merging_replaces_a_secrets_place_whole() -> None:
    """{ file = } over { env = } is one place, not two."""
    assert merge({"token": {"env": "A"}}, {"token": {"file": "b"}}) == {"token": {"file": "b"}}


def test_secrets_come_from_environment_file_and_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret is found where the configuration says; a file loses one trailing line break."""
    monkeypatch.setenv("NEXUS_TEST_SECRET", "from-env")
    (tmp_path / "secret").write_text("from-file\n")
    assert SecretRef(env="NEXUS_TEST_SECRET").resolve().reveal() == "from-env"
    assert SecretRef(file=str(tmp_path / "secret")).resolve().reveal() == "from-file"
    assert SecretRef(value=Secret("from-code")).resolve().reveal() == "from-code"
    assert "from" not in repr([SecretRef(value=Secret("from-code"))])


def test_relative_secret_files_start_at_the_configuration_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative path in a file means beside that file, wherever the process runs."""
    (tmp_path / "token").write_text("t0ken-from-file")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    toml = '[services.crm]\nbase_url = "https://crm.example"\ncredentials = { token = { file = "token" } }\n'
    with build(tmp_path, toml) as connector:
        credentials = connector.runtime.target("crm").credentials
    assert credentials is not None
    assert credentials.headers["Authorization"].reveal() == "Bearer t0ken-from-file"


def test_check_false_needs_no_secret_and_check_finds_it_missing(tmp_path: Path) -> None:
    """from_file(check=False) opens nothing; check() later says what is missing."""
    toml = (
        '[services.crm]\nbase_url = "https://crm.example"\ncredentials = { token = { env = "NEXUS_TEST_NOT_SET" } }\n'
    )
    with build(tmp_path, toml, check=False) as connector, pytest.raises(ConfigurationError, match="NEXUS_TEST_NOT_SET"):
        connector.check()


@pytest.mark.parametrize(
    ("table", "method", "header"),
    [
        ({"token": Secret("abc")}, AuthMethod.BEARER, ("Authorization", "Bearer abc")),
        ({"method": "api_key", "key": Secret("abc")}, AuthMethod.API_KEY, ("X-Api-Key", "abc")),
        ({"key": Secret("abc"), "header": "X-Server"}, AuthMethod.API_KEY, ("X-Server", "abc")),
        ({"username": "ada", "password": Secret("abc")}, AuthMethod.BASIC, ("Authorization", "Basic YWRhOmFiYw==")),
    ],
)
def test_static_credentials(table: dict[str, object], method: AuthMethod, header: tuple[str, str]) -> None:
    """Bearer, API key and basic are read from the table; a tell-tale key names the method."""
    with Connector.from_config({"services": {"crm": {**CRM, "credentials": table}}}) as connector:
        credentials = connector.runtime.target("crm").credentials
    assert credentials is not None
    assert credentials.method is method
    assert credentials.headers[header[0]].reveal() == header[1]


def test_a_key_in_the_query(tmp_path: Path) -> None:
    """An API key may go into a query parameter, but not into both places."""
    table = {"key": Secret("abc"), "query": "api_key"}
    with Connector.from_config({"services": {"crm": {**CRM, "credentials": table}}}) as connector:
        credentials = connector.runtime.target("crm").credentials
    assert credentials is not None
    assert credentials.query["api_key"].reveal() == "abc"
    with pytest.raises(ConfigurationError, match="not both"):
        Connector.from_config({"services": {"crm": {**CRM, "credentials": {**table, "header": "X"}}}})


def test_a_plugin_is_configured_overridden_and_switched_off() -> None:
    """[plugins.loud] sets defaults, [services.a.loud] overrides them, false in either switches it off."""
    services = {"a": {**CRM, "loud": {"volume": 5}}, "b": CRM, "c": {**CRM, "loud": False}}
    config = {"services": services, "plugins": {"loud": {"path": "x"}}}
    with Connector.from_config(config, plugins=[LOUD]) as connector:
        tables = connector.runtime.tables
        assert tables.read("loud", LoudOptions, "a") == LoudOptions(volume=5, path="x")
        assert tables.read("loud", LoudOptions, "b") == LoudOptions(volume=3, path="x")
        assert tables.read("loud", LoudOptions, "c") is None
    off = {"services": {"a": {**CRM, "loud": {"volume": 5}}, "b": CRM}, "plugins": {"loud": False}}
    with Connector.from_config(off, plugins=[LOUD]) as connector:
        assert connector.runtime.tables.read("loud", LoudOptions, "a") == LoudOptions(volume=5)
        assert connector.runtime.tables.read("loud", LoudOptions, "b") is None


def test_options_that_nobody_would_see_are_refused() -> None:
    """Only build hooks are asked by service: a plugin without them has no way to see options of one service."""
    plain = attrs.evolve(LOUD, factory=Loud)
    with pytest.raises(ConfigurationError, match=r"services\.a\.loud.*\[plugins\.loud\]"):
        Connector.from_config({"services": {"a": {**CRM, "loud": {"volume": 5}}}}, plugins=[plain])
    with Connector.from_config({"services": {"a": {**CRM, "loud": False}}}, plugins=[plain]) as connector:
        assert connector.runtime.tables.services_without("loud") == {"a"}


@pytest.mark.parametrize("place", ["plugins", "service"])
def test_a_plugins_options_are_as_strict(place: str) -> None:
    """A typo or a value out of range in a plugin's table names its path, wherever it stands."""
    for table, fact in (({"volum": 1}, "volume"), ({"volume": -1}, ">= 0")):
        config: dict[str, object] = {"services": {"a": CRM}, "plugins": {"loud": table}}
        path = r"plugins\.loud"
        if place == "service":
            config, path = {"services": {"a": {**CRM, "loud": table}}}, r"services\.a\.loud"
        with pytest.raises(ConfigurationError, match=path) as caught:
            Connector.from_config(config, plugins=[LOUD])
        assert fact in str(caught.value)


def test_true_is_no_table_of_options() -> None:
    """A plugin is switched off with false; true says nothing and is refused."""
    with pytest.raises(ConfigurationError, match=r"services\.crm\.loud.*false"):
        Connector.from_config({"services": {"crm": {**CRM, "loud": True}}}, plugins=[LOUD])


@attrs.frozen(kw_only=True)
class QuietOptions:
    """Options of a plugin that does nothing until it is enabled."""

    enabled: bool = False
    volume: int = 1


class Quiet:
    """Brings a gate to the services where it is enabled."""

    @hookimpl
    def gates(self, config: ServiceSetup) -> list[Gate]:
        options = config.of(QuietOptions)
        return [QuietGate()] if options is not None and options.enabled else []


class QuietGate(Gate):
    """Admits everything."""

    name = "quiet"


QUIET = Plugin(
    name="quiet",
    factory=lambda _: Quiet(),
    config=QuietOptions,
    waiting=lambda options: None if options.enabled else "quiet = true",
)


def test_true_switches_on_what_can_be_enabled() -> None:
    """For a plugin with an option ``enabled`` true is short for it, and options of one service switch it on there."""
    services = {"a": {**CRM, "quiet": True}, "b": CRM, "c": {**CRM, "quiet": False}}
    with Connector.from_config({"services": services, "plugins": {"quiet": {"volume": 7}}}, plugins=[QUIET]) as one:
        read = [one.runtime.tables.read("quiet", QuietOptions, name) for name in "abc"]
        assert read == [QuietOptions(enabled=True, volume=7), QuietOptions(volume=7), None]
    tables = {"a": {**CRM, "quiet": {"volume": 2}}, "b": {**CRM, "quiet": {"enabled": False}}, "c": CRM}
    with Connector.from_config({"services": tables}, plugins=[QUIET]) as named:
        read = [named.runtime.tables.read("quiet", QuietOptions, name) for name in "abc"]
        assert read == [QuietOptions(enabled=True, volume=2), QuietOptions(), QuietOptions()]
    with Connector.from_config({"services": services, "plugins": {"quiet": True}}, plugins=[QUIET]) as everywhere:
        read = [everywhere.runtime.tables.read("quiet", QuietOptions, name) for name in "abc"]
        assert read == [QuietOptions(enabled=True), QuietOptions(enabled=True), None]


def test_a_variable_switches_a_plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    """``NEXUS__SERVICES__A__QUIET=true`` and ``NEXUS__PLUGINS__QUIET=false`` say the same as in a file."""
    monkeypatch.setenv("NEXUS__PLUGINS__QUIET", "False")
    monkeypatch.setenv("NEXUS__SERVICES__A__QUIET", "true")
    with Connector.from_config({"services": {"a": CRM, "b": CRM}}, plugins=[QUIET]) as connector:
        assert connector.runtime.tables.read("quiet", QuietOptions, "a") == QuietOptions(enabled=True)
        assert connector.runtime.tables.read("quiet", QuietOptions, "b") is None
    monkeypatch.setenv("NEXUS__SERVICES__A__QUIET", "yes")
    with pytest.raises(ConfigurationError, match=r"services\.a\.quiet"):
        Connector.from_config({"services": {"a": CRM, "b": CRM}}, plugins=[QUIET])


def test_a_plugin_that_takes_part_somewhere_waits_for_nothing() -> None:
    """What it waits for is said as long as no service has a gate or stage of it."""
    with Connector.from_config({"services": {"a": CRM}}, plugins=[QUIET]) as idle:
        assert idle.runtime.waiting("quiet") == "quiet = true"
    for check in (True, False):
        busy = {"services": {"a": CRM, "b": {**CRM, "quiet": True}}}
        with Connector.from_config(busy, plugins=[QUIET], check=check) as connector:
            assert connector.runtime.waiting("quiet") is None


def test_a_plugin_with_build_hooks_is_asked_though_it_waits() -> None:
    """Its options are not all that it may go by: an adapter can bring what it acts on."""

    class Finds(Quiet):
        @hookimpl
        def gates(self, config: ServiceSetup) -> list[Gate]:
            return [QuietGate()]

    finds = attrs.evolve(QUIET, factory=lambda _: Finds(), waiting=lambda _: "quiet = true")
    with Connector.from_config({"services": {"a": CRM}}, plugins=[finds]) as connector:
        assert "quiet" in [entry.name for entry in connector.explain("a")]
        assert connector.runtime.waiting("quiet") is None


def test_a_plugin_may_wait_for_a_durable_store() -> None:
    """One that keeps what must survive says so, until ``stores.durable`` names a place."""

    class Opens:
        @hookimpl
        def store(self, url: str) -> Store | None:
            return MemoryStore(lambda: 0.0)

    keeps = attrs.evolve(QUIET, durable=True, waiting=None)
    with Connector.from_config({"services": {"a": CRM}}, plugins=[keeps]) as connector:
        assert connector.runtime.waiting("quiet") == "stores.durable"
    config = {"services": {"a": CRM}, "stores": {"durable": "kept://"}}
    with Connector.from_config(config, plugins=[keeps, Opens()]) as connector:
        assert connector.runtime.waiting("quiet") is None


def test_a_plugin_may_not_take_the_name_of_a_core_key() -> None:
    """A plugin called like a key of services, or like an installed one, is refused."""
    with pytest.raises((PluginError, ConfigurationError)):
        Connector.from_config({}, plugins=[attrs.evolve(LOUD, name="headers")])


def test_needs_are_checked() -> None:
    """A plugin that needs another one which takes no part is an error with the pip line."""
    with pytest.raises(ConfigurationError, match='pip install "nexus-connector-choir"'):
        Connector.from_config({}, plugins=[attrs.evolve(LOUD, needs=("choir",))])


def test_an_unknown_service_names_the_nearest() -> None:
    """Calling a service that is not configured names the nearest one."""
    with (
        Connector.from_config({"services": {"crm": CRM}}) as connector,
        pytest.raises(ConfigurationError, match="'crm'"),
    ):
        connector.service("cmr")


def test_the_nearest_name_needs_some_likeness() -> None:
    """A name like nothing known gets no guess."""
    assert nearest("zzz", ["timeout_seconds"]) == ""


def test_a_region_is_called_by_its_host() -> None:
    """Regions keep the order of base_url; where a host serves several, its paths tell them apart."""
    urls = ["https://eu.crm.example/api/", "https://us.crm.example:8443/api", "https://eu.crm.example/old"]
    with Connector.from_config({"services": {"crm": {"base_url": urls}}}) as connector:
        regions = connector.runtime.config.services["crm"].regions
    assert [(region.name, region.base_url) for region in regions] == [
        ("eu.crm.example/api", "https://eu.crm.example/api"),
        ("us.crm.example:8443", "https://us.crm.example:8443/api"),
        ("eu.crm.example/old", "https://eu.crm.example/old"),
    ]
