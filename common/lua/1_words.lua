#!lua name=misora
-- misora.lua - the job state machine and the webhook outbox: every change of a job is one call here.
--
-- A function runs alone and its effects are one transaction in the AOF, so other clients, a crash of
-- Redis and a replay see all of it or nothing. C, tests and operators never write these keys by hand.
--
-- Every function is called as FCALL name 1 {ns}:meta ARGS.. . KEYS[1] carries the namespace; all other
-- keys share its hash tag. Arguments are checked before the first write. Replies are lists that begin
-- with OK or with a word that says what was refused:
--   ESCHEMA version   the data has another schema than this library    EARG name   argument unreadable
--   ENOENT  unknown, deleted or another tenant's job    ESTALE state   the lease is not, or no longer, the job's
--   EBAD    a record makes no sense
--
-- Keys after the prefix "{ns}:" (migrations/README.md has the map with every field):
--   meta  job:ID spec:ID ev:ID att:ID  q:LANE:TENANT lq:LANE ring:LANE vt:LANE lanes wake:LANE
--   run runt:TENANT live:TENANT delay qttl term dead assets gc  idx:TENANT idem:TENANT:HASH  evall
--   wh:ID:TYPE whdue whrun whdead whin:EP whcb:EP whsec:TENANT
--   workers lw:LANE claims wlost:WID wban  quota:TENANT key:KID rl:NAME und:TENANT:HASH  mig

local SCHEMA = '1'

-- Prefix and clock (ms) of the running call; entry() sets them anew at every call.
local P, now

local function call(...) return redis.call(...) end

local WAITING = {queued = true, scheduled = true}
local ENDED = {succeeded = true, failed = true, canceled = true, expired = true}

-- Which webhook types an ended job sends.
local HOOKS_OF = {
    succeeded = {'completed'},
    failed = {'failed'},
    expired = {'failed'},
    canceled = {'failed', 'cancelled'},
}
local HOOK_TYPES = {'completed', 'failed', 'cancelled', 'in_progress'}

local AVOID_MS = 120000          -- a worker that lost a job does not get it back so soon
local LOOKING_MS = 15000         -- a worker that asked this lately is looking for work
local ALIVE_MS = 30000           -- a worker that was heard this lately is alive
local LOSS_WINDOW_MS = 600000    -- losses this close together speak against the worker
local BAN_MS = 3600000
local EVENTS_KEPT_S = 3600       -- stream of an ended job; the hash is the record
local RETAIN_MS = 30 * 86400000  -- record of an ended job
local KEEP_MS = 86400000         -- result of an ended job
local RING_SCAN = 1000           -- tenants that one claim looks at
local HEAD_SCAN = 5              -- jobs of one tenant that one claim looks at
local ATTEMPTS_KEPT = 16
local BREAKER_FAILS = 5          -- failures in a row that open the breaker of an endpoint
local BREAKER_MS, BREAKER_MAX_MS = 30000, 600000

-- ---- small words ----------------------------------------------------------------------------

local function meta(field, default)
    return tonumber(call('HGET', P .. 'meta', field) or default)
end

-- A limit of one tenant: its own quota, else the one for all, else the default.
local function limit(tenant, field, default)
    return tonumber(call('HGET', P .. 'quota:' .. tenant, field) or meta(field, default))
end

-- Fields of a job; false for a field that is not there.
local function get(id, ...)
    return unpack(call('HMGET', P .. 'job:' .. id, ...))
end

local function set(id, ...)
    call('HSET', P .. 'job:' .. id, ...)
end

-- State of a job as its owner may see it: nil when unknown, deleted or another tenant's.
local function state_for(id, tenant)
    local st, owner, del = get(id, 'st', 'tenant', 'del')
    if st and owner == tenant and not del then return st end
end

local function event(id, kind, ...)
    local tenant = get(id, 'tenant')
    local sid = call('XADD', P .. 'evall', 'MAXLEN', '~', 10000, '*', 'j', id, 'n', tenant, 't', kind, ...)
    local added = redis.pcall('XADD', P .. 'ev:' .. id, 'MAXLEN', '~', 256, sid,
                              'j', id, 'n', tenant, 't', kind, ...)
    if type(added) == 'table' and added.err then -- evall was lost and the clock went back
        call('XADD', P .. 'ev:' .. id, 'MAXLEN', '~', 256, '*', 'j', id, 'n', tenant, 't', kind, ...)
    end
end

-- An object of the store that nothing refers to any more.
local function waste(object)
    if object and object ~= '' then call('ZADD', P .. 'gc', now, object) end
end

-- Puts an entry into the outbox when the job wants this type; at most one per job and type.
local function notify(id, kind)
    local url, wanted, tenant = get(id, 'hook', 'hev', 'tenant')
    if not url or url == '' then return end
    if not string.find(',' .. wanted .. ',', ',' .. kind .. ',', 1, true) then return end
    local w = id .. ':' .. kind
    if call('EXISTS', P .. 'wh:' .. w) == 1 then return end
    call('HSET', P .. 'wh:' .. w, 'job', id, 'tenant', tenant, 'type', kind, 'url', url,
         'ep', string.match(url, '^%w+://[^/?#]+') or url, 'try', 0, 'created', now)
    call('ZADD', P .. 'whdue', now, w)
end
