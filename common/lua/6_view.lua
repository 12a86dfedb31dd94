-- ---- reading -----------------------------------------------------------------------------------

-- {id fields spec position queue-deadline last-event}: one consistent snapshot.
local function snapshot(id)
    local fields = call('HGETALL', P .. 'job:' .. id)
    local st, lane = get(id, 'st', 'lane')
    local position = st == 'queued' and call('ZRANK', P .. 'lq:' .. lane, id) or -1
    local last = call('XREVRANGE', P .. 'ev:' .. id, '+', '-', 'COUNT', 1)[1]
    return {id, fields, call('GET', P .. 'spec:' .. id) or '', position,
            call('ZSCORE', P .. 'qttl', id) or '0', last and last[1] or ''}
end

-- Server. OK snapshot | ENOENT
local function job_get(a)
    if not state_for(a.id, a.tenant) then return {'ENOENT'} end
    return {'OK', snapshot(a.id)}
end

-- Server; order is desc or asc by age, after an id or "". OK has-more snapshot..
local function job_list(a)
    local key = P .. 'idx:' .. a.tenant
    local ids
    if a.order == 'desc' then
        local from = a.after == '' and '+' or '(' .. a.after
        ids = call('ZRANGE', key, from, '-', 'BYLEX', 'REV', 'LIMIT', 0, a.max + 1)
    else
        local from = a.after == '' and '-' or '(' .. a.after
        ids = call('ZRANGE', key, from, '+', 'BYLEX', 'LIMIT', 0, a.max + 1)
    end
    local out = {'OK', #ids > a.max and 1 or 0}
    for i = 1, math.min(#ids, a.max) do out[#out + 1] = snapshot(ids[i]) end
    return out
end

-- {name queued created-of-oldest workers n-of-priority-0 .. n-of-priority-9}
local function lane_figures(lane)
    local queue = P .. 'lq:' .. lane
    local ids = call('ZRANGE', queue, 0, 999)
    local by_prio = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
    for _, id in ipairs(ids) do
        local prio = tonumber(get(id, 'prio') or 0) + 1
        by_prio[prio] = by_prio[prio] + 1
    end
    local oldest = ids[1] and get(ids[1], 'created') or '0'
    return {lane, call('ZCARD', queue), oldest, call('ZCOUNT', P .. 'lw:' .. lane, now - ALIVE_MS, '+inf'),
            unpack(by_prio)}
end

-- Anybody. OK now running scheduled ended dead hooks-due hooks-dead {lane figures}.. {worker age busy}..
local function job_stat()
    local lanes, workers, busy = {}, {}, {}
    for _, id in ipairs(call('ZRANGE', P .. 'run', 0, 999)) do busy[get(id, 'wid') or ''] = 1 end
    local names = call('SMEMBERS', P .. 'lanes')
    table.sort(names)
    for i = 1, math.min(#names, 32) do lanes[i] = lane_figures(names[i]) end
    local heard = call('ZRANGEBYSCORE', P .. 'workers', now - ALIVE_MS, '+inf', 'WITHSCORES', 'LIMIT', 0, 256)
    for i = 1, #heard, 2 do
        workers[#workers + 1] = {heard[i], now - heard[i + 1], busy[heard[i]] or 0}
    end
    local function n(set_name) return call('ZCARD', P .. set_name) end
    return {'OK', now, n('run'), n('delay'), n('term'), n('dead'), n('whdue') + n('whrun'), n('whdead'),
            lanes, workers}
end
