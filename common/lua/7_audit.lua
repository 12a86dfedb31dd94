-- ---- audit -------------------------------------------------------------------------------------
--
-- Checks one key against all that must agree with it, in one atomic step, so it may run beside live
-- traffic. Numbers in the texts are the invariants of migrations/README.md.

local problems -- of the running audit

local function expect(is_true, text)
    if not is_true then problems[#problems + 1] = text end
end

local function is_in(set_name, id)
    return call('ZSCORE', P .. set_name, id) and true or false
end

local function is_member(set_name, id)
    return call('SISMEMBER', P .. set_name, id) == 1
end

local function audit_terminal_events(id, st)
    local n, seen = 0, false
    for _, row in ipairs(call('XRANGE', P .. 'ev:' .. id, '-', '+')) do
        local kind = row[2][6]
        if kind == 'retried' then n = 0 end
        if ENDED[kind] then n = n + 1 end
        seen = true
    end
    if seen then expect(n == (ENDED[st] and 1 or 0), 'I5 job:' .. id .. ' is ' .. st .. ' with ' .. n .. ' terminal events') end
end

local function audit_outbox(id, st, url, wanted)
    if not ENDED[st] or not url or url == '' then return end
    for _, kind in ipairs(HOOKS_OF[st]) do
        local is_wanted = string.find(',' .. wanted .. ',', ',' .. kind .. ',', 1, true) and 1 or 0
        if is_wanted == 1 then
            expect(call('EXISTS', P .. 'wh:' .. id .. ':' .. kind) == 1, 'I7 job:' .. id .. ' has no webhook ' .. kind)
        end
    end
end

local function audit_places(id, st, tenant, lane, has_lease)
    local queued = is_in('q:' .. lane .. ':' .. tenant, id)
    local who = 'job:' .. id .. ' is ' .. st
    expect(queued == (st == 'queued'), 'I1 ' .. who .. ', in its queue: ' .. tostring(queued))
    expect(is_in('lq:' .. lane, id) == queued, 'I1 ' .. who .. ', queue and lane disagree')
    expect(is_in('delay', id) == (st == 'scheduled'), 'I1 ' .. who .. ', delay disagrees')
    expect(is_in('run', id) == (st == 'running'), 'I1 ' .. who .. ', run disagrees')
    expect(is_member('runt:' .. tenant, id) == (st == 'running'), 'I3 ' .. who .. ', runt disagrees')
    expect(has_lease == (st == 'running'), 'I2 ' .. who .. ', lease: ' .. tostring(has_lease))
    expect(is_member('live:' .. tenant, id) == not ENDED[st], 'I2 ' .. who .. ', live disagrees')
    expect(is_in('term', id) == (ENDED[st] or false), 'I2 ' .. who .. ', term disagrees')
    expect(not ENDED[st] or not is_in('qttl', id), 'I2 ' .. who .. ', but has a queue deadline')
end

local function audit_job(_, id)
    local st, tenant, lane, lease, try, maxtry, crash, url, wanted, del =
        get(id, 'st', 'tenant', 'lane', 'lease', 'try', 'maxtry', 'crash', 'hook', 'hev', 'del')
    if not (st and tenant and lane and (WAITING[st] or ENDED[st] or st == 'running')) then
        return expect(false, 'R1 job:' .. id .. ' has no readable state')
    end
    audit_places(id, st, tenant, lane, lease and true or false)
    expect(is_in('idx:' .. tenant, id) == not del, 'I12 job:' .. id .. ' and the list of its tenant disagree')
    expect(call('EXISTS', P .. 'spec:' .. id) == 1, 'I12 job:' .. id .. ' has no spec')
    local t, m, c = tonumber(try), tonumber(maxtry), tonumber(crash)
    expect(t and m and c and t <= m + c and c <= meta('max_crash', 2) + 1,
           'I9 job:' .. id .. ' has try ' .. tostring(try) .. ', crash ' .. tostring(crash))
    audit_terminal_events(id, st)
    audit_outbox(id, st, url, wanted or '')
end

-- A key that belongs to one job and must not outlive it.
local function audit_owned(key, id)
    expect(call('EXISTS', P .. 'job:' .. id) == 1, 'I15 ' .. key .. ' has no job')
end

local function audit_hook(key, w)
    audit_owned(key, string.match(w, '^[^:]+'))
    local ep, ok = unpack(call('HMGET', P .. key, 'ep', 'ok'))
    local n = (is_in('whdue', w) and 1 or 0) + (is_in('whrun', w) and 1 or 0) + (is_in('whdead', w) and 1 or 0)
    expect(n == (ok and 0 or 1), 'I7 ' .. key .. ' is in ' .. n .. ' places')
    expect(ep and is_member('whin:' .. ep, w) == is_in('whrun', w), 'I8 ' .. key .. ' and its endpoint disagree')
end

local function audit_ring(key, lane)
    for _, tenant in ipairs(call('ZRANGE', P .. key, 0, RING_SCAN - 1)) do
        expect(call('EXISTS', P .. 'q:' .. lane .. ':' .. tenant) == 1, 'I4 ' .. key .. ' has idle ' .. tenant)
    end
end

local function audit_queue(key, rest)
    local lane, tenant = string.match(rest, '^([^:]+):(.+)$')
    expect(lane and is_in('ring:' .. lane, tenant), 'I4 ' .. key .. ' has jobs but its tenant is not in the ring')
end

local function audit_idem(key)
    local id = string.match(call('GET', P .. key) or '', '^(%S+) %S+$')
    expect(id and call('EXISTS', P .. 'job:' .. id) == 1, 'I15 ' .. key .. ' has no job')
end

-- Every kind of key: its check, or true where nothing else has to agree.
local KINDS = {
    job = audit_job, spec = audit_owned, ev = audit_owned, att = audit_owned, wh = audit_hook,
    ring = audit_ring, q = audit_queue, idem = audit_idem,
    meta = true, lq = true, vt = true, lanes = true, wake = true, run = true, runt = true, live = true,
    delay = true, qttl = true, term = true, dead = true, assets = true, gc = true, idx = true, evall = true,
    whdue = true, whrun = true, whdead = true, whin = true, whcb = true, whsec = true,
    workers = true, lw = true, claims = true, wlost = true, wban = true,
    quota = true, key = true, rl = true, und = true, mig = true, note = true, notes = true,
}
-- Sets of jobs, and sets of outbox entries: no member may be without its record.
local SETS = {
    lq = 'job:', q = 'job:', run = 'job:', delay = 'job:', qttl = 'job:', term = 'job:', dead = 'job:',
    assets = 'job:', idx = 'job:', runt = 'job:', live = 'job:', whdue = 'wh:', whrun = 'wh:', whdead = 'wh:',
    whin = 'wh:',
}
local SCANS = {zset = {'ZSCAN', 2}, set = {'SSCAN', 1}}

-- One page of the members of a set; returns where to go on.
local function audit_members(key, kind, cursor)
    local scan = SCANS[call('TYPE', P .. key).ok]
    if not scan then
        expect(false, 'R3 ' .. key .. ' has the wrong type')
        return '0'
    end
    local page = call(scan[1], P .. key, cursor, 'COUNT', 200)
    for i = 1, #page[2], scan[2] do
        local member = page[2][i]
        expect(call('EXISTS', P .. SETS[kind] .. member) == 1, 'I15 ' .. key .. ' has ' .. member .. ' without a record')
    end
    return page[1]
end

-- Runs a check; a key of the wrong type somewhere must not end the audit.
local function try_check(check, key, rest)
    local ok, why = pcall(check, key, rest)
    if not ok then expect(false, 'R3 ' .. key .. ': ' .. (type(why) == 'table' and why.err or tostring(why))) end
end

-- Operators; key is without the prefix, cursor starts at 0. OK next-cursor problem..
local function job_audit(a)
    problems = {}
    local kind, rest = string.match(a.key, '^([^:]+):?(.*)$')
    local check = KINDS[kind or '']
    local next_cursor = '0'
    if not check then
        expect(false, 'I15 ' .. a.key .. ' is no key of this schema')
    elseif call('EXISTS', P .. a.key) == 1 then
        if check ~= true and a.cursor == '0' then try_check(check, a.key, rest) end
        if SETS[kind] then next_cursor = audit_members(a.key, kind, a.cursor) end
    end
    return {'OK', next_cursor, unpack(problems)}
end
