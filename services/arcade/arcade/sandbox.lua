-- The environment handlers run in. The host passes its functions; the table at the end is what it gets back.
local host = ...

local MAX_HOOKS, HOOK_EVERY, MAX_CPU_SECONDS = 5000, 1000, 1.0
local clock, sethook, metatable_of = os.clock, debug.sethook, debug.getmetatable
local ARRAY = { __metatable = false }

local function readonly(members, what)
  local function refuse(_, key)
    error(what .. " cannot be changed (" .. tostring(key) .. "): state belongs in the store", 2)
  end
  return setmetatable({}, { __index = members, __newindex = refuse, __metatable = false })
end

local function only(library, names)
  local members = {}
  for name in names:gmatch("%S+") do members[name] = library[name] end
  return readonly(members, "a library")
end

-- Left out on purpose: whatever can spin inside one C call, where no instruction hook reaches
-- (patterns, string.rep, table.move), and whatever leaves the sandbox (os, io, load, require, pcall, ...).
local libraries = {
  string = only(string, "byte char format len lower reverse sub upper"),
  math = only(math, "abs ceil floor fmod huge max maxinteger min mininteger pi random sqrt tointeger type"),
  table = only(table, "concat insert pack remove sort unpack"),
  utf8 = only(utf8, "char codepoint codes len offset"),
}
getmetatable("").__index = libraries.string

-- Errors become text, because an error that is a table would reach the host without a place.
local function raise(message, level)
  local text = type(message) == "string" and message or "an error of type " .. type(message)
  error(text, level == 0 and 0 or (level or 1) + 1)
end

local function require_true(value, message, ...)
  if not value then raise(message or "assertion failed", 2) end
  return value, message, ...
end

local function array(members) return setmetatable(members or {}, ARRAY) end

-- The host answers (problem, value), so that a problem carries the line of the handler that caused it.
local function wrap(call)
  return function(...)
    local problem, value = call(...)
    if problem then error(problem, 2) end
    return value
  end
end

local function wrap_all(calls)
  local wrapped = {}
  for name, call in pairs(calls) do wrapped[name] = wrap(call) end
  return wrapped
end

local shared = {
  string = libraries.string, math = libraries.math, table = libraries.table, utf8 = libraries.utf8,
  json = readonly(wrap_all(host), "a library"),
  array = array, assert = require_true, error = raise,
  ipairs = ipairs, next = next, pairs = pairs, select = select,
  tonumber = tonumber, tostring = tostring, type = type,
}

local function environment()
  local function unknown(_, name) error("unknown name '" .. tostring(name) .. "'", 2) end
  local function refuse(_, name) error("global '" .. tostring(name) .. "' is not allowed: use local", 2) end
  local names = setmetatable({}, { __index = unknown })
  for name, value in pairs(shared) do names[name] = value end
  return setmetatable({}, { __index = names, __newindex = refuse, __metatable = false })
end

local function arm()
  local left, stop_at = MAX_HOOKS, clock() + MAX_CPU_SECONDS
  sethook(function()
    left = left - 1
    if left <= 0 or clock() > stop_at then error("the handler runs too long", 2) end
  end, "", HOOK_EVERY)
end

return {
  array = array,
  is_array = function(value) return rawequal(metatable_of(value), ARRAY) end,
  arm = arm,
  disarm = function() sethook() end,
  compile = function(text, name) return load(text, "@" .. name, "t", environment()) end,
  store = function(calls) return readonly(wrap_all(calls), "the store") end,
}
