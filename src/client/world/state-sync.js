// Copyright (C) Delta contributors

// A world that is followed: its state is loaded, then one event a tick keeps
// it.  A tick that is missing is fetched; when it cannot be had, or the
// checksum behind a tick is another one, all is loaded anew.

import { Backoff } from '../core/backoff.js'
import { Emitter } from '../core/emitter.js'
import { environment } from '../core/env.js'
import { channelSource, streamSource } from './source.js'
import { WorldState } from './state.js'

const OLD_MAX = 64              // old ticks in a row: the world began anew

// What there is to do, the greater the more of it.

const CHECK = 1                 // is there a tick that we have not heard of?
const REPAIR = 2                // ticks before those that wait are missing
const LOAD = 3

const DEFAULTS = {
    events: '/events', init: '/world/init', snapshots: '/world/snapshots',
    world: 'default', range: 100, waiting: 512, credentials: 'include',
    minDelay: 500, maxDelay: 20000,
}

export const createStateSync = options => new StateSync(options)

class StateSync extends Emitter {
    status = 'loading'          // live, repairing, closed, failed
    stats = { ticks: 0, duplicates: 0, gaps: 0, repaired: 0, diverged: 0,
              loads: 0, errors: 0 }
    #env
    #options
    #backoff
    #state = null
    #waiting = new Map()        // tick => event, ahead of the state
    #need = LOAD
    #target = 0                 // a tick that must be reached
    #old = 0
    #busy = false
    #stop
    #sleep                      // { timer, wake }

    constructor(options = {}) {
        super()
        this.#options = { ...DEFAULTS, ...options }
        this.#env = environment(this.#options)
        const { client, world, events, minDelay, maxDelay } = this.#options

        this.#backoff = new Backoff(this.#env, minDelay, maxDelay)
        const source = this.#options.source ?? (client
            ? channelSource(client, `world:${world}`, 'snapshot')
            : streamSource(this.#env, { ...this.#options, url: events }))

        this.#stop = source.open({
            open: () => this.#work(CHECK),
            event: event => this.#event(event),
            failed: error => this.#end('failed', error),
        })
    }

    get tick() {
        return this.#state?.tick ?? null
    }

    // id => { id, type, position }; the map is another one after a load.

    get entities() {
        return this.#state?.entities ?? new Map()
    }

    get checksum() {
        return this.#state?.checksum ?? null
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
        this.#waiting.clear()
        this.#env.clearTimeout(this.#sleep?.timer)
        this.#status(status, error)
        this.#sleep?.wake()
    }

    #event(event) {
        if (event.type === 'resync') return this.#resync(event)
        if (event.type !== 'snapshot' || !Number.isSafeInteger(event.tick)) {
            return
        }

        const { tick } = event
        if (this.#state && tick <= this.#state.tick) return this.#olds(tick)
        this.#old = 0

        if (this.#state && !this.#busy && tick === this.#state.tick + 1) {
            this.#apply(event)
            return
        }
        this.#waiting.set(tick, event)
        if (this.#waiting.size > this.#options.waiting) {
            this.#waiting.delete(this.#waiting.keys().next().value)
        }
        if (!this.#busy) {
            this.stats.gaps++
            this.#work(REPAIR)
        }
    }

    // Twice is nothing; always, it is a world that counts from the beginning.

    #olds() {
        this.stats.duplicates++
        if (++this.#old < OLD_MAX) return
        this.#old = 0
        this.#waiting.clear()
        this.#work(LOAD)
    }

    // One tick was too large for an event; those of a gap do not exist; what
    // the gateway has lost may all be there.

    #resync({ reason, tick, to }) {
        if (reason === 'too_large' && Number.isSafeInteger(tick)) {
            if (this.#state && tick <= this.#state.tick) return
            this.#target = Math.max(this.#target, tick)
            this.#work(REPAIR)
        } else if (reason === 'gap' && Number.isSafeInteger(to)) {
            if (!this.#state || to > this.#state.tick) this.#work(LOAD)
        } else {
            this.#work(CHECK)
        }
    }

    #apply(event) {
        const state = this.#state
        this.stats.ticks++
        if (!state.apply(event)) {
            this.stats.diverged++
            this.#work(LOAD)
            return false
        }
        this.emit('tick', { tick: state.tick, changes: event.changes ?? {} })
        return true
    }

    // One at a time; what comes up meanwhile is done after it.

    async #work(need) {
        this.#need = Math.max(this.#need, need)
        if (this.#busy || this.#over) return
        this.#busy = true

        while (this.#need && !this.#over) {
            const what = this.#state ? this.#need : LOAD
            this.#need = 0
            this.#status(what === LOAD ? 'loading' : 'repairing')

            try {
                if (what === LOAD) await this.#load()
                else await this.#repair(what)
                if (this.#over) return
                this.#drain()
            } catch (error) {
                if (this.#over) return
                this.stats.errors++
                this.#need = Math.max(this.#need, what)
                this.#env.debug('world', error)
                await this.#wait(this.#backoff.next())
            }
        }
        this.#busy = false
        if (this.#over) return
        this.#backoff.reset()
        this.#status('live')
    }

    // What has waited and now fits.

    #drain() {
        for (const tick of [...this.#waiting.keys()].sort((a, b) => a - b)) {
            if (tick > this.#state.tick + 1) {
                this.#need = Math.max(this.#need, REPAIR)
                break
            }
            const event = this.#waiting.get(tick)
            this.#waiting.delete(tick)
            if (tick === this.#state.tick + 1 && !this.#apply(event)) break
        }
        if (this.#target > this.#state.tick) {
            this.#need = Math.max(this.#need, REPAIR)
        }
    }

    async #repair(what) {
        const before = this.#state.tick
        const first = Math.min(...this.#waiting.keys())
        const last = Math.max(this.#target,
                              Number.isFinite(first) ? first - 1 : 0)
        const state = this.#state

        await this.#catchUp(state, last || state.tick + this.#options.range,
                            snapshot => this.#apply(snapshot))
        if (state !== this.#state || this.#need === LOAD) return

        this.stats.repaired += state.tick - before
        if (last && state.tick < last) {
            this.#need = LOAD
        } else if (what === CHECK && state.tick > before) {
            this.#need = Math.max(this.#need, CHECK)
        } else if (what === CHECK) {
            await this.#latest()
        }
    }

    // No tick behind ours: there is none, or they have expired.

    async #latest() {
        const init = await this.#get(this.#options.init)
        if (init.currentTick !== this.#state.tick) await this.#load(init)
    }

    // The new state is nobody's before it is complete.

    async #load(init) {
        const guarded = this.#backoff.guarded(0)
        if (guarded) await this.#wait(guarded)
        this.#backoff.attempted()

        const { fullState, currentTick }
            = init ?? await this.#get(this.#options.init)
        const state = new WorldState(fullState)
        let fits = [undefined, state.checksum].includes(fullState.checksum)

        await this.#catchUp(state, currentTick, snapshot =>
            (fits = state.apply(snapshot) && fits))
        if (this.#over) return
        if (!fits || state.tick < currentTick) {
            throw new Error('The state is not complete.')
        }

        this.#state = state
        this.#target = 0
        this.#old = 0
        this.stats.loads++
        for (const tick of this.#waiting.keys()) {
            if (tick <= state.tick) this.#waiting.delete(tick)
        }
        this.emit('reset', { tick: state.tick })
    }

    // From page to page, as far as there are all of them.

    async #catchUp(state, last, apply) {
        while (state.tick < last && !this.#over) {
            const from = state.tick + 1
            const to = Math.min(last, state.tick + this.#options.range)
            const { snapshots, to: told = to } = await this.#get(
                `${this.#options.snapshots}${this.#options.snapshots
                    .includes('?') ? '&' : '?'}from=${from}&to=${to}`)

            for (const { tick, limitedCast, checksum } of snapshots
                .sort((a, b) => a.tick - b.tick)) {
                if (tick !== state.tick + 1) continue
                if (!apply({ tick, changes: limitedCast, checksum })) return
            }
            if (state.tick < Math.min(to, Math.max(told, from))) return
        }
    }

    async #get(url) {
        const { token, credentials } = this.#options
        const bearer = await token?.()
        const answer = await this.#env.fetch(url, {
            credentials, cache: 'no-cache',
            headers: bearer ? { Authorization: `Bearer ${bearer}` } : {},
        })
        if (!answer.ok) throw new Error(`${url}: HTTP ${answer.status}`)
        return answer.json()
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
