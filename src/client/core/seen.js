// Copyright (C) Delta contributors

// Read your writes: waits until an event, or all before it, has arrived.

import { above, isId, notBefore } from './positions.js'

const RECENT = 256

export class Seen {
    #recent = new Set()
    #waiting = new Set()

    constructor(env, positions) {
        Object.assign(this, { env, positions })
    }

    // Ids of two channels may be equal by chance: with a channel it is exact.

    wait(id, { channel, timeout = 10000 } = {}) {
        if (!isId(id)) return Promise.resolve(!id)
        if (this.#has({ id, channel })) return Promise.resolve(true)

        return new Promise(resolve => {
            const one = { id, channel, resolve }
            one.timer = this.env.setTimeout(() => this.#end(one, false),
                                            timeout)
            this.#waiting.add(one)
        })
    }

    note(id) {
        this.#recent.add(id)
        if (this.#recent.size > RECENT) {
            this.#recent.delete(this.#recent.values().next().value)
        }
        this.check()
    }

    check() {
        for (const one of this.#waiting) {
            if (this.#has(one)) this.#end(one, true)
        }
    }

    close() {
        for (const one of this.#waiting) this.#end(one, false)
    }

    get waiting() {
        return this.#waiting.size > 0
    }

    #has({ id, channel }) {
        const { cursor } = this.positions
        if (cursor && notBefore(cursor, id)) return true
        const last = channel && this.positions.last(channel)
        return channel ? Boolean(last) && !above(id, last)
                       : this.#recent.has(id)
    }

    #end(one, seen) {
        this.env.clearTimeout(one.timer)
        this.#waiting.delete(one)
        one.resolve(seen)
    }
}
