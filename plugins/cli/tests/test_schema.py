from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import attrs
import pytest
from attrs import validators

from nexus_connector.config import SecretRef
from nexus_connector.config.model import option
from nexus_connector_cli._json_schema import json_schema
from nexus_connector_cli._options import Limits, limits_of, options_of, words
from nexus_connector_cli._tables import OptionTable

OPTIONS = """
import attrs
from nexus_connector import Plugin, ServiceAdapter, Vendor, hookimpl, option

@attrs.frozen(kw_only=True)
class Options:
    \"\"\"How greetings are said.\"\"\"
    loudness: float = option(0.5, "How loud.", validator=[attrs.validators.gt(0), attrs.validators.le(11)], unit="dB")

class Hooks:
    @hookimpl
    def before_request(self): return None

class Adapter(ServiceAdapter):
    vendor = Vendor(name="acme", domain="email", base_url=("https://acme.example",))
    options_class = Options

plugin = Plugin(name="greeter", factory=lambda _: Hooks(), config=Options)
"""


def test_every_option_is_printed(nexus):
    """Each option of the core has its type, range, unit, default and text."""
    out = nexus("schema").out
    assert "[services.NAME]  One outside API" in out
    assert "timeout_seconds          number, > 0, in s, default 30.0" in out
    assert "Time of a whole call: waits, every attempt, backoff." in out
    for path in (
        "[stores]",
        "[plugins]",
        "[domains.NAME]",
        "[services.NAME.pagination]",
        "[services.NAME.credentials]",
    ):
        assert path in out


def test_options_of_what_is_installed_are_printed(nexus, install):
    """A plugin's and an adapter's own options stand beside the core's."""
    install("greeter", OPTIONS, plugins="greeter = app_of_greeter:plugin", vendors="acme = app_of_greeter:Adapter")
    out = nexus("schema").out
    assert "[plugins.greeter]  How greetings are said" in out
    assert "loudness  number, > 0, <= 11, in dB, default 0.5" in out
    assert 'adapter = "acme"' in out
    schema = nexus("schema", "--json").json
    loudness = {
        "type": "number",
        "exclusiveMinimum": 0,
        "maximum": 11,
        "default": 0.5,
        "description": "How loud. In dB.",
    }
    assert schema["properties"]["plugins"]["properties"]["greeter"]["anyOf"][0]["properties"]["loudness"] == loudness
    assert schema["$defs"]["service"]["properties"]["greeter"] == {"const": False}, "it has one set of options for all"
    [by_adapter] = [
        each for each in schema["$defs"]["service"]["allOf"] if each["if"]["properties"]["adapter"]["const"] == "acme"
    ]
    assert by_adapter["then"]["properties"]["options"]["properties"]["loudness"] == loudness
    by_name = schema["properties"]["services"]["properties"]["acme"]
    assert by_name["then"]["properties"]["options"]["properties"]["loudness"] == loudness


def test_a_plugin_that_is_asked_by_service_has_options_there(nexus, install):
    """What brings stages or gates may have other options in a service, or be switched off there."""
    stages = OPTIONS.replace("def before_request(self): return None", "def stages(self, config): return None")
    install("greeter", stages, plugins="greeter = app_of_greeter:plugin")
    table, off = nexus("schema", "--json").json["$defs"]["service"]["properties"]["greeter"]["anyOf"]
    assert "loudness" in table["properties"]
    assert off == {"const": False}
    assert "also [services.NAME.greeter], for one service" in nexus("schema").out


def test_broken_adapter_is_left_out(nexus, install):
    """One adapter that cannot be imported does not hide the options of the others."""
    install("sad", "1 / 0", vendors="acme = app_of_sad:Adapter")
    ran = nexus("schema")
    assert ran.code == 0
    assert "[stores]" in ran.out


def test_schema_is_of_the_whole_file(nexus):
    """The JSON Schema knows every table, refuses unknown keys, and takes a secret only by its place."""
    schema = nexus("schema", "--json").json
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["additionalProperties"] is False
    assert {"services", "domains", "stores", "plugins"} < set(schema["properties"])
    service = schema["$defs"]["service"]
    assert service["additionalProperties"] is False
    assert service["properties"]["timeout_seconds"]["exclusiveMinimum"] == 0
    assert {"type": "string"} in service["properties"]["base_url"]["anyOf"]
    assert service["properties"]["credentials"]["properties"]["token"] == {"$ref": "#/$defs/secret"}
    assert service["properties"]["tenant"]["enum"] == ["optional", "required"]
    assert {"type": "string"} in schema["properties"]["domains"]["additionalProperties"]["anyOf"]


@attrs.frozen(kw_only=True)
class Inner:
    """An inner table."""

    name: str = attrs.field(metadata={"text": "Its name."})


@attrs.frozen(kw_only=True)
class Many:
    """One option of each kind."""

    choice: Literal["a", "b"] = option("a", "A choice.")
    level: int | None = option(None, "A level.", validator=validators.optional(validators.in_([1, 2])))
    names: tuple[str, ...] = option((), "Names.", validator=validators.min_len(1))
    code: str = option("x", "A code.", validator=[validators.matches_re("[a-z]+"), validators.max_len(3)])
    secret: SecretRef | None = option(None, "A secret.")
    table: Mapping[str, float] = option({}, "A table.")
    inner: Inner | None = option(None, "Inner.")
    both: str | tuple[str, ...] = option("", "Either.")
    flag: bool = option(False, "A flag.")
    made: float = attrs.field(default=attrs.Factory(lambda self: 1.0, takes_self=True))
    hidden: int = attrs.field(default=0, init=False)


def test_kinds_of_options():
    """Every kind of option is named in words and in JSON Schema, with its limits."""
    named = {each.name: words(each.kind) for each in options_of(Many)}
    assert named == {
        "choice": "text",
        "level": "whole number",
        "names": "list of text",
        "code": "text",
        "secret": "secret",
        "table": "table of number",
        "inner": "table",
        "both": "text or list of text",
        "flag": "true or false",
        "made": "number",
    }
    schema = json_schema([OptionTable(path="plugins.many", kind=Many)], [])
    table = schema["properties"]["plugins"]["properties"]["many"]["anyOf"][0]["properties"]
    plain = {name: {key: value for key, value in each.items() if key != "description"} for name, each in table.items()}
    assert plain == {
        "choice": {"enum": ["a", "b"], "default": "a"},
        "level": {"type": "integer", "enum": [1, 2]},
        "names": {"type": "array", "items": {"type": "string"}, "minItems": 1, "default": []},
        "code": {"type": "string", "pattern": "[a-z]+", "maxLength": 3, "default": "x"},
        "secret": {"$ref": "#/$defs/secret"},
        "table": {"type": "object", "additionalProperties": {"type": "number"}, "default": {}},
        "inner": {
            "type": "object",
            "properties": {"name": {"type": "string", "description": "Its name."}},
            "additionalProperties": False,
            "required": ["name"],
        },
        "both": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}], "default": ""},
        "flag": {"type": "boolean", "default": False},
        "made": {"type": "number"},
    }


@pytest.mark.parametrize(
    ("validator", "shown"),
    [
        (None, ""),
        (validators.and_(validators.ge(0), validators.lt(10)), ">= 0, < 10"),
        (validators.lt(float("inf")), ""),
        (validators.min_len(2), "at least 2 long"),
        (validators.max_len(3), "at most 3 long"),
        (validators.matches_re("[a-z]"), "matches [a-z]"),
        (validators.instance_of(str), ""),
        (lambda *_: None, ""),
    ],
)
def test_limits_are_the_validators_own(validator, shown):
    """A range is what attrs' validators say; what they do not say is not made up."""
    assert str(limits_of(validator)) == shown


def test_no_limits_are_empty():
    """Without any limit there is nothing to show."""
    assert str(Limits()) == ""
