-- Installs a release in this process, whole or not at all: a source that does not compile, that fails, or that changes
-- the State leaves everything as it was. It is one message, so no other message sees half of it.
local function copy(value)
  if type(value) ~= "table" then return value end
  local made = {}
  for key, each in pairs(value) do made[key] = copy(each) end
  return made
end

local function shallow(value)
  local made = {}
  for key, each in pairs(value) do made[key] = each end
  return made
end

local function restore(target, kept)
  for key in pairs(shallow(target)) do if kept[key] == nil then target[key] = nil end end
  for key, each in pairs(kept) do target[key] = each end
end

local function names()
  local found = {}
  for _, each in ipairs(Handlers.list) do found[each.name] = true end
  return found
end

local function install(source, release)
  local chunk, problem = load(source, "@" .. release.File, "t")
  if not chunk then error("refused: " .. problem, 0) end
  local globals, handlers, state = shallow(_G), shallow(Handlers.list), copy(State)
  local before = canonical(State)
  for _, name in ipairs(Release and Release.Handlers or {}) do Handlers.remove(name) end
  local others = names()
  local ok, failed = pcall(chunk)
  if ok and state ~= nil and canonical(State) ~= before then ok, failed = false, "it changes the State" end
  if ok and type(State) ~= "table" then ok, failed = false, "it makes no State" end
  if not ok then
    restore(_G, globals)
    restore(Handlers.list, handlers)
    State = state
    error("refused: " .. tostring(failed), 0)
  end
  release.Handlers = {}
  for _, each in ipairs(Handlers.list) do
    if not others[each.name] then table.insert(release.Handlers, each.name) end
  end
  Release = release
  return json.encode({ before = digest(before), after = digest(canonical(State)), first = state == nil })
end
