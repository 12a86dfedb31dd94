-- ---- webhooks ----------------------------------------------------------------------------------

local function release_hook(w, ep)
    call('ZREM', P .. 'whrun', w)
    call('SREM', P .. 'whin:' .. ep, w)
    call('HDEL', P .. 'wh:' .. w, 'lease')
end

-- When the endpoint may be called: now (0), or a later time because of its breaker or its cap.
local function endpoint_wait(ep, cap)
    local fails, opens = unpack(call('HMGET', P .. 'whcb:' .. ep, 'fails', 'until'))
    if tonumber(opens or 0) > now then return tonumber(opens) end
    if tonumber(fails or 0) >= BREAKER_FAILS then cap = 1 end -- half open: one probe
    if call('SCARD', P .. 'whin:' .. ep) >= cap then return now + 500 end
    return 0
end

-- Worker only. A list of {entry lease job tenant type url created try}
local function job_whclaim(a)
    for _, w in ipairs(due('whrun', 64)) do -- their senders are gone
        release_hook(w, call('HGET', P .. 'wh:' .. w, 'ep'))
        call('ZADD', P .. 'whdue', now, w)
    end
    local out = {}
    for _, w in ipairs(due('whdue', 256)) do
        if #out >= a.max then break end
        local key = P .. 'wh:' .. w
        local h = call('HMGET', key, 'ep', 'job', 'tenant', 'type', 'url', 'created')
        local wait = endpoint_wait(h[1], a.cap)
        if wait > 0 then
            call('ZADD', P .. 'whdue', wait, w)
        else
            local try = call('HINCRBY', key, 'try', 1)
            local lease = a.wid .. '-' .. try
            call('ZREM', P .. 'whdue', w)
            call('ZADD', P .. 'whrun', now + a.lease_ms, w)
            call('SADD', P .. 'whin:' .. h[1], w)
            call('HSET', key, 'lease', lease)
            out[#out + 1] = {w, lease, h[2], h[3], h[4], h[5], h[6], try}
        end
    end
    return out
end

local function note_endpoint_failure(ep)
    local key = P .. 'whcb:' .. ep
    local n = call('HINCRBY', key, 'fails', 1)
    if n >= BREAKER_FAILS then
        call('HSET', key, 'until', now + math.min(BREAKER_MAX_MS, BREAKER_MS * 2 ^ math.min(n - BREAKER_FAILS, 10)))
    end
    call('EXPIRE', key, 86400)
end

-- Worker only; verdict is ok, retry or dead. OK delivered|retry|dead | ESTALE
local function job_whdone(a)
    local key = P .. 'wh:' .. a.w
    local lease, ep, try = unpack(call('HMGET', key, 'lease', 'ep', 'try'))
    if not lease or lease ~= a.lease then return {'ESTALE'} end
    release_hook(a.w, ep)
    call('HSET', key, 'status', a.status, 'message', a.message, 'last', now)
    if a.verdict == 'ok' then
        call('HSET', key, 'ok', now)
        call('DEL', P .. 'whcb:' .. ep)
        return {'OK', 'delivered'}
    end
    if a.verdict == 'retry' then note_endpoint_failure(ep) end
    if a.verdict ~= 'retry' or tonumber(try) >= a.maxtry then
        call('ZADD', P .. 'whdead', now, a.w)
        return {'OK', 'dead'}
    end
    call('ZADD', P .. 'whdue', now + a.delay, a.w)
    return {'OK', 'retry'}
end

-- ---- garbage -----------------------------------------------------------------------------------

local function has_pending_hook(id)
    for _, kind in ipairs(HOOK_TYPES) do
        local w = id .. ':' .. kind
        if call('ZSCORE', P .. 'whdue', w) or call('ZSCORE', P .. 'whrun', w) then return true end
    end
    return false
end

-- Worker only. OK, then rows of {kind name tenant result}: kind is job, result or object.
local function job_gc(a)
    local out = {'OK'}
    local retain = meta('retain_ms', RETAIN_MS)
    for _, id in ipairs(call('ZRANGEBYSCORE', P .. 'term', '-inf', now - retain, 'LIMIT', 0, a.max)) do
        if has_pending_hook(id) then
            call('ZADD', P .. 'term', now - retain + 60000, id) -- ask again in a minute
        elseif #out <= a.max then
            local tenant, res, gone = get(id, 'tenant', 'res', 'gone')
            out[#out + 1] = {'job', id, tenant, not gone and res or ''}
        end
    end
    for _, id in ipairs(due_jobs('assets', a.max)) do
        local tenant, res = get(id, 'tenant', 'res')
        if #out <= a.max then out[#out + 1] = {'result', id, tenant, res or ''} end
    end
    for _, object in ipairs(due('gc', a.max)) do
        if #out <= a.max then out[#out + 1] = {'object', object, '', ''} end
    end
    return out
end

-- Worker only, after the objects are gone; kind is result or object. OK
local function job_gcdone(a)
    if a.kind == 'object' then
        call('ZREM', P .. 'gc', a.name)
    elseif call('ZREM', P .. 'assets', a.name) == 1 and call('EXISTS', P .. 'job:' .. a.name) == 1 then
        set(a.name, 'gone', now)
    end
    return {'OK'}
end

-- Worker and operators: removes every key of an ended job. OK | EBUSY (state|webhook) | ENOENT
local function job_purge(a)
    local id = a.id
    local st, tenant, idk = get(id, 'st', 'tenant', 'idk')
    if not st or tenant ~= a.tenant then return {'ENOENT'} end
    if not ENDED[st] then return {'EBUSY', st} end
    if has_pending_hook(id) then return {'EBUSY', 'webhook'} end
    if idk then
        local key = P .. 'idem:' .. tenant .. ':' .. idk
        if string.match(call('GET', key) or '', '^(%S+) ') == id then call('DEL', key) end
    end
    for _, kind in ipairs(HOOK_TYPES) do
        call('DEL', P .. 'wh:' .. id .. ':' .. kind)
        call('ZREM', P .. 'whdead', id .. ':' .. kind)
    end
    call('ZREM', P .. 'idx:' .. tenant, id)
    for _, name in ipairs({'term', 'dead', 'assets'}) do call('ZREM', P .. name, id) end
    call('DEL', P .. 'job:' .. id, P .. 'spec:' .. id, P .. 'ev:' .. id, P .. 'att:' .. id)
    return {'OK'}
end

-- Operators: a dead letter runs again from the start with fresh tries. The one exception to "an ended
-- record never changes". OK | ENOENT | EBUSY state
local function job_retry(a)
    local st, tenant, del = get(a.id, 'st', 'tenant', 'del')
    if not st or del then return {'ENOENT'} end
    if st ~= 'failed' then return {'EBUSY', st} end
    call('ZREM', P .. 'term', a.id)
    call('ZREM', P .. 'dead', a.id)
    call('SADD', P .. 'live:' .. tenant, a.id)
    call('HDEL', P .. 'job:' .. a.id, 'done', 'code', 'why', 'avoid', 'avoid_until', 'last_lease', 'cancel')
    set(a.id, 'try', 0, 'crash', 0, 'prog', 0)
    call('PERSIST', P .. 'ev:' .. a.id)
    event(a.id, 'retried')
    enqueue(a.id)
    return {'OK'}
end
