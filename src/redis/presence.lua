
-- Copyright (C) Delta contributors

-- Presence and sessions: docs/presence.md has the contract.
--
-- A user's hash holds v (the number of transitions), a (what friends were
-- told, absent: offline) and a lease s:<sid> for each session, written as
-- gen|due|heard|set_at|<length of status>|<status><project>.  Every function
-- that can announce drops leases past their due, compares what the rest
-- amounts to with a, and publishes only a difference: once, whoever asks.

local GARBAGE = 600000
local MINUTE = 60000
local DURATION_MAX = 86400000
local LEASES_MAX = 256
local BATCH_MAX = 1000
local SETTLE = 2000
local STATUS_MAX = 64
local PROJECT_MAX = 128
local ENDED = ':ended'


local function now_ms()
    local t = redis.call('TIME') --@clock

    return t[1] * 1000 + math.floor(t[2] / 1000)
end


local function int(n)
    return string.format('%.0f', n)
end


local function number(text, min, max)
    if not text or #text > 16 or not string.find(text, '^%d+$') then
        return nil
    end

    local n = tonumber(text)

    return n >= min and n <= max and n or nil
end


local function duration(text, min)
    return number(text, min, DURATION_MAX)
end


local function valid_sid(sid)
    return sid and #sid <= 64 and string.find(sid, '^[A-Za-z0-9_-]+$')
end


local function utf8(text)
    if not string.find(text, '[\128-\255]') then
        return true
    end

    for _, form in ipairs({ '[\194-\223][\128-\191]',
                            '\224[\160-\191][\128-\191]',
                            '\237[\128-\159][\128-\191]',
                            '[\225-\236\238\239][\128-\191][\128-\191]',
                            '\240[\144-\191][\128-\191][\128-\191]',
                            '[\241-\243][\128-\191][\128-\191][\128-\191]',
                            '\244[\128-\143][\128-\191][\128-\191]' })
    do
        text = string.gsub(text, form, ' ')
    end

    return not string.find(text, '[\128-\255]')
end


local function valid_text(text, min, max)
    return text and #text >= min and #text <= max
           and not string.find(text, '[%z\1-\31\127]') and utf8(text)
end


local function json_string(text)
    return '"' .. string.gsub(text, '["\\]', '\\%0') .. '"'
end


local function user_of(key)
    local channel = string.match(key, '^delta:{(.+)}$')

    return channel and valid_name(channel)
           and string.match(channel, '[^:]+$')
end


local function lease_read(text)
    local gen, due, heard, set_at, n, rest =
        string.match(text, '^(%d+)|(%d+)|(%d+)|(%d+)|(%d+)|(.*)$')

    return gen and { gen = tonumber(gen), due = tonumber(due),
                     heard = tonumber(heard), set_at = tonumber(set_at),
                     status = string.sub(rest, 1, tonumber(n)),
                     project = string.sub(rest, tonumber(n) + 1) }
end


local function lease_write(state, sid, lease)
    local text = table.concat({ int(lease.gen), int(lease.due),
                                int(lease.heard), int(lease.set_at),
                                #lease.status,
                                lease.status .. lease.project }, '|')

    state.leases[sid] = lease
    redis.call('HSET', state.key, 's:' .. sid, text)
end


-- A function does not roll back: all that could be refused is found out here.

local function seen_rights(seen)
    local may = redis.acl_check_cmd

    return not seen
           or may('ZSCORE', seen, '') and may('ZADD', seen, 'GT', '1', '')
              and may('ZADD', seen .. ENDED, 'GT', '1', '')
end


local function rights(key, channel, seen)
    local may = redis.acl_check_cmd

    return may('PUBLISH', channel, '')
           and may('HGETALL', key)
           and may('HSET', key, '', '')
           and may('HDEL', key, '')
           and may('PEXPIREAT', key, '1')
           and seen_rights(seen)
end


local function refresh_rights(key, seen)
    local may = redis.acl_check_cmd

    return may('HGET', key, '')
           and may('HSET', key, '', '')
           and may('PEXPIREAT', key, '1')
           and seen_rights(seen)
end


local function state_read(keys, args, usage, n)
    local key, seen, channel = keys[1], keys[2], args[1]

    if #keys < 1 or #keys > 2 or #args ~= n then
        return nil, redis.error_reply('DELTA usage: FCALL ' .. usage)
    end

    local user = user_of(key)

    if not user or not valid_name(channel) then
        return nil, redis.error_reply('DELTA the key is not delta:{<channel>} '
                                      .. 'or the channel is not one')
    end

    if not rights(key, channel, seen) then
        return nil, redis.error_reply('NOPERM presence needs more rights on '
                                      .. 'the key, the channel or last_seen')
    end

    local state = { key = key, seen = seen, channel = channel, user = user,
                    now = now_ms(), leases = {} }
    local flat = redis.call('HGETALL', key)

    if seen then
        redis.call('ZSCORE', seen, user)
    end

    for i = 1, #flat, 2 do
        local sid = string.match(flat[i], '^s:(.*)$')

        if sid then
            state.leases[sid] = lease_read(flat[i + 1])
                                or { gen = 0, due = 0, heard = 0,
                                     set_at = 0 }
        elseif flat[i] == 'v' then
            state.v = tonumber(flat[i + 1])
        elseif flat[i] == 'a' then
            state.a = flat[i + 1]
        end
    end

    return state
end


local function seen_add(seen, user, ms)
    if seen and ms > 0 then
        redis.call('ZADD', seen, 'GT', int(ms), user)
    end
end


-- A session that has ended is also told apart, to be stored at once.

local function lease_drop(state, sid, heard)
    seen_add(state.seen, state.user, heard)
    seen_add(state.seen and state.seen .. ENDED, state.user, heard)
    redis.call('HDEL', state.key, 's:' .. sid)
    state.leases[sid] = nil
end


-- The lease whose status was set last; of two, the greater sid.

local function newest(state)
    local sid, top

    for id, lease in pairs(state.leases) do
        if not top or lease.set_at > top.set_at
           or (lease.set_at == top.set_at and id > sid)
        then
            sid, top = id, lease
        end
    end

    return top
end


local function drop_expired(state)
    for sid, lease in pairs(state.leases) do
        if lease.due <= state.now then
            lease_drop(state, sid, lease.heard)
        end
    end
end


local function told(user, status, project)
    return '{"id":"' .. user .. '","s":' .. json_string(status) .. ',"p":'
           .. (project == '' and 'null' or json_string(project)) .. '}'
end


-- v begins with the time: it rises also when the hash was gone in between.

local function announce(state)
    local top = newest(state)
    local a = top and told(state.user, top.status, top.project)

    if a ~= state.a then
        state.v = state.v and state.v + 1 or state.now

        if a then
            redis.call('HSET', state.key, 'v', int(state.v), 'a', a)
        else
            redis.call('HSET', state.key, 'v', int(state.v))
            redis.call('HDEL', state.key, 'a')
        end

        redis.call('PUBLISH', state.channel, int(state.v)
                   .. ' {"t":"presence_update","d":'
                   .. (a or told(state.user, 'offline', '')) .. '}')
    end

    return state.v or 0
end


-- The key outlives its last lease.  In whole minutes: a refresh that stays
-- within the minute need not touch it.

local function life(due)
    return int((math.floor(due / MINUTE) + 1) * MINUTE + GARBAGE)
end


local function keep(state)
    local last = 0

    for _, lease in pairs(state.leases) do
        last = math.max(last, lease.due)
    end

    redis.call('PEXPIREAT', state.key, life(last))
end


-- Dues rise, but a status set later wins even if the clock was set back.

local function set_at(state)
    local top = newest(state)

    return math.max(state.now, top and top.set_at + 1 or 0)
end


local function make_room(state)
    local count, sid, due = 0, nil, nil

    for id, lease in pairs(state.leases) do
        count = count + 1

        if not due or lease.due < due or (lease.due == due and id < sid) then
            sid, due = id, lease.due
        end
    end

    if count >= LEASES_MAX then
        lease_drop(state, sid, state.leases[sid].heard)
    end
end


local function wrong(what)
    return redis.error_reply('DELTA ' .. what)
end


local NO_SID = 'the sid is not 1 to 64 of [A-Za-z0-9_-]'
local NO_NUMBER = 'a number is not a whole one, or out of bounds'
local NO_STATUS = 'the status is not 1 to 64 bytes of text other than '
                  .. 'offline, or the project more than 128'


local function valid_status(status, project)
    return valid_text(status, 1, STATUS_MAX) and status ~= 'offline'
           and valid_text(project, 0, PROJECT_MAX)
end


local function session_open(keys, args)
    local state, err = state_read(keys, args, 'delta_session_open 1|2 key '
                                  .. '[last_seen] channel sid ttl resume '
                                  .. 'status project', 6)

    if not state then
        return err
    end

    local sid = args[2]
    local ttl, resume = duration(args[3], 1), duration(args[4], 0)

    if not valid_sid(sid) then
        return wrong(NO_SID)
    end

    if not ttl or not resume then
        return wrong(NO_NUMBER)
    end

    if not valid_status(args[5], args[6]) then
        return wrong(NO_STATUS)
    end

    drop_expired(state)

    local old = state.leases[sid]

    if not old then
        make_room(state)
    end

    local lease = { gen = old and old.gen + 1 or 1, heard = state.now,
                    due = state.now + ttl + resume, set_at = set_at(state),
                    status = args[5], project = args[6] }

    lease_write(state, sid, lease)
    keep(state)

    return { lease.gen, announce(state) }
end


local function session_resume(keys, args)
    local state, err = state_read(keys, args, 'delta_session_resume 1|2 key '
                                  .. '[last_seen] channel sid gen ttl '
                                  .. 'resume', 5)

    if not state then
        return err
    end

    local sid, gen = args[2], number(args[3], 1, N_MAX)
    local ttl, resume = duration(args[4], 1), duration(args[5], 0)

    if not valid_sid(sid) then
        return wrong(NO_SID)
    end

    if not gen or not ttl or not resume then
        return wrong(NO_NUMBER)
    end

    local lease = state.leases[sid]

    -- not even the expired go: an open that follows shall show no gap

    if not lease or lease.gen ~= gen or lease.due <= state.now then
        return { 0 }
    end

    drop_expired(state)

    lease.gen = gen + 1
    lease.heard = state.now
    lease.due = state.now + ttl + resume

    lease_write(state, sid, lease)
    keep(state)

    return { lease.gen, announce(state), lease.status, lease.project }
end


local function session_status(keys, args)
    local state, err = state_read(keys, args, 'delta_session_status 1|2 key '
                                  .. '[last_seen] channel sid gen status '
                                  .. 'project', 5)

    if not state then
        return err
    end

    local sid, gen = args[2], number(args[3], 1, N_MAX)

    if not valid_sid(sid) then
        return wrong(NO_SID)
    end

    if not gen then
        return wrong(NO_NUMBER)
    end

    if not valid_status(args[4], args[5]) then
        return wrong(NO_STATUS)
    end

    local lease = state.leases[sid]

    if not lease or lease.due <= state.now then
        return { 0, 'gone' }
    end

    if lease.gen ~= gen then
        return { 0, 'replaced' }
    end

    drop_expired(state)

    lease.set_at = set_at(state)
    lease.status = args[4]
    lease.project = args[5]

    lease_write(state, sid, lease)

    return { announce(state) }
end


local function session_leave(keys, args)
    local state, err = state_read(keys, args, 'delta_session_leave 1|2 key '
                                  .. '[last_seen] channel sid gen grace', 4)

    if not state then
        return err
    end

    local sid = args[2]
    local gen, grace = number(args[3], 1, N_MAX), duration(args[4], 0)

    if not valid_sid(sid) then
        return wrong(NO_SID)
    end

    if not gen or not grace then
        return wrong(NO_NUMBER)
    end

    local lease = state.leases[sid]

    if not lease or lease.gen ~= gen then
        return { state.v or 0 }
    end

    drop_expired(state)

    if grace == 0 then
        lease_drop(state, sid, state.now)

    elseif state.leases[sid] then
        lease.due = state.now + grace
        lease_write(state, sid, lease)
        keep(state)
    end

    return { announce(state) }
end


local function presence_expire(keys, args)
    local state, err = state_read(keys, args, 'delta_presence_expire 1|2 key '
                                  .. '[last_seen] channel', 1)

    if not state then
        return err
    end

    drop_expired(state)
    announce(state)

    local first

    for _, lease in pairs(state.leases) do
        first = math.min(first or lease.due, lease.due)
    end

    return first or 0
end


-- A lease past its due lives on if nobody has dropped it yet: after Redis was
-- out of reach for long, who refreshes before sweeping shows nobody offline.

local function refresh_one(key, seen, now, session, window)
    local field = 's:' .. session.sid
    local text = redis.pcall('HGET', key, field)

    if type(text) ~= 'string' then
        return 'gone'
    end

    local gen, due, tail = string.match(text, '^(%d+)|(%d+)|%d+(|.*)$')

    if not gen then
        return 'gone'
    end

    if tonumber(gen) ~= session.gen then
        return 'replaced'
    end

    local heard = now - session.silent

    if heard + window <= now then
        return 'gone'
    end

    redis.call('HSET', key, field, gen .. '|' .. int(heard + window) .. '|'
                                   .. int(heard) .. tail)

    if life(heard + window) ~= life(tonumber(due)) then
        redis.call('PEXPIREAT', key, life(heard + window), 'GT')
        seen_add(seen, session.user, heard)
    end
end


local function refresh_args(keys, args, n)
    local ttl, resume = duration(args[1], 1), duration(args[2], 0)
    local sessions = {}

    if not ttl or not resume then
        return nil, wrong(NO_NUMBER)
    end

    for i = 1, n do
        local session = { user = user_of(keys[i]), sid = args[3 * i],
                          gen = number(args[3 * i + 1], 1, N_MAX),
                          silent = duration(args[3 * i + 2], 0) }

        if not session.user then
            return nil, wrong('a key is not delta:{<channel>}')
        end

        if not valid_sid(session.sid) then
            return nil, wrong(NO_SID)
        end

        if not session.gen or not session.silent then
            return nil, wrong(NO_NUMBER)
        end

        sessions[i] = session
    end

    return sessions, nil, ttl + resume
end


local function session_refresh(keys, args)
    local n = (#args - 2) / 3
    local seen = keys[n + 1]

    if n < 1 or n > BATCH_MAX or n % 1 ~= 0 or #keys < n or #keys > n + 1 then
        return wrong('usage: FCALL delta_session_refresh N key… [last_seen] '
                     .. 'ttl resume, then sid gen silent for each key')
    end

    local sessions, err, window = refresh_args(keys, args, n)

    if not sessions then
        return err
    end

    if not refresh_rights(keys[1], seen) then
        return redis.error_reply('NOPERM delta_session_refresh needs more '
                                 .. 'rights on the keys or last_seen')
    end

    local now, lost = now_ms(), {}

    if seen then
        redis.call('ZSCORE', seen, sessions[1].user)
    end

    for i, session in ipairs(sessions) do
        local what = refresh_one(keys[i], seen, now, session, window)

        if what then
            lost[#lost + 1] = { i, what }
        end
    end

    return lost
end


redis.register_function('delta_session_open', session_open)
redis.register_function('delta_session_resume', session_resume)
redis.register_function('delta_session_refresh', session_refresh)
redis.register_function('delta_session_status', session_status)
redis.register_function('delta_session_leave', session_leave)
redis.register_function('delta_presence_expire', presence_expire)
