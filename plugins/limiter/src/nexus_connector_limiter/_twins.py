"""Twins: the steps of the machine once more, in Lua 5.1, for stores that run them on the spot.

They say the same in the same order as `_machine`, `_state` and `_ledger`; random sequences hold both to one result.
"""

from __future__ import annotations

from typing import Final

from ._state import TENANTS

_STATE: Final = """\
local now, max = now_ms * 1000, math.max
local function living(rows, first, second)
  local kept = rows
  for place = 1, #rows do
    local row = rows[place]
    local lives = row[first] > now or (second and row[second] > now)
    if lives and kept ~= rows then
      kept[#kept + 1] = row
    elseif not lives and kept == rows then
      kept = {}
      for before = 1, place - 1 do kept[before] = rows[before] end
    end
  end
  return kept
end
local s
if type(state) == 'table' then
  local pause, turn, learned = state[2], state[3], state[4]
  s = {state[1], pause > now and pause or 0, turn > now and turn or 0,
       #learned > 0 and learned[2] > now and learned or {},
       living(state[5], 3, 4), living(state[6], 4), living(state[7], 2), state[8]}
else
  s = {now, 0, 0, {}, {}, {}, {}, {}}
end
local function ttl()
  local latest, limits, tenants, permits = max(now, s[2], s[3], s[4][2] or 0), s[5], s[6], s[7]
  for place = 1, #limits do latest = max(latest, limits[place][3], limits[place][4]) end
  for place = 1, #tenants do latest = max(latest, tenants[place][4]) end
  for place = 1, #permits do latest = max(latest, permits[place][2]) end
  return math.floor((latest - now) / 1000) + 60000
end
local function limit(name)
  local rows = s[5]
  for place = 1, #rows do
    if rows[place][1] == name then return rows[place] end
  end
  rows[#rows + 1] = {name, -2^50, 0, 0}
  return rows[#rows]
end
"""

TAKE_LUA: Final = (
    f"local TENANTS = {TENANTS}\n"
    + _STATE
    + """\
local max_wait, pause, whose, permits, permit, queued, wanted, cost, paces =
  args[1], args[2], args[3], args[4], args[5], args[6], args[7], args[8], args[9]
local function tenant(name, idle)
  local rows, found = s[6], {name, 0, 0, idle}
  local place = 1
  while rows[place] and rows[place][1] ~= name do place = place + 1 end
  if rows[place] then
    found = table.remove(rows, place)
    found[4] = max(found[4], idle)
  elseif #rows >= TENANTS then
    table.remove(rows, 1)
  end
  place = #rows + 1
  while place > 1 and rows[place - 1][4] > found[4] do place = place - 1 end
  table.insert(rows, place, found)
  return found
end
local function answer(kind, us, why, block)
  return s, ttl(), {kind, us, kind == 0 and s[1] or 0, block, why}
end
local function later(at, why)
  return answer(at - now <= max_wait and 2 or 1, at - now, why, 0)
end
if pause > 0 then s[2] = max(s[2], now + pause) end
if permits > 0 and #s[7] >= permits then
  local at = max(s[3] + 5000, now + 20000)
  if at - now <= max_wait then s[3] = at end
  return later(at, 'concurrency')
end
local slot, why, step, latest, learned = now, '', 0, 0, s[4]
if s[2] > slot then slot, why = s[2], 'pause' end
if #learned > 0 and cost > learned[1] and learned[2] > slot then slot, why = learned[2], 'remaining' end
local limits, own, own_why = {}, now, ''
for place = 1, #paces do
  local pace = paces[place]
  local row = limit(pace[1])
  limits[place] = row
  local earliest = row[2] - pace[4]
  if pace[2] == 1 then
    if step == 0 or earliest > latest then latest, step = earliest, pace[3] end
    if earliest > slot then slot, why = earliest, pace[1] end
  else
    if queued == 0 then earliest = max(earliest, row[3]) end
    if earliest > own then own, own_why = earliest, pace[1] end
  end
end
if own > slot + 50000 then
  local again = own - now <= max_wait
  for place = 1, #paces do
    local row = limits[place]
    if again and queued == 0 and paces[place][2] ~= 1 then row[3] = max(row[3], own + paces[place][3]) end
  end
  return answer(again and 2 or 1, own - now - (again and 25000 or 0), own_why, 0)
end
if own > slot then slot, why = own, own_why end
local row, share = nil, 0
if whose ~= '' and step > 0 then
  row = tenant(whose, now + max(10000000, 32 * step))
  share = #s[6] * step
end
local room = max_wait
if row and share > step and row[2] > slot then
  room = row[2] > slot + 4 * share and math.min(max_wait, 50000) or math.floor(max_wait / 4)
  if slot - now > room and room < max_wait then
    local at = max(row[3] + step, slot - 50000, now + 20000)
    if at - now <= max_wait then row[3] = at end
    return later(at, 'share')
  end
end
if slot - now > max_wait then return answer(1, slot - now, why, 0) end
local block = 1
if room >= max_wait and slot <= now and wanted > 1 then
  local free = wanted * 2
  for place, pace in ipairs(paces) do
    free = math.min(free, math.floor((now - max(now, limits[place][2]) + pace[4]) / pace[3]) + 1)
  end
  if #learned > 0 and cost > 0 then free = math.min(free, math.floor(learned[1] / cost)) end
  block = max(1, math.floor(free / 2))
end
s[1] = s[1] + 1
local before = {}
for place = 1, #paces do
  local pace, mine = paces[place], limits[place]
  before[place] = {pace[1], mine[2]}
  mine[2] = max(mine[2], slot) + block * pace[3]
  mine[4] = max(mine[4], mine[2] + pace[5])
end
local used = 0
if row then
  used = row[2]
  row[2] = math.min(max(used, now) + block * share, max(used, slot + 5 * share))
end
local taken = 0
if #learned > 0 and learned[2] > slot then
  taken = math.min(learned[1], block * cost)
  learned[1] = learned[1] - taken
end
if permits > 0 then s[7][#s[7] + 1] = {s[1], slot + permit} end
s[8] = {s[1], whose, used, taken, before}
return answer(0, slot - now, why, block)
"""
)

GIVE_LUA: Final = (
    _STATE
    + """\
local number, sent, pause, left, reset = args[1], args[2], args[3], args[4], args[5]
if sent == 0 and #s[8] > 0 and s[8][1] == number then
  for _, old in ipairs(s[8][5]) do limit(old[1])[2] = old[2] end
  for _, row in ipairs(s[6]) do if row[1] == s[8][2] then row[2] = s[8][3] end end
  if #s[4] > 0 then s[4][1] = s[4][1] + s[8][4] end
  s[8] = {}
end
local permits = {}
for _, row in ipairs(s[7]) do if row[1] ~= number then permits[#permits + 1] = row end end
s[7] = permits
if pause > 0 then s[2] = max(s[2], now + pause) end
if left >= 0 and reset > 0 then
  if #s[4] > 0 and now + reset <= s[4][2] + 2000000 then
    s[4][1] = math.min(s[4][1], left)
  else
    s[4] = {left, now + reset}
  end
end
return s, ttl(), {max(0, s[2] - now)}
"""
)

LOOK_LUA: Final = (
    _STATE
    + """\
local ahead = {}
for _, row in ipairs(s[5]) do ahead[#ahead + 1] = {row[1], max(0, row[2] - now)} end
local left, left_us = -1, 0
if #s[4] > 0 then left, left_us = s[4][1], s[4][2] - now end
return state, ttl(), {max(0, s[2] - now), left, left_us, #s[7], #s[6], ahead}
"""
)

RESERVE_LUA: Final = """\
local cost, budgets, max = args[1], args[2], math.max
local rows, lasts = type(state) == 'table' and state or {}, 0
local function row_of(name, window)
  for _, row in ipairs(rows) do
    if row[1] == name then
      if row[2] < window then row[2], row[3] = window, 0 end
      return row
    end
  end
  rows[#rows + 1] = {name, window, 0}
  return rows[#rows]
end
local full, wait = '', 0
for _, budget in ipairs(budgets) do
  local row = row_of(budget[1], budget[2])
  lasts = max(lasts, budget[3])
  if row[3] + cost > budget[4] and budget[3] > wait then full, wait = budget[1], budget[3] end
end
local windows = {}
for _, budget in ipairs(budgets) do
  local row = row_of(budget[1], budget[2])
  if full == '' then row[3] = row[3] + cost end
  windows[#windows + 1] = row[2]
end
return rows, lasts + 86400000, {full, wait, windows}
"""

SETTLE_LUA: Final = """\
if type(state) ~= 'table' then return nil, 0, 0 end
local more, windows, lasts, max = args[1], args[2], args[3], math.max
for _, row in ipairs(state) do
  for _, window in ipairs(windows) do
    if row[1] == window[1] and row[2] == window[2] then row[3] = max(0, row[3] + more) end
  end
end
return state, lasts + 86400000, 0
"""

SPENT_LUA: Final = "return state, 86400000 * 32, type(state) == 'table' and state or {}"
