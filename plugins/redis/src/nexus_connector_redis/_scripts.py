"""Scripts: what runs inside Redis."""

from __future__ import annotations

import functools
import hashlib
from typing import Final

import attrs

from nexus_connector.state import AtomicOp

from ._wires import command

_NULL: Final = "local null = '\\255'\n"
_WRITE: Final = """\
local function check(value, depth)
  local kind = type(value)
  if kind == 'table' then
    if depth > 16 then error('lists nest more than 16 deep') end
    for place = 1, #value do check(value[place], depth + 1) end
  elseif kind == 'number' and value - value ~= 0 then
    error('not a finite number')
  end
end
local find, pack, unpack = string.find, cmsgpack.pack, cmsgpack.unpack
local function write(value)
  local data = pack(value)
  if find(data, '\\203', 1, true) or find(data, '\\202', 1, true) or find(data, '\\192', 1, true) then
    check(value, 1)
  end
  return data
end
"""
"""cmsgpack writes what is no number without a word, and nil for lists that nest too deeply."""

_KEEP: Final = """\
local function keep(kept, state, ttl_ms)
  if state and ttl_ms > 0 then
    redis.call('SET', KEYS[1], state, 'PX', math.floor(ttl_ms))
  elseif kept then
    redis.call('DEL', KEYS[1])
  end
end
"""

_STEP: Final = """\
local kept = redis.call('GET', KEYS[1])
local time = redis.call('TIME')
local before = nil
if kept then before = unpack(kept) end
local state, ttl_ms, reply = step(before, time[1] * 1000 + math.floor(time[2] / 1000), unpack(ARGV[1]))
if state == nil or state == null then state = false else state = write(state) end
keep(kept, state, ttl_ms)
return write(reply)
"""

_SWAP: Final = """\
local kept = redis.call('GET', KEYS[1])
if (kept or '') ~= ARGV[1] then
  local time = redis.call('TIME')
  return {kept, time[1], time[2]}
end
keep(kept, ARGV[2] ~= '' and ARGV[2], tonumber(ARGV[3]))
return 1
"""


@attrs.frozen(eq=False)
class Script:
    """A script that Redis knows by the hash of its text.

    Attributes:
        load: The command that makes it known.
        sha: The hash.
    """

    load: bytes
    sha: bytes

    @classmethod
    def of(cls, text: str) -> Script:
        """Make a script of its text."""
        source = text.encode()
        sha = hashlib.sha1(source, usedforsecurity=False).hexdigest().encode()
        return cls(load=command(b"SCRIPT", b"LOAD", source), sha=sha)

    def call(self, key: bytes, *args: bytes) -> bytes:
        """Return the command that runs it on a key."""
        return command(b"EVALSHA", self.sha, b"1", key, *args)

    def beginning(self, key: bytes) -> bytes:
        """Return the command up to its one argument, which `ending` writes."""
        return self.call(key, b"")[: -len(ending(b""))]


def ending(arg: bytes) -> bytes:
    r"""Return the rest of a command that `Script.beginning` began.

    >>> ending(b"[1]")
    b'$3\r\n[1]\r\n'
    """
    return b"$%d\r\n%b\r\n" % (len(arg), arg)


SWAP: Final = Script.of(_KEEP + _SWAP)
"""Compare and set: expected state, new state, its time to live. Gives 1; or state and time, if it is another one."""


@functools.lru_cache(maxsize=1024)
def twin(op: AtomicOp) -> Script:
    """Return the script of an operation that has a Lua twin; see the README for what a twin is."""
    head = f"-- {op.name} {op.version}\n"
    step = f"local function step(state, now_ms, args)\nlocal redis, KEYS, ARGV\n{op.lua}\nend\n"
    return Script.of(head + _NULL + step + _WRITE + _KEEP + _STEP)
