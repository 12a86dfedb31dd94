-- ---- waiting places ---------------------------------------------------------------------------

-- Makes a job claimable. Its place depends on its birth (seq), so a job that comes back keeps it.
local function enqueue(id)
    local tenant, lane, prio, seq = get(id, 'tenant', 'lane', 'prio', 'seq')
    set(id, 'st', 'queued')
    call('ZADD', P .. 'q:' .. lane .. ':' .. tenant, (9 - prio) * 2 ^ 44 + seq, id)
    call('ZADD', P .. 'lq:' .. lane, seq, id)
    if not call('ZSCORE', P .. 'ring:' .. lane, tenant) then
        -- A tenant that comes back starts no earlier than the present: absence earns no credit.
        local own = tonumber(call('HGET', P .. 'vt:' .. lane, tenant) or 0)
        local first = call('ZRANGE', P .. 'ring:' .. lane, 0, 0, 'WITHSCORES')[2]
        local present = tonumber(first or call('HGET', P .. 'vt:' .. lane, '#now') or 0)
        call('ZADD', P .. 'ring:' .. lane, math.max(own, present), tenant)
    end
    call('LPUSH', P .. 'wake:' .. lane, '1')
    call('LTRIM', P .. 'wake:' .. lane, 0, 63)
end

-- Removes a job from every place where it may wait.
local function dequeue(id)
    local tenant, lane = get(id, 'tenant', 'lane')
    local queue = P .. 'q:' .. lane .. ':' .. tenant
    call('ZREM', queue, id)
    call('ZREM', P .. 'lq:' .. lane, id)
    call('ZREM', P .. 'delay', id)
    call('ZREM', P .. 'qttl', id)
    local vt = call('ZSCORE', P .. 'ring:' .. lane, tenant)
    if vt and call('EXISTS', queue) == 0 then
        call('HSET', P .. 'vt:' .. lane, tenant, vt)
        call('ZREM', P .. 'ring:' .. lane, tenant)
    end
end

local function schedule(id, delay_ms)
    if delay_ms > 0 then
        set(id, 'st', 'scheduled')
        call('ZADD', P .. 'delay', now + delay_ms, id)
    else
        enqueue(id)
    end
end

-- ---- leaving the running state -----------------------------------------------------------------

-- Ends the present attempt: the job is in no place after it.
local function leave_run(id, how)
    local tenant, epoch, wid, started = get(id, 'tenant', 'epoch', 'wid', 'started')
    call('ZREM', P .. 'run', id)
    call('SREM', P .. 'runt:' .. tenant, id)
    call('RPUSH', P .. 'att:' .. id, string.format('%s %s %s %.0f %s', epoch, wid, started, now, how))
    call('LTRIM', P .. 'att:' .. id, -ATTEMPTS_KEPT, -1)
end

-- Ends a job. The record is final: only del, gone and an operator's retry touch it later.
local function finish(id, st, code, message)
    local tenant, ckpt, del = get(id, 'tenant', 'ckpt', 'del')
    set(id, 'st', st, 'done', now)
    if code then set(id, 'code', code, 'why', message) end
    call('HDEL', P .. 'job:' .. id, 'lease', 'ckpt')
    waste(ckpt)
    call('SREM', P .. 'live:' .. tenant, id)
    call('ZADD', P .. 'term', del and 0 or now, id) -- 0: the next gc may have it
    if st == 'failed' then call('ZADD', P .. 'dead', now, id) end
    event(id, st)
    call('EXPIRE', P .. 'ev:' .. id, EVENTS_KEPT_S)
    for _, kind in ipairs(HOOKS_OF[st]) do notify(id, kind) end
end

-- Back to waiting. The old lease stays known: its holder may still deliver while nobody else runs it.
local function requeue(id, delay_ms, why)
    set(id, 'last_lease', get(id, 'lease'))
    call('HDEL', P .. 'job:' .. id, 'lease')
    schedule(id, delay_ms)
    event(id, 'requeued', 'why', why)
end

local function is_another_alive(set_name, wid, window_ms)
    local n = call('ZCOUNT', P .. set_name, now - window_ms, '+inf')
    local own = call('ZSCORE', P .. set_name, wid)
    if own and tonumber(own) >= now - window_ms then n = n - 1 end
    return n > 0
end

-- Three different jobs lost in ten minutes speak against the worker, unless it is the only one.
local function note_loss(wid, id)
    local key = P .. 'wlost:' .. wid
    call('ZADD', key, now, id)
    call('ZREMRANGEBYSCORE', key, '-inf', now - LOSS_WINDOW_MS)
    call('PEXPIRE', key, LOSS_WINDOW_MS)
    if call('ZCARD', key) >= meta('ban_losses', 3) and is_another_alive('workers', wid, ALIVE_MS) then
        call('ZADD', P .. 'wban', now + BAN_MS, wid)
    end
end

-- The worker of a running job is gone. Losses are counted apart from tries: they may not be the job's fault.
local function lose(id, delay_ms)
    local cancel, wid = get(id, 'cancel', 'wid')
    leave_run(id, 'lost')
    note_loss(wid, id)
    local n = call('HINCRBY', P .. 'job:' .. id, 'crash', 1)
    if cancel then
        finish(id, 'canceled', 'cancelled', 'cancelled; its worker was lost')
        return 'canceled'
    end
    if n > meta('max_crash', 2) then
        finish(id, 'failed', 'worker_lost', 'the worker was lost ' .. n .. ' times while running this job')
        return 'failed'
    end
    set(id, 'avoid', wid, 'avoid_until', now + AVOID_MS)
    requeue(id, delay_ms, 'worker lost')
    return (get(id, 'st'))
end
