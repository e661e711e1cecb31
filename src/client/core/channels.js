// Copyright (C) Delta contributors

// The channels of the session, and the handles that the application holds on
// them: shared per name, counted, and asked for again on each new session.

import { Emitter } from './emitter.js'

const BURST = 60                // commands at once: half of the default rate
const PACE_MS = 700
const LINGER_MS = 500           // so long a channel outlives its last handle
const AGAIN_MS = 2000
const ANSWER_MS = 5000

class Handle extends Emitter {
    #shared
    #release

    constructor(shared, release) {
        super()
        this.#shared = shared
        this.#release = release
    }

    get channel() {
        return this.#shared.name
    }

    get state() {
        return this.#shared.state
    }

    onResync(f) {
        return this.on('resync', f)
    }

    unsubscribe() {
        this.#release?.(this)
        this.#release = null
        this.clear()
    }
}

export class Channels {
    #shared = new Map()         // name => what its handles share
    #given = new Set()          // the channels of this session
    #asked = new Map()          // ref => { t, channel }
    #queue = []
    #allowance = BURST
    #counted = 0                // when
    #ref = 0
    #timer
    #up = false                 // there is a session

    // on: send(command), reconnect(), position(name), commands() whether they
    // can be sent, resync(detail), lost(detail), gained(detail), error(detail)

    constructor(env, on) {
        Object.assign(this, { env, on })
    }

    subscribe(name) {
        const shared = this.#shared.get(name) ?? this.#create(name)
        const handle = new Handle(shared, released => {
            shared.handles.delete(released)
            if (shared.handles.size === 0) {
                shared.linger = this.env.setTimeout(
                    () => this.#dismiss(shared), LINGER_MS)
            }
        })

        this.env.clearTimeout(shared.linger)
        shared.handles.add(handle)
        if (shared.state === 'unsubscribed') this.#want(shared)

        return handle
    }

    // For an event stream, which names its channels in the URL.

    names() {
        const wanted = [...this.#shared.values()]
            .filter(shared => shared.wanted)
        wanted.forEach((shared, place) => { shared.named = place })
        return wanted.map(shared => shared.name)
    }

    // Whether an event of this type, or any, has a listener here.

    listens(t) {
        for (const { handles } of this.#shared.values()) {
            for (const handle of handles) if (handle.has(t)) return true
        }
        return false
    }

    event(message) {
        const shared = this.#shared.get(message.c)
        if (!shared) return
        this.#tell(shared, message.t, message.d, message)
        this.#tell(shared, 'event', message)
    }

    // channel null is all of them.

    resync(detail) {
        for (const shared of this.#shared.values()) {
            if (detail.channel === null || detail.channel === shared.name) {
                this.#tell(shared, 'resync', detail)
            }
        }
    }

    // A new session: what was taken or granted in between nobody has told.

    ready(names, first) {
        const before = this.#given
        this.#given = new Set(names)
        this.#up = true
        this.#asked.clear()
        this.#queue = []
        this.#allowance = BURST

        for (const shared of this.#shared.values()) {
            if (this.#given.has(shared.name)) {
                if (!shared.asked && shared.named < 0) shared.wanted = false
                this.#state(shared, 'subscribed')
            } else if (shared.wanted || shared.state === 'subscribed') {
                this.#want(shared)
            }
        }

        if (first) return

        for (const channel of before) {
            if (this.#given.has(channel)) continue
            if (this.#shared.get(channel)?.wanted) continue
            this.on.lost({ channel, reason: 'membership' })
        }
        for (const channel of names) {
            if (!before.has(channel)) this.on.gained({ channel })
        }
    }

    // Answers and decisions of the gateway.

    subscribed({ channel, cursor, ref }) {
        const shared = this.#shared.get(channel)
        const asked = this.#asked.delete(ref)
        const known = this.#given.has(channel)

        if (asked && !shared) return this.#command('unsubscribe', channel)
        this.#given.add(channel)
        if (!shared || !asked) {
            if (shared) this.#state(shared, 'subscribed')
            if (!known) this.on.gained({ channel })
            return
        }

        // a gateway that replays says from where on
        const complete = !shared.before || shared.since && cursor
        this.#state(shared, 'subscribed')
        if (!complete) this.on.resync({ channel, reason: 'resubscribed' })
    }

    unsubscribed({ channel, reason, ref }) {
        const mine = this.#asked.delete(ref)
        const known = this.#given.delete(channel)
        const shared = this.#shared.get(channel)

        if (mine && shared?.wanted) return      // wanted again meanwhile
        if (shared) {
            shared.wanted = false
            this.#state(shared, 'unsubscribed', reason)
        }
        if (known && !mine) this.on.lost({ channel, reason })
    }

    failed({ ref, code, message }) {
        const asked = this.#asked.get(ref)
        const shared = this.#shared.get(asked?.channel)
        this.#asked.delete(ref)

        if (!shared?.wanted || asked.t !== 'subscribe') return
        if (code === 'rate_limited') return     // a close follows
        if (code === 'unavailable') {
            shared.retry = this.env.setTimeout(
                () => shared.wanted && this.#want(shared), AGAIN_MS)
            return
        }

        shared.wanted = false
        this.#refuse(shared, code, message)
    }

    // The connection is away; the wishes stay.

    down() {
        this.env.clearTimeout(this.#timer)
        this.#timer = undefined
        this.#up = false
        for (const shared of this.#shared.values()) {
            this.env.clearTimeout(shared.retry)
            shared.named = -1
            if (shared.state === 'subscribed') {
                this.#state(shared, 'subscribing')
            }
        }
    }

    close() {
        this.down()
        this.#given.clear()
        for (const shared of this.#shared.values()) {
            shared.before = false
            this.#state(shared, 'subscribing')
        }
    }

    #create(name) {
        const shared = { name, handles: new Set(), state: 'unsubscribed',
                         named: -1 }
        this.#shared.set(name, shared)
        return shared
    }

    #want(shared) {
        const { name } = shared
        if (this.#given.has(name)) return this.#state(shared, 'subscribed')

        shared.wanted = true
        this.#state(shared, 'subscribing')

        if (!this.#up) return               // ready() asks
        if (this.on.commands()) {
            this.#queue.push(name)
            this.#pump()
        } else if (shared.named >= 0) {
            // its place is the ref of the answer
            this.#asked.set(shared.named, { t: 'subscribe', channel: name })
            shared.retry = this.env.setTimeout(() => {
                if (!this.#asked.has(shared.named)) return
                this.#refuse(shared, 'not_on_sse',
                             'The event stream came without it.')
            }, ANSWER_MS)
        } else {
            this.on.reconnect()
        }
    }

    #refuse(shared, code, message) {
        const { name: channel } = shared
        this.#state(shared, 'unsubscribed', code)
        this.on.error({ code, message, channel })
        if (shared.before) this.on.lost({ channel, reason: code })
    }

    // At once, but for so many that the gateway would take offence.

    #pump() {
        const now = this.env.now()
        this.#allowance = Math.min(BURST, this.#allowance
                                   + (now - this.#counted) / PACE_MS)
        this.#counted = now

        while (this.#queue.length && this.#allowance >= 1) {
            this.#allowance--
            this.#ask()
        }
        if (this.#queue.length && this.#timer === undefined) {
            this.#timer = this.env.setTimeout(() => {
                this.#timer = undefined
                this.#pump()
            }, PACE_MS)
        }
    }

    #ask() {
        const channel = this.#queue.shift()
        const shared = this.#shared.get(channel)
        if (!shared?.wanted) return
        shared.asked = true
        shared.since = shared.before && this.on.position(channel)
        this.#command('subscribe', channel,
                      shared.since ? { since: shared.since } : {})
    }

    #command(t, channel, more) {
        const ref = `c${++this.#ref}`
        this.#asked.set(ref, { t, channel })
        this.on.send({ t, d: { channel, ...more }, ref })
    }

    // What the gateway gives by itself, it also takes by itself.

    #dismiss(shared) {
        this.#shared.delete(shared.name)
        this.env.clearTimeout(shared.retry)
        if (!shared.wanted) return
        shared.wanted = false
        if (this.#given.delete(shared.name)) {
            this.#command('unsubscribe', shared.name)
        }
    }

    #state(shared, state, reason) {
        if (state === 'subscribed') shared.before = true
        if (shared.state === state) return
        shared.state = state
        this.#tell(shared, 'state', { state, reason })
    }

    #tell(shared, name, ...args) {
        for (const handle of [...shared.handles]) handle.emit(name, ...args)
    }
}
