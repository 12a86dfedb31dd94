-- ---- worker ------------------------------------------------------------------------------------

local function hear(wid)
    call('ZADD', P .. 'workers', now, wid)
end

-- False for a job that this worker lost lately while another one is looking for work, and for a
-- member of the queue without a record.
local function may_take(id, lane, wid)
    local st, avoid, avoid_until = get(id, 'st', 'avoid', 'avoid_until')
    if avoid ~= wid or tonumber(avoid_until) <= now then return st == 'queued' end
    return not is_another_alive('lw:' .. lane, wid, LOOKING_MS)
end

-- The job that this worker should take from this lane: least served tenant, then priority, then age.
local function pick(lane, wid)
    for _, tenant in ipairs(call('ZRANGE', P .. 'ring:' .. lane, 0, RING_SCAN - 1)) do
        if call('SCARD', P .. 'runt:' .. tenant) < limit(tenant, 'max_run', 64) then
            local head = call('ZRANGE', P .. 'q:' .. lane .. ':' .. tenant, 0, HEAD_SCAN - 1)
            for _, id in ipairs(head) do
                if may_take(id, lane, wid) then return id, tenant end
            end
        end
    end
end

-- The tenant pays for the job now, in virtual time; the lane's present moves with it.
local function charge(lane, tenant, cost)
    local vt = tonumber(call('ZSCORE', P .. 'ring:' .. lane, tenant))
    call('HSET', P .. 'vt:' .. lane, '#now', vt)
    call('ZADD', P .. 'ring:' .. lane, vt + math.ceil(cost / limit(tenant, 'weight', 1)), tenant)
end

local function claim_reply(id, word)
    local h = call('HMGET', P .. 'job:' .. id, 'lease', 'sh', 'ckpt', 'crash', 'try', 'maxtry', 'runms',
                   'created', 'keep', 'tenant', 'lane')
    return {'OK', id, h[1], call('GET', P .. 'spec:' .. id), h[2], h[3] or '', h[4], h[5], h[6], h[7],
            h[8], h[9], h[10], h[11], word}
end

-- The claim that this worker already got with this nonce, when its reply was lost on the way.
local function repeated_claim(wid, nonce)
    local id = call('HGET', P .. 'claims', wid)
    if not id then return end
    local st, epoch, lease = get(id, 'st', 'epoch', 'lease')
    if st == 'running' and lease == epoch .. '-' .. nonce then return id end
end

-- Worker only. Safe to repeat with the same nonce.
-- OK id lease spec sh ckpt crash try maxtry runms created keep tenant lane (new|again) | NONE | BANNED
local function job_claim(a)
    hear(a.wid)
    local id = repeated_claim(a.wid, a.nonce)
    if id then return claim_reply(id, 'again') end
    if tonumber(call('ZSCORE', P .. 'wban', a.wid) or 0) > now then return {'BANNED'} end
    for _, lane in ipairs(a.lanes) do call('ZADD', P .. 'lw:' .. lane, now, a.wid) end
    if meta('paused', 0) == 1 then return {'NONE'} end
    local tenant
    for _, lane in ipairs(a.lanes) do
        id, tenant = pick(lane, a.wid)
        if id then
            charge(lane, tenant, get(id, 'cost'))
            break
        end
    end
    if not id then return {'NONE'} end

    dequeue(id)
    local lease = call('HINCRBY', P .. 'job:' .. id, 'epoch', 1) .. '-' .. a.nonce
    call('HINCRBY', P .. 'job:' .. id, 'try', 1)
    set(id, 'st', 'running', 'lease', lease, 'wid', a.wid, 'started', now, 'beat', now,
        'phase', 'loading', 'step', 0, 'steps', 0, 'eta', -1)
    call('ZADD', P .. 'run', now + a.lease_ms, id)
    call('SADD', P .. 'runt:' .. tenant, id)
    call('HSET', P .. 'claims', a.wid, id)
    event(id, 'started')
    notify(id, 'in_progress')
    return claim_reply(id, 'new')
end

-- True when the caller holds the lease of a running job.
local function is_own(id, lease)
    local st, held = get(id, 'st', 'lease')
    return st == 'running' and held == lease
end

-- Swaps the checkpoint; the old object is waste only after the new one is known.
local function save_checkpoint(id, object)
    local old = get(id, 'ckpt')
    if object == '' or object == old then return end
    set(id, 'ckpt', object)
    waste(old)
end

-- What a reader sees never goes back, and 100 is kept for a stored result.
local function show_progress(id, a)
    local prog, phase, step = get(id, 'prog', 'phase', 'step')
    local shown = math.min(99, math.max(tonumber(prog), a.progress))
    set(id, 'prog', shown, 'phase', a.phase, 'step', a.step, 'steps', a.steps, 'eta', a.eta)
    if shown ~= tonumber(prog) or phase ~= a.phase or tonumber(step) ~= a.step then
        event(id, 'progress', 'p', shown, 'ph', a.phase, 's', a.step, 'm', a.steps, 'e', a.eta)
    end
end

-- Worker only. OK | CANCEL | TIMEOUT (the lease was extended in all three) | ESTALE state
local function job_beat(a)
    if not is_own(a.id, a.lease) then return {'ESTALE', get(a.id, 'st') or 'gone'} end
    local cancel, started, runms, wid = get(a.id, 'cancel', 'started', 'runms', 'wid')
    call('ZADD', P .. 'run', 'XX', now + a.lease_ms, a.id)
    hear(wid)
    set(a.id, 'beat', now)
    save_checkpoint(a.id, a.ckpt)
    show_progress(a.id, a)
    if cancel then return {'CANCEL'} end
    if tonumber(runms) > 0 and now - started > tonumber(runms) then return {'TIMEOUT'} end
    return {'OK'}
end

-- Worker only. OK own | OK adopt (lost the lease, but nobody else runs it) | OK dup (this very call came
-- before) | CANCEL | ESTALE state
local function job_complete(a)
    local st, lease, last, done_lease = get(a.id, 'st', 'lease', 'last_lease', 'done_lease')
    local cancel, keep = get(a.id, 'cancel', 'keep')
    if st == 'succeeded' and done_lease == a.lease then return {'OK', 'dup'} end
    local is_running = st == 'running' and lease == a.lease
    local is_adopted = WAITING[st] and last == a.lease
    if not is_running and not is_adopted then return {'ESTALE', st or 'gone'} end
    if cancel then return {'CANCEL'} end
    if is_running then leave_run(a.id, 'done') else dequeue(a.id) end
    local keep_ms = tonumber(keep) > 0 and tonumber(keep) or meta('keep_ms', KEEP_MS)
    set(a.id, 'res', a.result, 'done_lease', a.lease, 'prog', 100, 'exp', now + keep_ms)
    call('ZADD', P .. 'assets', now + keep_ms, a.id)
    finish(a.id, 'succeeded')
    return {'OK', is_running and 'own' or 'adopt'}
end

local FAIL_KINDS = {retry = true, fatal = true, cancelled = true, timeout = true, release = true, crash = true}

-- Worker only; why is one of FAIL_KINDS. OK new-state | ESTALE state | EARG why
local function job_fail(a)
    if not FAIL_KINDS[a.why] then return {'EARG', 'why'} end
    if not is_own(a.id, a.lease) then return {'ESTALE', get(a.id, 'st') or 'gone'} end
    local cancel, try, crash, maxtry = get(a.id, 'cancel', 'try', 'crash', 'maxtry')
    if a.why == 'cancelled' and not cancel then return {'EARG', 'why'} end
    save_checkpoint(a.id, a.ckpt)
    if a.why == 'crash' then return {'OK', lose(a.id, a.delay)} end
    leave_run(a.id, a.why)
    if cancel then
        finish(a.id, 'canceled', 'cancelled', a.message)
        return {'OK', 'canceled'}
    end
    if a.why == 'release' then
        call('HINCRBY', P .. 'job:' .. a.id, 'try', -1)
        requeue(a.id, 0, 'release')
        return {'OK', 'queued'}
    end
    if a.why == 'retry' and try - crash < tonumber(maxtry) then
        requeue(a.id, a.delay, a.message)
        return {'OK', (get(a.id, 'st'))}
    end
    finish(a.id, 'failed', a.code, a.message)
    return {'OK', 'failed'}
end

-- ---- time --------------------------------------------------------------------------------------

local function due(set_name, max)
    return call('ZRANGEBYSCORE', P .. set_name, '-inf', now, 'LIMIT', 0, max)
end

-- Jobs of a set that are due. A member without a record (somebody deleted keys by hand) is dropped:
-- it must not stop the others for ever.
local function due_jobs(set_name, max)
    local ids = {}
    for _, id in ipairs(due(set_name, max)) do
        if get(id, 'st') then ids[#ids + 1] = id else call('ZREM', P .. set_name, id) end
    end
    return ids
end

-- After an outage or a step of the clock nobody could beat: give every lease its full length once more.
local function in_grace(lease_ms)
    local last, grace = meta('last_tick', 0), meta('grace', 0)
    call('HSET', P .. 'meta', 'last_tick', now)
    if last == 0 or now - last > lease_ms / 3 or now < last then
        grace = now + lease_ms
        call('HSET', P .. 'meta', 'grace', grace)
    end
    return now < grace
end

local function forget_workers()
    for _, wid in ipairs(call('ZRANGEBYSCORE', P .. 'workers', '-inf', now - 86400000, 'LIMIT', 0, 10)) do
        call('ZREM', P .. 'workers', wid)
        call('HDEL', P .. 'claims', wid)
        for _, lane in ipairs(call('SMEMBERS', P .. 'lanes')) do call('ZREM', P .. 'lw:' .. lane, wid) end
    end
    call('ZREMRANGEBYSCORE', P .. 'wban', '-inf', now)
end

-- Any process, about once a second. OK promoted expired requeued failed
local function job_tick(a)
    local n = {promoted = 0, expired = 0, requeued = 0, failed = 0}
    local is_grace = in_grace(a.lease_ms)
    for _, id in ipairs(due_jobs('delay', a.max)) do
        call('ZREM', P .. 'delay', id)
        enqueue(id)
        n.promoted = n.promoted + 1
    end
    for _, id in ipairs(due_jobs('qttl', a.max)) do
        dequeue(id)
        finish(id, 'expired', 'deadline_exceeded', 'the job was not started before its deadline')
        n.expired = n.expired + 1
    end
    for _, id in ipairs(is_grace and {} or due_jobs('run', a.max)) do
        local how = lose(id, a.delay) == 'failed' and 'failed' or 'requeued'
        n[how] = n[how] + 1
    end
    forget_workers()
    return {'OK', n.promoted, n.expired, n.requeued, n.failed}
end
