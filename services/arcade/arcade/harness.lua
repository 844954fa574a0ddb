-- What a handler test gets: a fresh store, the handlers, and comparisons that name the test's line.
local handlers, store = ...

local function same(left, right)
  if type(left) ~= "table" or type(right) ~= "table" then return left == right end
  for key, value in pairs(left) do
    if not same(value, right[key]) then return false end
  end
  for key in pairs(right) do
    if left[key] == nil then return false end
  end
  return true
end

local function send(message)
  local handle = handlers[message.Action]
  if not handle then error("no handler for the action " .. tostring(message.Action), 2) end
  message.From, message.Data = message.From or "", message.Data or ""
  message.Tags, message.Flags = message.Tags or {}, message.Flags or {}
  return handle(message, store)
end

local function equal(actual, expected, what)
  if same(actual, expected) then return end
  local text = (what or "value") .. ": expected " .. json.encode(expected) .. ", got " .. json.encode(actual)
  error(text, 2)
end

local function refused(message)
  local reason = send(message).refuse
  if not reason then error("the message was not refused", 2) end
  return reason
end

return { send = send, equal = equal, refused = refused, store = store }
