// Copyright (C) Delta contributors

// What has been seen: the last id of each channel, which drops what comes
// twice, and the cursor, a promise of the gateway for all channels together.

const AT_MAX = 128
const AT_BYTES = 6144
const KEPT = 2048               // channels, before old positions are let go

const NUMBER = '(0|[1-9]\\d{0,19})'
const ID = new RegExp(`^${NUMBER}-${NUMBER}$`)
const CURSOR = /^(\d{1,20})\.(\d{1,20})$/

export const isId = text => typeof text === 'string' && ID.test(text)

// Decimal digits without leading zeros compare by length, then as text: right
// at any size, where numbers would be rounded above 2^53.

const compare = (a, b) => a.length - b.length || (a > b) - (a < b)

// Is the id a behind b in the log of a channel?

export function above(a, b) {
    const [ams, aseq] = a.split('-'), [bms, bseq] = b.split('-')
    return (compare(ams, bms) || compare(aseq, bseq)) > 0
}

export const msOf = text => text.match(/\d+(?=-|$)/)[0]
export const notBefore = (cursor, id) => compare(msOf(cursor), msOf(id)) >= 0

export class Positions {
    cursor = null
    #last = new Map()

    // Whether the event is new; from now on it is not.

    fresh(channel, id) {
        const last = this.#last.get(channel)
        if (last && !above(id, last)) return false
        this.#last.delete(channel)          // the order is that of arrival
        this.#last.set(channel, id)
        if (this.#last.size > KEPT) this.#prune()
        return true
    }

    last(channel) {
        return this.#last.get(channel)
    }

    // After a resync a log may have begun anew, with lower ids.

    forget(channel) {
        if (channel === null) this.#last.clear()
        else this.#last.delete(channel)
    }

    // A cursor of another epoch is of another Redis: its ids say nothing
    // about ours.

    advance(text) {
        const next = CURSOR.exec(text)
        if (!next) return false
        const now = this.cursor && CURSOR.exec(this.cursor)
        if (now && now[1] !== next[1]) this.#last.clear()
        else if (now && compare(now[2], next[2]) >= 0) return false
        this.cursor = text
        return true
    }

    // The positions that the cursor does not cover, newest first, as many as
    // the gateway takes; the others are replayed from before the cursor.

    newer() {
        const found = []
        let bytes = 0

        for (const [channel, id] of [...this.#last].reverse()) {
            if (this.cursor && notBefore(this.cursor, id)) continue
            const pair = `${escape(channel)}=${id}`
            if (found.length === AT_MAX
                || (bytes += pair.length + 1) > AT_BYTES) break
            found.push([channel, id, pair])
        }

        return found
    }

    query() {
        const at = this.newer().map(found => found[2]).join()
        return { since: this.cursor ?? '', at }
    }

    save() {
        return { cursor: this.cursor,
                 at: this.newer().map(([channel, id]) => [channel, id]) }
    }

    // Storage is not trusted more than the network.

    load({ cursor, at }) {
        this.advance(cursor)
        if (!Array.isArray(at)) return
        for (const pair of at.reverse()) {
            const [channel, id] = Array.isArray(pair) ? pair : []
            if (typeof channel === 'string' && isId(id)) {
                this.fresh(channel, id)
            }
        }
    }

    clear() {
        this.cursor = null
        this.#last.clear()
    }

    #prune() {
        for (const channel of this.#last.keys()) {
            if (this.#last.size <= KEPT / 2) break
            this.#last.delete(channel)
        }
    }
}

const escape = channel => encodeURIComponent(channel).replace(/%3A/g, ':')
