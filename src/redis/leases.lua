
-- Copyright (C) Delta contributors

-- The index: user to a time not after the user's earliest due, but for what
-- delta_leases_add says.  A mark ends in .5, other scores are whole.

local function index_user(user)
    return user and #user <= SEGMENT_MAX and valid_name(user)
           and not string.find(user, ':', 1, true)
end


local function index_pairs(keys, args, min, max)
    if #keys ~= 1 or #args < 2 or #args % 2 ~= 0 or #args > 2 * BATCH_MAX then
        return wrong('usage: one key, then pairs of user and number')
    end

    for i = 1, #args, 2 do
        if not index_user(args[i]) then
            return wrong('the user is not a segment of a channel')
        end

        if not number(args[i + 1], min, max) then
            return wrong(NO_NUMBER)
        end
    end
end


-- Not to be claimed for a moment: what is opened next is found by the sweep.
-- The moment is the same for all, so that none cuts that of another short.

local function leases_add(keys, args)
    local err = index_pairs(keys, args, 1, DURATION_MAX)

    if err then
        return err
    end

    local now = now_ms()

    for i = 1, #args, 2 do
        local score = redis.call('ZSCORE', keys[1], args[i])
        local at = now + tonumber(args[i + 1])

        if score then
            at = math.max(math.min(math.floor(tonumber(score)), at),
                          now + SETTLE)
        end

        redis.call('ZADD', keys[1], int(at), args[i])
    end

    return #args / 2
end


local function leases_claim(keys, args)
    local limit, hold = number(args[1], 1, BATCH_MAX), duration(args[2], 1)

    if #keys ~= 1 or #args ~= 2 or not limit or not hold then
        return wrong('usage: FCALL delta_leases_claim 1 key limit hold')
    end

    local now = now_ms()
    local users = redis.call('ZRANGEBYSCORE', keys[1], '-inf', int(now),
                             'LIMIT', 0, int(limit))
    local mark = int(now + hold) .. '.5'

    for _, user in ipairs(users) do
        redis.call('ZADD', keys[1], mark, user)
    end

    return { mark, users }
end


local function leases_done(keys, args)
    local user, mark = args[1], string.match(args[2] or '', '^(%d+)%.5$')
    local due = number(args[3], 0, N_MAX)

    if #keys ~= 1 or #args ~= 3 or not index_user(user) or not due
       or not number(mark, 1, N_MAX)
    then
        return wrong('usage: FCALL delta_leases_done 1 key user mark next|0')
    end

    local score = redis.call('ZSCORE', keys[1], user)

    if not score or tonumber(score) ~= tonumber(args[2]) then
        return 0
    end

    if due == 0 then
        redis.call('ZREM', keys[1], user)
    else
        redis.call('ZADD', keys[1], int(due), user)
    end

    return 1
end


-- What was stored elsewhere goes, unless it has become newer meanwhile.

local function last_seen_done(keys, args)
    local err = index_pairs(keys, args, 0, N_MAX)
    local gone = 0

    if err then
        return err
    end

    for i = 1, #args, 2 do
        local score = redis.call('ZSCORE', keys[1], args[i])

        if score and tonumber(score) <= tonumber(args[i + 1]) then
            gone = gone + redis.call('ZREM', keys[1], args[i])
        end
    end

    return gone
end


redis.register_function('delta_leases_add', leases_add)
redis.register_function('delta_leases_claim', leases_claim)
redis.register_function('delta_leases_done', leases_done)
redis.register_function('delta_last_seen_done', last_seen_done)

redis.register_function({
    function_name = 'delta_version',
    callback = function() return VERSION end,
    flags = { 'no-writes' },
})
