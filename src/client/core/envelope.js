// Copyright (C) Delta contributors

// What comes from the network, as an event or as null.

import { isId } from './positions.js'

const TYPE = /^[a-z0-9_.]{1,64}$/

const isObject = value =>
    typeof value === 'object' && value !== null && !Array.isArray(value)

export function envelope(message) {
    if (!isObject(message)) return null

    // delta_envelope compact: the id is a user's
    if (message.t === 'u' && message.d === undefined) {
        const { t, ...d } = message
        return { v: 1, t: 'presence_update', d }
    }

    const { v, t, c, id, d } = message

    return v === 1 && typeof t === 'string' && TYPE.test(t) && isObject(d)
        && (c === undefined || typeof c === 'string')
        && (id === undefined || isId(id)) ? message : null
}
