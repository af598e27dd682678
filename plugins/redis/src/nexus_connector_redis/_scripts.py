"""Scripts: what runs inside Redis, and how states, arguments and replies are written for it."""

from __future__ import annotations

import functools
import hashlib
import json
from typing import Final, cast

import attrs
import orjson

from nexus_connector.state import AtomicOp, Plain

from ._wires import command

_PRELUDE: Final = """\
local null, format, concat, type = cjson.null, string.format, table.concat, type
local whole = format('%d', 2^53) == '9007199254740992' and '%d' or '%.0f'
local function encode(value)
  local kind = type(value)
  if kind == 'table' then
    local parts = {}
    for place = 1, #value do
      local part = value[place]
      if type(part) == 'number' and part % 1 == 0 and part <= 2^53 and part >= -2^53 then
        parts[place] = format(whole, part)
      else
        parts[place] = encode(part)
      end
    end
    return '[' .. concat(parts, ',') .. ']'
  elseif kind == 'number' then
    if value - value ~= 0 then error('not a finite number') end
    return format(value % 1 == 0 and value <= 2^53 and value >= -2^53 and whole or '%.17g', value)
  elseif kind == 'nil' then
    return 'null'
  end
  return cjson.encode(value)
end
local function keep(kept, state, ttl_ms)
  if state and ttl_ms > 0 then
    redis.call('SET', KEYS[1], state, 'PX', string.format('%.0f', math.floor(ttl_ms)))
  elseif kept then
    redis.call('DEL', KEYS[1])
  end
end
"""
"""cjson writes an empty list as an object and keeps 14 digits of a number: too few. What it reads, it reads well."""

_STEP: Final = """\
local kept = redis.call('GET', KEYS[1])
local time = redis.call('TIME')
local before = nil
if kept then before = cjson.decode(kept) end
local state, ttl_ms, reply = step(before, time[1] * 1000 + math.floor(time[2] / 1000), cjson.decode(ARGV[1]))
if state == nil or state == null then state = false else state = encode(state) end
keep(kept, state, ttl_ms)
return encode(reply)
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


_OPTIONS: Final = orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_SUBCLASS
_write: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode
_read: Final = json.JSONDecoder().raw_decode
SWAP: Final = Script.of(_PRELUDE + _SWAP)
"""Compare and set: expected state, new state, its time to live. Gives 1; or state and time, if it is another one."""


@functools.lru_cache(maxsize=1024)
def twin(op: AtomicOp) -> Script:
    """Return the script of an operation that has a Lua twin; see the README for what a twin is."""
    head = f"-- {op.name} {op.version}\n"
    step = f"local function step(state, now_ms, args)\nlocal redis, KEYS, ARGV\n{op.lua}\nend\n"
    return Script.of(head + _PRELUDE + step + _STEP)


def encode(value: Plain) -> bytes:
    """Write a value as JSON; odd characters go through unchanged, as Redis's reader does not know every escape.

    Raises:
        ValueError: If a number in it is not finite.
        TypeError: If it is not plain.
    """
    try:
        data = orjson.dumps(tuple(value) if isinstance(value, tuple) else value, option=_OPTIONS)
    except TypeError:  # more than 64 bits, half of a character, a named tuple further in
        data = b"null"
    if b"null" in data:  # so it writes what is not finite, too
        return _write(value).encode("utf-8", "surrogatepass")
    return data


def decode(data: object) -> Plain:
    """Read what `encode` or a script wrote."""
    return cast("Plain", _read(cast("bytes", data).decode("utf-8", "surrogatepass"))[0])
