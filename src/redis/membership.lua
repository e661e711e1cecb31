
-- Copyright (C) Delta contributors

-- Sets of memberships that gateways read through: docs/publishing.md has the
-- contract.  A set with the marker is whole; without it, it may be what was
-- added to one that was not there.  The generation rises before each change
-- of a set, so that what was found out before the change is not written
-- behind it.
--
--   FCALL_RO delta_sets_missing N generation set…  ->  {generation, number…}
--   FCALL delta_sets_fill N generation set… <generation> <seconds>
--       then for each set: <count> <member>…  ->  1, or 0: it has risen
--   FCALL delta_sets_keep N set… <seconds>  ->  how many now live longer

local WHOLE = '(whole)'
local SETS_MAX = 64
local MEMBERS_MAX = 100000
local CHUNK = 1000


-- The sets that are not whole, by number from 1.

local function sets_missing(keys, args)
    if #keys < 2 or #keys > SETS_MAX + 1 or #args ~= 0 then
        return wrong('usage: FCALL_RO delta_sets_missing N generation set…')
    end

    local reply = { redis.call('GET', keys[1]) or '' }

    for i = 2, #keys do
        if redis.call('SISMEMBER', keys[i], WHOLE) == 0 then
            reply[#reply + 1] = i - 1
        end
    end

    return reply
end


local function sets_args(keys, args)
    local at, sets = 3, {}

    for i = 2, #keys do
        local n = number(args[at], 0, MEMBERS_MAX)

        if not n or at + n > #args then
            return nil
        end

        for k = at + 1, at + n do
            if #args[k] > SEGMENT_MAX or not valid_name(args[k])
               or string.find(args[k], ':', 1, true)
            then
                return nil
            end
        end

        sets[i] = { at + 1, at + n }
        at = at + n + 1
    end

    return at == #args + 1 and sets
end


local function sets_rights(keys)
    local may = redis.acl_check_cmd

    for i = 2, #keys do
        if not (may('SISMEMBER', keys[i], '') and may('DEL', keys[i])
                and may('SADD', keys[i], '') and may('EXPIRE', keys[i], '1'))
        then
            return false
        end
    end

    return true
end


-- What is whole is left alone: its owner has kept it right meanwhile.

local function sets_fill(keys, args)
    local seconds = number(args[2], 1, DURATION_MAX)
    local sets = #keys >= 2 and #keys <= SETS_MAX + 1 and sets_args(keys, args)
    local todo = {}

    if not seconds or not sets then
        return wrong('usage: FCALL delta_sets_fill N generation set… '
                     .. 'generation seconds, then count member… for each; '
                     .. 'members are segments of a channel')
    end

    if not sets_rights(keys) then
        return redis.error_reply('NOPERM delta_sets_fill needs more rights '
                                 .. 'on the sets')
    end

    if (redis.call('GET', keys[1]) or '') ~= args[1] then
        return 0
    end

    for i = 2, #keys do
        if redis.call('SISMEMBER', keys[i], WHOLE) == 0 then
            todo[#todo + 1] = i
        end
    end

    for _, i in ipairs(todo) do
        local first, last = sets[i][1], sets[i][2]

        redis.call('DEL', keys[i])
        redis.call('SADD', keys[i], WHOLE)

        for k = first, last, CHUNK do
            redis.call('SADD', keys[i],
                       unpack(args, k, math.min(k + CHUNK - 1, last)))
        end

        redis.call('EXPIRE', keys[i], args[2])
    end

    return 1
end


-- Never shorter, and what has no end gets none.

local function sets_keep(keys, args)
    local kept = 0

    if #keys < 1 or #keys > BATCH_MAX or #args ~= 1
       or not number(args[1], 1, DURATION_MAX)
    then
        return wrong('usage: FCALL delta_sets_keep N set… seconds')
    end

    for i = 1, #keys do
        kept = kept + redis.call('EXPIRE', keys[i], args[1], 'GT')
    end

    return kept
end


redis.register_function('delta_sets_fill', sets_fill)
redis.register_function('delta_sets_keep', sets_keep)

redis.register_function({
    function_name = 'delta_sets_missing',
    callback = sets_missing,
    flags = { 'no-writes' },
})
