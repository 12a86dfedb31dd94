-- ---- server ------------------------------------------------------------------------------------

-- The job of an earlier request with the same idempotency key, if it still counts.
local function idem_owner(a)
    if a.idem == '' then return end
    local v = call('GET', P .. 'idem:' .. a.tenant .. ':' .. a.idem)
    if not v then return end
    local id, fp = string.match(v, '^(%S+) (%S+)$')
    if state_for(id, a.tenant) then return id, fp end
end

-- Makes a job. Server only. Safe to repeat: the id is made by the caller.
-- OK id new | OK id dup (this very call came before) | OK id replay (same idempotency key) |
-- EIDEM id (the key was used for something else) | EID (the id exists) | EFULL n | EQUOTA n
local function job_submit(a)
    local fp, owner = get(a.id, 'fp', 'tenant')
    if fp then
        if fp == a.fp and owner == a.tenant then return {'OK', a.id, 'dup'} end
        return {'EID'}
    end
    local first, first_fp = idem_owner(a)
    if first then
        if first_fp == a.fp then return {'OK', first, 'replay'} end
        return {'EIDEM', first}
    end
    local max_lane = meta('max_lane', 10000)
    if call('ZCARD', P .. 'lq:' .. a.lane) >= max_lane then return {'EFULL', max_lane} end
    local max_live = limit(a.tenant, 'max_live', 100)
    if call('SCARD', P .. 'live:' .. a.tenant) >= max_live then return {'EQUOTA', max_live} end

    local seq = call('HINCRBY', P .. 'meta', 'seq', 1)
    set(a.id, 'st', 'queued', 'tenant', a.tenant, 'lane', a.lane, 'prio', a.prio, 'cost', a.cost,
        'sh', a.sh, 'fp', a.fp, 'seq', seq, 'epoch', 0, 'try', 0, 'crash', 0, 'maxtry', a.maxtry,
        'runms', a.runms, 'hook', a.hook, 'hev', a.hev, 'keep', a.keep, 'prog', 0, 'created', now)
    call('SET', P .. 'spec:' .. a.id, a.spec)
    call('SADD', P .. 'lanes', a.lane)
    call('ZADD', P .. 'idx:' .. a.tenant, 0, a.id)
    call('SADD', P .. 'live:' .. a.tenant, a.id)
    if a.idem ~= '' then
        call('SET', P .. 'idem:' .. a.tenant .. ':' .. a.idem, a.id .. ' ' .. a.fp, 'PX', a.idemttl)
        set(a.id, 'idk', a.idem)
    end
    if a.qttl > 0 then call('ZADD', P .. 'qttl', now + a.qttl, a.id) end
    schedule(a.id, a.delay)
    event(a.id, 'created')
    return {'OK', a.id, 'new'}
end

-- The part that cancel and delete share: a waiting job ends, a running one is told at its next beat.
local function stop(id, st, why)
    if WAITING[st] then
        dequeue(id)
        finish(id, 'canceled', 'cancelled', why)
        return 'canceled'
    end
    if st == 'running' and not get(id, 'cancel') then
        set(id, 'cancel', now)
        event(id, 'canceling')
    end
    return st
end

-- Server, operators. OK state-after (an ended job stays as it is) | ENOENT
local function job_cancel(a)
    local st = state_for(a.id, a.tenant)
    if not st then return {'ENOENT'} end
    return {'OK', stop(a.id, st, a.why)}
end

-- Cancels if needed and hides the job at once; keys and objects go with gc. Server only. OK state | ENOENT
local function job_delete(a)
    local st = state_for(a.id, a.tenant)
    if not st then return {'ENOENT'} end
    set(a.id, 'del', now)
    call('ZREM', P .. 'idx:' .. a.tenant, a.id)
    call('ZREM', P .. 'dead', a.id)
    if ENDED[st] then call('ZADD', P .. 'term', 0, a.id) end
    event(a.id, 'deleted')
    if ENDED[st] then call('EXPIRE', P .. 'ev:' .. a.id, EVENTS_KEPT_S) end
    return {'OK', stop(a.id, st, 'deleted by its owner')}
end

-- Token bucket as GCRA: one number per name. Server only. 1 0 left | 0 retry_ms 0
local function job_rate(a)
    local key = P .. 'rl:' .. a.name
    local per = 1000 / a.rate
    local room = per * a.burst
    local tat = math.max(tonumber(call('GET', key) or 0), now)
    if tat + per - now > room then return {0, math.ceil(tat + per - now - room), 0} end
    tat = tat + per
    call('SET', key, string.format('%.3f', tat), 'PX', math.ceil(tat - now) + 1000)
    return {1, 0, math.floor((room - (tat - now)) / per)}
end
