// Copyright (C) Delta contributors

// The objects of a space: deltas by an event stream or a channel, the missed
// ones by the timestamp of the last, and all of them where that is too many.

import { Backoff } from '../core/backoff.js'
import { Emitter } from '../core/emitter.js'
import { environment } from '../core/env.js'
import { channelSource, streamSource } from './source.js'

const DEFAULTS = { stream: '/api/stream', credentials: 'include',
                   minDelay: 500, maxDelay: 20000 }

export const createSpaceSync = options => new SpaceSync(options)

class SpaceSync extends Emitter {
    status = 'loading'          // live, closed, failed
    items = new Map()           // id => the object
    timestamp = null            // of the last delta
    stats = { deltas: 0, refetched: 0, errors: 0 }
    #env
    #options
    #backoff
    #missed = null              // deltas that came while all were fetched
    #again = false
    #begins = true              // all must be fetched
    #stop
    #sleep

    // refetch(): all objects, as a list.

    constructor(options) {
        super()
        this.#options = { ...DEFAULTS, ...options }
        this.#env = environment(this.#options)
        const { client, space, minDelay, maxDelay } = this.#options

        this.#backoff = new Backoff(this.#env, minDelay, maxDelay)
        const source = this.#options.source ?? (client
            ? channelSource(client, `space:${space}`, 'space_delta')
            : streamSource(this.#env, { ...this.#options,
                                        url: () => this.#url() }))

        this.#stop = source.open({
            open: live => this.#opened(live),
            event: event => this.#event(event),
            failed: error => this.#end('failed', error),
        })
    }

    close() {
        this.#end('closed')
    }

    get #over() {
        return this.status === 'closed' || this.status === 'failed'
    }

    #end(status, error) {
        if (this.#over) return
        this.#stop?.()
        this.#env.clearTimeout(this.#sleep?.timer)
        this.#status(status, error)
        this.#sleep?.wake()
    }

    #url() {
        const { stream, space } = this.#options
        const query = new URLSearchParams({ spaceId: space })
        if (this.timestamp) query.set('since', this.timestamp)
        return `${stream}${stream.includes('?') ? '&' : '?'}${query}`
    }

    // What is fetched before there are deltas lacks what happens in between;
    // a stream has them from its first one on.

    #opened(live) {
        this.#begins = !this.timestamp
        if (live) this.#begin()
    }

    #begin() {
        if (!this.#begins) return
        this.#begins = false
        this.#refetch()
    }

    #event(event) {
        if (event.timestamp) this.timestamp = event.timestamp
        if (event.type === 'resync') this.#begins = true
        this.#begin()
        if (event.type !== 'space_delta') return
        this.#missed?.push(event)
        this.#apply(event)
        this.stats.deltas++
        this.emit('delta', event)
    }

    // Any delta may come again.

    #apply({ created = [], updated = [], deleted = [] }) {
        for (const item of created) this.items.set(item.id, item)
        for (const item of updated) {
            this.items.set(item.id, { ...this.items.get(item.id), ...item })
        }
        for (const id of deleted) this.items.delete(id)
    }

    // The answer may be older than the deltas that came meanwhile: these are
    // applied again on top of it.

    async #refetch() {
        if (this.#missed) {
            this.#again = true
            return
        }
        do {
            this.#missed = []
            this.#again = false
            this.#status('loading')
            try {
                const items = await this.#options.refetch()
                if (this.#over) return
                this.items = new Map(items.map(item => [item.id, item]))
                this.#missed.forEach(delta => this.#apply(delta))
                this.stats.refetched++
                this.#backoff.reset()
            } catch (error) {
                this.stats.errors++
                this.#env.debug('space', error)
                this.#again = true
                await this.#wait(this.#backoff.next())
                if (this.#over) return
            }
        } while (this.#again)
        this.#missed = null
        this.#status('live')
        this.emit('reset')
    }

    #wait(ms) {
        return new Promise(wake => {
            this.#sleep = { wake, timer: this.#env.setTimeout(wake, ms) }
        })
    }

    #status(status, error) {
        if (this.status === status) return
        this.status = status
        this.emit('status', status, error)
    }
}
