#!lua name=delta

-- Copyright (C) Delta contributors

-- The function library: what must happen in Redis at once.  The gateway loads
-- it when the version there is older; names of functions never change.  It is
-- this file, then presence.lua, membership.lua and leases.lua; without them
-- publishing works, and a gateway that comes replaces it.
--
--   FCALL delta_publish 1 <channel> <event JSON> [<source>/<n>]  ->  id
--   FCALL delta_tick 1 <channel>  ->  ms
--   FCALL delta_epoch 1 delta:epoch <node> <replication id> keep|new|wait
--       [<epoch known>]
--   FCALL delta_epoch 1 delta:epoch <node> <known epoch> read|raise
--       ->  epoch
--   FCALL_RO delta_log 3 <log> <once> delta:epoch XRANGE|XREVRANGE <from> <to>
--       <count>  ->  epoch, the last id, entries
--   FCALL_RO delta_version 0  ->  integer
--
-- delta_publish appends to the channel's log, delta:{<channel>}, with fields
-- p (the id before, 0-0 if none) and e (the event), and publishes
-- "<id> <id before> <event>" on the channel.  n rises per source and channel;
-- an n at or below the last one publishes nothing and answers the id stored
-- in delta:{<channel>}:once.  There, under the empty name, is also the last id
-- of all, so that a log that was deleted or trimmed is not taken for one in
-- which nothing was.  Errors of ours begin with DELTA and are final.
--
-- A publisher to guild:* needs these rights: +fcall +publish +xadd +xtrim
-- +xrevrange +expire +hget +hset  ~guild:* ~delta:{guild:*  &guild:*

local VERSION = 6

-- Rows of {pattern, keep in ms, entries}, longest literal prefix first; "*"
-- stands for one segment.  The gateway writes its own over the next line.
local RETENTION = {} --@retention

local KEEP = 3600000
local KEEP_CONTROL = 300000
local ENTRIES = 10000

-- seconds: a key outlives its entries, so that the last id survives quiet
-- times; a source may be away for longer than a log is kept
local KEY_LIFE = 86400
local ONCE_LIFE = 7 * 86400

local NAME_MAX = 256
local SEGMENT_MAX = 128
local N_MAX = 9007199254740991


-- The globals of Lua are not there yet while a library loads.

local function pattern_match(pattern)
    pattern = string.gsub(pattern, '[%^%$%(%)%%%.%[%]%+%-%?]', '%%%0')

    return '^' .. string.gsub(pattern, '%*', '[^:]+') .. '$'
end


local function retention(channel)
    for _, row in ipairs(RETENTION) do
        row.match = row.match or pattern_match(row[1])

        if string.find(channel, row.match) then
            return row[2], row[3] or ENTRIES
        end
    end

    if string.find(channel, 'user:[^:]+:control$') then
        return KEEP_CONTROL, ENTRIES
    end

    return KEEP, ENTRIES
end


local function valid_name(name)
    if name == '' or #name > NAME_MAX
       or string.find(name, '[^A-Za-z0-9._~@|+:-]')
       or string.find(':' .. name .. ':', '::', 1, true)
    then
        return false
    end

    if #name > SEGMENT_MAX then
        for segment in string.gmatch(name, '[^:]+') do
            if #segment > SEGMENT_MAX then
                return false
            end
        end
    end

    return true
end


local function parse_source(text)
    local source, digits = string.match(text,
                                        '^([A-Za-z0-9._~@|+-]+)/(%d+)$')

    if not source or #source > SEGMENT_MAX or #digits > 16 then
        return nil
    end

    local n = tonumber(digits)

    if n > N_MAX then
        return nil
    end

    return source, n, digits
end


-- A function does not roll back: what would be refused after XADD is found
-- out before it.

local function allowed(channel, log, once)
    local may = redis.acl_check_cmd

    return may('PUBLISH', channel, '')
           and may('XADD', log, '*', 'p', '')
           and may('XREVRANGE', log, '+', '-')
           and may('XTRIM', log, 'MINID', '0')
           and may('EXPIRE', log, '1')
           and may('HGET', once, '')
           and may('HSET', once, '', '')
           and may('EXPIRE', once, '1')
end


local function last_id(log, once)
    local known = redis.call('HGET', once, '')
    local last = redis.call('XREVRANGE', log, '+', '-', 'COUNT', 1)[1]

    return last and last[1] or known or '0-0'
end


local function trim(log, id, keep)
    local ms = tonumber(string.match(id, '^%d+')) - keep

    if ms > 0 then
        redis.call('XTRIM', log, 'MINID', '~', string.format('%.0f', ms))
    end
end


local function publish(keys, args)
    local channel, event = keys[1], args[1]

    if #keys ~= 1 or #args < 1 or #args > 2 then
        return redis.error_reply('DELTA usage: FCALL delta_publish 1 channel '
                                 .. 'event [source/n]')
    end

    if not valid_name(channel) then
        return redis.error_reply('DELTA the channel is not segments of '
                                 .. '[A-Za-z0-9._~@|+-] joined by ":"')
    end

    if not string.find(event, '^%s*{') then
        return redis.error_reply('DELTA the event is not a JSON object')
    end

    local log = 'delta:{' .. channel .. '}'
    local once = log .. ':once'
    local source, n, digits

    if args[2] then
        source, n, digits = parse_source(args[2])

        if not source then
            return redis.error_reply('DELTA source/n is not a name and a '
                                     .. 'number up to 2^53 - 1')
        end
    end

    if not allowed(channel, log, once) then
        return redis.error_reply('NOPERM delta_publish needs more rights on '
                                 .. 'the channel, its log or its once key')
    end

    if source then
        local done, id = string.match(redis.call('HGET', once, source) or '',
                                      '^(%d+) (.+)$')

        if done and n <= tonumber(done) then
            return id
        end
    end

    local keep, entries = retention(channel)
    local previous = last_id(log, once)
    local id = redis.call('XADD', log, 'MAXLEN', '~', entries, '*',
                          'p', previous, 'e', event)

    trim(log, id, keep)
    redis.call('EXPIRE', log, math.ceil(keep / 1000) + KEY_LIFE)

    redis.call('HSET', once, '', id)

    if source then
        redis.call('HSET', once, source, digits .. ' ' .. id)
    end

    redis.call('EXPIRE', once, math.ceil(keep / 1000) + ONCE_LIFE)

    redis.call('PUBLISH', channel, id .. ' ' .. previous .. ' ' .. event)

    return id
end


-- The time of Redis in ms, sent to who asks by way of pub/sub: it arrives
-- behind everything published before.

local function tick(keys)
    local now = redis.call('TIME')
    local ms = string.format('%s%03d', now[1], math.floor(now[2] / 1000))

    redis.call('PUBLISH', keys[1], ms)

    return ms
end


-- The epoch of all cursors.  It changes when this Redis is not the one that
-- was known under the node's name, unless the caller can tell that nothing
-- was lost ("keep"); who cannot tell yet says "wait" and gets 0.  Who has seen
-- the clock go back says "raise": the first of them ends the epoch they know.

local function epoch(keys, args)
    local key, node, id, verdict = keys[1], args[1], args[2], args[3]
    local before = tonumber(args[4] or 0)
    local v = redis.call('HGET', key, 'v')
    local known = redis.call('HGET', key, node)

    if verdict == 'read' or verdict == 'raise' then
        if v and verdict == 'raise' and v == id then
            v = string.format('%.0f', tonumber(v) + 1)
            redis.call('HSET', key, 'v', v)
        end

        return tonumber(v or 0)
    end

    if v and known == id then
        return tonumber(v)
    end

    if not v then
        v = string.format('%.0f', math.max(tonumber(redis.call('TIME')[1]),
                                           before + 1))
    elseif verdict == 'wait' then
        return 0
    elseif verdict ~= 'keep' then
        v = string.format('%.0f', tonumber(v) + 1)
    end

    redis.call('HSET', key, 'v', v, node, id)

    return tonumber(v)
end


-- A log as it is now, with what proves it whole.

local function log(keys, args)
    if #keys ~= 3 or #args ~= 4
       or (args[1] ~= 'XRANGE' and args[1] ~= 'XREVRANGE')
    then
        return redis.error_reply('DELTA usage: FCALL_RO delta_log 3 log once '
                                 .. 'delta:epoch XRANGE|XREVRANGE from to '
                                 .. 'count')
    end

    return {
        redis.call('HGET', keys[3], 'v') or '',
        redis.call('HGET', keys[2], '') or '',
        redis.call(args[1], keys[1], args[2], args[3], 'COUNT', args[4])
    }
end


redis.register_function('delta_publish', publish)
redis.register_function('delta_epoch', epoch)
redis.register_function('delta_tick', tick)

redis.register_function{
    function_name = 'delta_log',
    callback = log,
    flags = { 'no-writes' }
}
