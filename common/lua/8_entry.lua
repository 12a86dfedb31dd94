-- ---- migration ---------------------------------------------------------------------------------
--
-- STEPS[n] brings one key from schema n to n + 1; migrations/*.lua fill it. A step must be harmless when
-- it meets a key for the second time: a migration that was killed starts again at its last cursor.

local STEPS = {}

-- misora admin migrate, again and again until DONE. No schema guard. OK schema cursor seen changed | DONE schema |
-- ESCHEMA version (newer than this library)
local function job_migrate(a)
    local schema = call('HGET', P .. 'meta', 'schema') or '0'
    if schema == SCHEMA then return {'DONE', schema} end
    local step = STEPS[schema]
    if not step then return {'ESCHEMA', schema} end
    local cursor = call('HGET', P .. 'mig', 'cursor') or '0'
    local page = call('SCAN', cursor, 'MATCH', P .. '*', 'COUNT', a.max)
    local n_changed = 0
    for _, key in ipairs(page[2]) do
        if step(string.sub(key, #P + 1)) then n_changed = n_changed + 1 end
    end
    call('HSET', P .. 'mig', 'cursor', page[1])
    if page[1] == '0' then
        call('DEL', P .. 'mig')
        call('HSET', P .. 'meta', 'schema', tonumber(schema) + 1)
    end
    return {'OK', schema, page[1], #page[2], n_changed}
end

-- ---- entry -------------------------------------------------------------------------------------

-- How an argument is read; nil refuses it. Names become parts of keys, hence their alphabet.
local READ = {
    name = function(s) return #s <= 64 and string.match(s, '^[%w_.-]+$') end,
    text = function(s) return s end,
    int = function(s) return string.match(s, '^-?%d+$') and #s < 17 and tonumber(s) end,
    num = function(s) return string.match(s, '^[%d.]+$') and tonumber(s) end,
}

local function read_args(wanted, argv)
    local a = {}
    for i, w in ipairs(wanted) do
        if w.kind == 'names' then
            a[w.name] = {}
            for k = i, #argv do
                if not READ.name(argv[k]) then return nil, w.name end
                a[w.name][k - i + 1] = argv[k]
            end
            return a
        end
        local v = argv[i] and READ[w.kind](argv[i])
        if not v then return nil, w.name end
        a[w.name] = v
    end
    if #argv ~= #wanted then return nil, 'count' end
    return a
end

local function split_wanted(wanted)
    local list = {}
    for arg, kind in string.gmatch(wanted, '(%S+)=(%a+)') do list[#list + 1] = {name = arg, kind = kind} end
    return list
end

-- Registers one function; `wanted` names its arguments and how to read them. While the library is
-- loaded there is no string library yet, so that is split at the first call.
local function entry(name, run, flags, wanted)
    local list
    local function callback(keys, argv)
        list = list or split_wanted(wanted)
        P = string.sub(keys[1], 1, -5) -- without "meta"
        local schema, test_clock_ms = unpack(call('HMGET', keys[1], 'schema', 'test_clock_ms'))
        local t = call('TIME')
        now = tonumber(test_clock_ms) or t[1] * 1000 + math.floor(t[2] / 1000)
        if schema ~= SCHEMA and run ~= job_migrate then return {'ESCHEMA', schema or 'none'} end
        local a, bad = read_args(list, argv)
        if not a then return {'EARG', bad} end
        return run(a)
    end
    redis.register_function{function_name = name, callback = callback, flags = flags}
end

-- Functions that finish or free something must work when Redis is full; only submit may be refused.
local FREE, READS = {'allow-oom'}, {'no-writes'}

entry('job_submit', job_submit, {}, 'id=name tenant=name lane=name prio=int cost=int spec=text sh=name fp=name ' ..
      'idem=text idemttl=int delay=int qttl=int runms=int maxtry=int hook=text hev=text keep=int')
entry('job_cancel', job_cancel, FREE, 'id=name tenant=name why=text')
entry('job_delete', job_delete, FREE, 'id=name tenant=name')
entry('job_rate', job_rate, FREE, 'name=text rate=num burst=int')
entry('job_claim', job_claim, FREE, 'wid=name nonce=name lease_ms=int lanes=names')
entry('job_beat', job_beat, FREE, 'id=name lease=name lease_ms=int progress=int phase=text step=int steps=int ' ..
      'eta=int ckpt=text')
entry('job_complete', job_complete, FREE, 'id=name lease=name result=text')
entry('job_fail', job_fail, FREE, 'id=name lease=name why=text code=text message=text delay=int ckpt=text')
entry('job_tick', job_tick, FREE, 'lease_ms=int delay=int max=int')
entry('job_whclaim', job_whclaim, FREE, 'wid=name max=int lease_ms=int cap=int')
entry('job_whdone', job_whdone, FREE, 'w=text lease=text verdict=text status=int message=text delay=int maxtry=int')
entry('job_gc', job_gc, FREE, 'max=int')
entry('job_gcdone', job_gcdone, FREE, 'kind=text name=text')
entry('job_purge', job_purge, FREE, 'id=name tenant=name')
entry('job_retry', job_retry, FREE, 'id=name')
entry('job_get', job_get, READS, 'id=name tenant=name')
entry('job_list', job_list, READS, 'tenant=name after=text max=int order=text')
entry('job_stat', job_stat, READS, '')
entry('job_audit', job_audit, READS, 'key=text cursor=text')
entry('job_migrate', job_migrate, FREE, 'max=int')
