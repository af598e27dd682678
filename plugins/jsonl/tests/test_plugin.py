from __future__ import annotations

import json
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from types import SimpleNamespace

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nexus_connector import IntegrationLog
from nexus_connector.config.reading import read
from nexus_connector.errors import ConfigurationError
from nexus_connector.plugins import new_registry, register
from nexus_connector_jsonl import JsonlOptions, plugin
from nexus_connector_jsonl._lines import _careful_line, _line, encode

MakeRecord = Callable[..., IntegrationLog]

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=10,
)


def hooks(path: Path | None) -> SimpleNamespace:
    """Register the plugin as the core does; return its hooks."""
    registry = new_registry()
    options = JsonlOptions(path=None if path is None else str(path))
    register(registry, plugin.factory(options), plugin.name)
    return registry.hook  # type: ignore[return-value]  # pluggy's relay is untyped


def test_hook_store_log(tmp_path: Path, make_record: MakeRecord) -> None:
    """Every record of a batch becomes one line of JSON with all its fields, in order."""
    first, second = make_record("one"), make_record("two", second=1)

    hooks(tmp_path).store_log(records=[first, second])

    (file,) = tmp_path.iterdir()
    assert [json.loads(line) for line in file.read_text().splitlines()] == [first.as_dict(), second.as_dict()]


def test_hook_read_log(tmp_path: Path, make_record: MakeRecord) -> None:
    """The records of a call come oldest first, whoever wrote them; those of other calls do not."""
    hooks(tmp_path).store_log(records=[make_record("try", second=1, call_id="mine"), make_record(call_id="other")])
    hook = hooks(tmp_path)
    hook.store_log(records=[make_record("again", second=2, call_id="mine"), make_record("call", call_id="mine")])

    found = hook.read_log(call_id="mine")

    assert [record["id"] for record in found] == ["call", "try", "again"]
    assert found[1] == make_record("try", second=1, call_id="mine").as_dict()


def test_read_log_leaves_an_unknown_call_to_others(tmp_path: Path, make_record: MakeRecord) -> None:
    """A call of which nothing is kept is left to the next plugin, also before anything was written."""
    hook = hooks(tmp_path / "later")
    assert hook.read_log(call_id="mine") is None
    hook.store_log(records=[make_record(call_id="other")])
    assert hook.read_log(call_id="mine") is None


def test_without_a_path_nothing_happens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_record: MakeRecord
) -> None:
    """An install alone writes no file and keeps no record."""
    monkeypatch.chdir(tmp_path)
    hook = hooks(None)

    hook.store_log(records=[make_record()])

    assert hook.read_log(call_id=make_record().call_id) is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("path", "key"), [(None, "plugins.jsonl.path"), ("", "plugins.jsonl.path"), ("x", None)])
def test_waiting(path: str | None, key: str | None) -> None:
    """It waits for its path, and says so, until there is one."""
    assert plugin.waiting is not None
    assert plugin.waiting(JsonlOptions(path=path)) == key


def test_a_build_opens_nothing(tmp_path: Path) -> None:
    """Neither directory nor file is made before the first batch; an empty batch is none."""
    hooks(tmp_path / "records").store_log(records=[])

    assert list(tmp_path.iterdir()) == []


def test_the_directory_stays_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_record: MakeRecord) -> None:
    """A relative path means the directory in which the connector was built, wherever the process goes later."""
    monkeypatch.chdir(tmp_path)
    hook = hooks(Path("records"))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")

    hook.store_log(records=[make_record()])

    assert len(list((tmp_path / "records").iterdir())) == 1


@pytest.mark.parametrize(
    "table", [{"path": 5}, {"max_file_bytes": 4095}, {"keep_files": 0}, {"fsync": "yes"}, {"pathh": "x"}]
)
def test_bad_options_are_refused(table: dict[str, object]) -> None:
    """An option out of range, of another type or misspelt is refused by its name."""
    (name,) = table
    with pytest.raises(ConfigurationError, match=rf"plugins\.jsonl.*\b{name}\b"):
        read(table, JsonlOptions, "plugins.jsonl")


def test_every_option_is_documented() -> None:
    """The schema finds a text at every option, and the README names it."""
    readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    for field in attrs.fields(JsonlOptions):
        assert field.metadata["text"]
        assert f"`{field.name}`" in readme


def test_entry_point() -> None:
    """The installed distribution names this plugin by its own name."""
    found = [entry for entry in entry_points(group="nexus_connector.plugins") if entry.name == plugin.name]
    if not found:
        pytest.skip("runs from the source tree")
    assert found[0].load() is plugin


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=json_values)
def test_a_record_is_one_line(make_record: MakeRecord, value: object) -> None:
    """Whatever text a value holds, its record is one line for every reader, and comes back unchanged."""
    line = encode([make_record(request_data=value, error_message="first\nsecond\r\u2028\x85third ✓")])

    text = line.decode()
    assert text.splitlines(keepends=True) == [text]
    assert text.endswith("}\n")
    assert json.loads(text)["request_data"] == value


def test_lone_surrogates_survive(make_record: MakeRecord) -> None:
    """Text that UTF-8 cannot carry is written all the same."""
    line = encode([make_record(request_data="\ud800 half")])

    assert json.loads(line)["request_data"] == "\ud800 half"


def test_what_is_not_json_costs_no_line(make_record: MakeRecord) -> None:
    """A body that is not JSON costs only itself; nothing of its unredacted text is written."""
    circular: list[object] = []
    circular.append(circular)
    bodies = [float("nan"), circular, {("a", "b"): 1}, {"secret": b"hunter2"}, 1]

    lines = encode([make_record(str(index), request_data=body) for index, body in enumerate(bodies)])

    records = [json.loads(line) for line in lines.splitlines()]
    assert [record["id"] for record in records] == ["0", "1", "2", "3", "4"]
    assert records[0]["request_data"] is None
    assert records[2]["request_data"] == "<not JSON: TypeError>"
    assert records[3]["request_data"] == {"secret": "<bytes>"}
    assert records[4]["request_data"] == 1
    assert b"hunter2" not in lines


@pytest.mark.parametrize("text", ["plain", 'quote " and \\', "é", "\u2028", "\ud800", "\x00\x1f\x7f", "𝄞"])
def test_lines_are_ascii_whatever_they_hold(make_record: MakeRecord, text: str) -> None:
    """One line of ASCII for every record, from which its texts come back: no sign in a value ends it for any reader."""
    line = encode([make_record("1", request_data={"body": {text: text, "number": 2**70}})])
    assert line.isascii()
    assert line.count(b"\n") == 1
    assert json.loads(line)["request_data"] == {"body": {text: text, "number": 2**70}}


@given(json_values)
def test_both_encoders_write_the_same(value: object) -> None:
    """The fast line of a plain record is the one that the standard library would write, as far as JSON goes."""
    plain = {"request_data": value}
    assert json.loads(_line(plain)) == json.loads(_careful_line(plain)) == plain
