"""Operations: the steps of the machine as stores run them, each with its Lua twin."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from nexus_connector.state import AtomicOp, Key, Plain

from ._machine import BUCKETS, HELD, HELD_KEPT_MS, KEPT_MS, Step, admit, by_hand, look, report

_NAMES: Final = f"local KEPT, HELD, HELD_KEPT, BUCKETS = {KEPT_MS}, {HELD}, {HELD_KEPT_MS}, {BUCKETS}"
_CIRCUIT: Final = """
local function read()
  local kept = state or {'closed', 0, 0, 0, 0, '', {}}
  return {
    phase = kept[1], generation = kept[2], since = kept[3], till = kept[4],
    failures = kept[5], reason = kept[6], window = kept[7],
  }
end
local function leave(old, circuit, probe)
  local left, ttl = HELD, HELD_KEPT
  if circuit.till ~= HELD then
    left = math.max(0, circuit.till - now_ms)
    ttl = KEPT + left
  end
  local age = math.max(0, now_ms - circuit.since)
  local reply = {
    old, circuit.phase, circuit.generation, left, age, circuit.failures, circuit.reason, probe or false,
  }
  if circuit.generation == 0 and circuit.failures == 0 and #circuit.window == 0 then return nil, 0, reply end
  local kept = {
    circuit.phase, circuit.generation, circuit.since, circuit.till, circuit.failures, circuit.reason, circuit.window,
  }
  return kept, ttl, reply
end
local function sums(window, oldest)
  local calls, failed, slow = 0, 0, 0
  for _, bucket in ipairs(window) do
    if bucket[1] > oldest then
      calls, failed, slow = calls + bucket[2], failed + bucket[3], slow + bucket[4]
    end
  end
  return calls, failed, slow
end
local circuit = read()
local old = circuit.phase
"""
"""What all twins begin with: the circuit as it is, and the way to leave it."""

_ADMIT: Final = """
if old == 'closed' and args[2] == circuit.generation then circuit.failures = 0 end
if old == 'closed' or circuit.till == HELD or now_ms < circuit.till then return leave(old, circuit) end
if old == 'open' then circuit.since = now_ms end
circuit.phase, circuit.generation, circuit.till = 'half_open', circuit.generation + 1, now_ms + args[1]
return leave(old, circuit, true)
"""

_REPORT: Final = """
local generation, ok, slow, age, failed, failed_slow = args[1], args[2], args[3], args[4], args[5], args[6]
local threshold, failure_rate, slow_call_rate, minimum = args[7], args[8], args[9], args[10]
local window_ms, open_ms, opens = args[11], args[12], args[13]
local function open(reason)
  circuit.phase, circuit.generation, circuit.since = 'open', circuit.generation + 1, now_ms
  circuit.till, circuit.reason, circuit.window = now_ms + open_ms, reason, {}
end
local function slide()
  local width, oldest = math.max(1, math.floor(window_ms / BUCKETS)), now_ms - window_ms
  local starts, buckets = {}, {}
  local function add(start, calls, failures, slow_ones)
    if calls == 0 or start <= oldest then return end
    local bucket = buckets[start]
    if bucket == nil then
      bucket = {start, 0, 0, 0}
      buckets[start], starts[#starts + 1] = bucket, start
    end
    bucket[2], bucket[3], bucket[4] = bucket[2] + calls, bucket[3] + failures, bucket[4] + slow_ones
  end
  for _, bucket in ipairs(circuit.window) do add(bucket[1], bucket[2], bucket[3], bucket[4]) end
  add(now_ms - age - (now_ms - age) % width, ok, 0, slow)
  add(now_ms - now_ms % width, failed, failed, failed_slow)
  table.sort(starts)
  for place, start in ipairs(starts) do starts[place] = buckets[start] end
  return starts
end
local function share(name, count, calls, limit)
  if limit <= 0 or count / calls < limit then return nil end
  local percent, seconds = math.floor((200 * count + calls) / (2 * calls)), string.format('%g', window_ms / 1000)
  return string.format('%s rate %.0f %% of %.0f calls in %s s', name, percent, calls, seconds)
end
local function reason()
  local failures = circuit.failures
  if threshold > 0 and failures >= threshold then
    return failures > 1 and string.format('%.0f consecutive failures', failures) or '1 failure'
  end
  local calls, failed_calls, slow_calls = sums(circuit.window, now_ms - window_ms)
  if calls < minimum then return nil end
  return share('failure', failed_calls, calls, failure_rate) or share('slow call', slow_calls, calls, slow_call_rate)
end
if generation ~= circuit.generation or old == 'open' then return leave(old, circuit) end
if old == 'half_open' then
  if failed > 0 then
    open('probe failed')
  elseif ok == 0 then
    circuit.till = 0
  elseif slow > 0 and slow_call_rate > 0 then
    open('probe was slow')
  else
    circuit.phase, circuit.generation, circuit.since = 'closed', circuit.generation + 1, now_ms
    circuit.till, circuit.failures, circuit.reason, circuit.window = 0, 0, 'probe succeeded', {}
  end
  return leave(old, circuit)
end
circuit.failures = (ok > 0 and failed == 0) and 0 or circuit.failures + failed
circuit.window = (failure_rate > 0 or slow_call_rate > 0) and slide() or {}
local why = reason()
if why and opens then open(why) end
return leave(old, circuit)
"""

_LOOK: Final = """
local kept, ttl, reply = leave(old, circuit)
local calls, failed, slow = sums(circuit.window, now_ms - args[1])
reply[9], reply[10], reply[11] = calls, failed, slow
return kept, ttl, reply
"""

_SET: Final = """
local order, open_ms = args[1], args[2]
if order == 'open' then
  if old ~= 'open' then circuit.since = now_ms end
  circuit.phase, circuit.generation, circuit.reason, circuit.window = 'open', circuit.generation + 1, 'by hand', {}
  circuit.till = open_ms == HELD and HELD or now_ms + open_ms
elseif order == 'reset' then
  circuit.failures, circuit.window = 0, {}
elseif old ~= 'closed' then
  circuit.phase, circuit.generation, circuit.since = 'closed', circuit.generation + 1, now_ms
  circuit.till, circuit.failures, circuit.reason, circuit.window = 0, 0, 'by hand', {}
end
return leave(old, circuit)
"""


def _op(name: str, py: Callable[[Plain, int, Sequence[Plain]], Step], body: str) -> AtomicOp:
    return AtomicOp(name=f"breaker.{name}", version=1, py=py, lua=_NAMES + _CIRCUIT + body)


ADMIT: Final = _op("admit", admit, _ADMIT)
REPORT: Final = _op("report", report, _REPORT)
LOOK: Final = _op("look", look, _LOOK)
SET: Final = _op("set", by_hand, _SET)


def circuit_key(service: str, region: str | None, group: str) -> Key:
    """Return the key of a circuit."""
    return service, "breaker", region or "", group
