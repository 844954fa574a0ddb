-- Text that is the same for equal values, whatever the order of their keys; and its SHA-256.
local json = require("json")

local function canonical(value)
  if type(value) ~= "table" then return json.encode(value) end
  local keys, parts = {}, {}
  for key in pairs(value) do keys[#keys + 1] = key end
  table.sort(keys, function(a, b)
    if type(a) == type(b) then return a < b end
    return type(a) == "number"
  end)
  for _, key in ipairs(keys) do
    parts[#parts + 1] = json.encode(tostring(key)) .. ":" .. canonical(value[key])
  end
  return "{" .. table.concat(parts, ",") .. "}"
end

local function digest(text)
  local crypto = require(".crypto")
  return crypto.digest.sha2_256(crypto.utils.stream.fromString(text)).asHex()
end
