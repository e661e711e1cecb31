// Copyright (C) Delta contributors

// The session: what the gateway says, what the application hears of it, and
// how a lost connection continues where it was.

import { Channels } from './channels.js'
import { Connection } from './connection.js'
import { Credentials } from './credentials.js'
import { Emitter } from './emitter.js'
import { envelope } from './envelope.js'
import { environment } from './env.js'
import { Memory } from './memory.js'
import { watchPage } from './page.js'
import { Positions } from './positions.js'
import { Seen } from './seen.js'
import { Watchdog } from './watchdog.js'

const LOGOUT = 3000
const GATHER_MS = 50            // for channels that need a new event stream

const DEFAULTS = {
    transports: ['websocket', 'sse'],
    minDelay: 500, maxDelay: 20000, stableAfter: 10000, lostAfter: 5000,
    timeout: 10000, credentials: 'include', connect: true, events: [],
}

// Names of our own events, which no event of a backend is taken for.

const OWN = new Set(['state', 'event', 'error', 'ready', 'resumed', 'resync',
                     'subscribed', 'unsubscribed', 'reconnect', 'latency'])

export const createClient = (url, options = {}) => new Client(url, options)

class Client extends Emitter {
    stats = { received: 0, duplicates: 0, unknown_received: 0,
              parse_rejected: 0, connects: 0 }
    session = null              // d of the last ready
    latency = null              // of the last heartbeat, in ms
    connection = Object.freeze({ state: 'disconnected' })
    #env
    #options
    #positions = new Positions()
    #seen
    #memory
    #channels
    #watchdog
    #link
    #token                      // of the session, for resume
    #presence                   // what status() said last
    #lost                       // since the connection is lost
    #gather
    #unwatch
    #first = true               // no session yet that this one continues
    #since = false              // the present attempt names a cursor

    constructor(url, options) {
        super()
        const env = environment(options)
        this.#env = env
        this.#options = { ...DEFAULTS, ...options, url: absolute(url) }
        this.#seen = new Seen(env, this.#positions)
        this.#memory = new Memory(env.storage, `delta ${this.#options.url}`)
        this.#channels = new Channels(env, this.#channelHooks())
        this.#watchdog = new Watchdog(env, {
            beat: () => this.#link.send({ t: 'heartbeat', d: {} }),
            hurry: () => this.#seen.waiting,
            dead: () => this.#link.abandon('Nothing was heard for too long.'),
        })
        this.#link = new Connection(
            env, this.#options,
            new Credentials(options.getToken, options.token),
            this.#linkHooks())
        this.#restore(this.#memory.take())
        if (this.#options.connect) this.connect()
    }

    get state() {
        return this.connection.state
    }

    connect() {
        this.#unwatch ??= watchPage(this.#env, {
            wake: () => { this.#link.wake(); this.#watchdog.probe() },
            probe: () => this.#watchdog.probe(),
            hide: () => {
                this.#memory.write(this.#save())
                this.#link.suspend()
            },
            show: () => { this.#memory.drop(); this.#link.wake() },
        })
        this.#link.open()
    }

    // Logs out: friends see it at once, and nothing is kept for a resume.

    close() {
        this.#forget()
        this.#channels.close()
        this.#seen.close()
        this.#link.close(LOGOUT, 'Logged out.')
        this.#first = true
    }

    subscribe(channel) {
        return this.#channels.subscribe(channel)
    }

    // Kept, and said again to each new session.

    status(status, project) {
        this.#presence = { status, ...project !== undefined && { project } }
        this.#sayStatus()
    }

    // For those who want to know the latency now.

    ping() {
        this.#watchdog.ping()
    }

    seen(id, options) {
        const seen = this.#seen.wait(id, options)
        this.#watchdog.hurried()            // for a cursor, if it is late
        return seen
    }

    #channelHooks() {
        return {
            send: command => this.#link.send(command),
            commands: () => this.#link.transport !== 'sse',
            position: channel => this.#positions.last(channel),
            reconnect: () => this.#gatherChannels(),
            resync: detail => this.#resync(detail),
            lost: detail => this.emit('unsubscribed', detail),
            gained: ({ channel }) => {
                this.emit('subscribed', { channel })
                this.#resync({ channel, reason: 'granted' })
            },
            error: detail => this.emit('error', detail),
        }
    }

    #linkHooks() {
        return {
            query: transport => this.#query(transport),
            message: read => this.#message(read),
            cursor: cursor => this.#advance(cursor),
            alive: () => this.#watchdog.alive(),
            state: (state, info) => this.#changed(state, info),
            stale: () => this.#forget(),
        }
    }

    // HEAD opens nothing and must not use up the token.

    #query(transport) {
        const { since, at } = this.#positions.query()
        const resume = transport !== 'probe' && this.#token
        this.#since = Boolean(since)
        const names = transport === 'sse' && this.#channels.names().join()
        const query = Object.entries({
            resume: resume && encodeURIComponent(resume),
            since: since && encodeURIComponent(since),
            at, subscribe: names && encodeURIComponent(names),
        }).filter(([, value]) => value).map(pair => pair.join('=')).join('&')

        return query && (this.#options.url.includes('?') ? '&' : '?') + query
    }

    // From the network to the listeners.

    #message(read) {
        let message = null
        this.#watchdog.alive()
        try {
            message = envelope(read())
        } catch {
            // it stays null
        }
        if (!message) {
            this.stats.parse_rejected++
            this.#env.debug('rejected')
            return
        }
        this.stats.received++
        this.#env.debug('message', message)
        if (message.c === undefined) this.#word(message)
        else this.#event(message)
    }

    #event(message) {
        const { t, c, id, d } = message

        if (id && !this.#positions.fresh(c, id)) {
            this.stats.duplicates++
            return
        }
        if (this.#options.validate?.(message) === false) {
            this.stats.parse_rejected++
        } else if (t === 'resync') {        // the backend's own
            this.#resync({ reason: '', ...d, channel: c })
        } else {
            this.#deliver(message)
        }
        if (id) this.#seen.note(id)
    }

    #deliver(message) {
        const { t, d } = message
        if (!this.has(t) && !this.#channels.listens(t)
            && !this.#options.events.includes(t)) this.stats.unknown_received++
        this.#channels.event(message)
        if (!OWN.has(t)) this.emit(t, d, message)
        this.emit('event', message)
    }

    // What the gateway says itself.

    #word(message) {
        const { t, d } = message
        if (d.cursor) this.#advance(d.cursor)

        switch (t) {
        case 'ready':
            return this.#ready(d)
        case 'resync':
            return this.#resync({ ...d, channel: d.channel ?? null })
        case 'subscribed':
            return this.#channels.subscribed(d)
        case 'unsubscribed':
            return this.#channels.unsubscribed(d)
        case 'resumed':
            return this.emit(t, d)
        case 'error':
            if (d.code === 'no_presence') this.#presence = undefined
            this.#channels.failed(d)
            return this.emit(t, d)
        case 'reconnect':
            this.emit(t, d)
            return this.#link.reconnectAfter(d.after_ms)
        case 'heartbeat_ack':
            return this.emit('latency', this.latency = this.#watchdog.acked())
        case 'authenticated':
            return
        default:                            // presence, or what is new
            this.#deliver(message)
        }
    }

    #ready(d) {
        const first = this.#first
        const resumed = d.session_id === this.session?.session_id

        this.session = d
        this.latency = null
        this.#first = false
        this.#token = d.resume_token
        this.stats.connects++
        this.#watchdog.start(d.heartbeat_ms, this.#link.transport !== 'sse',
                             !this.#positions.cursor)
        this.#channels.ready(d.channels ?? [], first)
        this.#link.ready()
        this.emit('ready', d)
        if (!resumed) this.#sayStatus()

        // no cursor was known to come back with: nothing was replayed
        if (!first && !this.#since) {
            this.#resync({ channel: null, reason: 'no_cursor' })
        }
    }

    #advance(cursor) {
        if (this.#positions.advance(cursor)) this.#seen.check()
    }

    #resync(detail) {
        this.#env.debug('resync', detail)
        if (detail.reason !== 'granted') this.#positions.forget(detail.channel)
        this.#channels.resync(detail)
        this.emit('resync', detail)
    }

    #sayStatus() {
        if (this.#presence && this.state === 'connected') {
            this.#link.send({ t: 'status', d: this.#presence })
        }
    }

    #gatherChannels() {
        this.#gather ??= this.#env.setTimeout(() => {
            this.#gather = undefined
            this.#link.abandon('The channels have changed.', 0)
        }, GATHER_MS)
    }

    #changed(state, info) {
        const env = this.#env
        const was = this.state

        this.connection = Object.freeze({ state, ...info })
        env.debug('state', this.connection)

        if (was === 'connected') {
            this.#watchdog.stop()
            this.#channels.down()
        }
        this.#watchLoss(was, state)
        if (state === 'disconnected') {
            env.clearTimeout(this.#gather)
            this.#gather = undefined
            this.#memory.drop()
            this.#unwatch?.()
            this.#unwatch = undefined
        }
        this.emit('state', this.connection)
    }

    // For the line that tells the user: not for a short gap.

    #watchLoss(was, state) {
        const env = this.#env
        const tell = what => {
            this.#lost = { told: what === 'lost' }
            this.emit('lost-connection', what)
        }

        if (was === 'connected' && state === 'connecting') {
            this.#lost = { timer: env.setTimeout(() => tell('lost'),
                                                 this.#options.lostAfter) }
        } else if (this.#lost && state !== 'connecting') {
            env.clearTimeout(this.#lost.timer)
            if (this.#lost.told) {
                tell(state === 'connected' ? 'restored' : 'failed')
            }
            this.#lost = undefined
        }
    }

    #save() {
        return { resume: this.#token, ...this.#positions.save() }
    }

    #restore(saved) {
        if (!saved) return
        this.#positions.load(saved)
        if (typeof saved.resume === 'string') this.#token = saved.resume
    }

    #forget() {
        this.#positions.clear()
        this.#token = undefined
        this.#memory.drop()
    }
}

function absolute(url) {
    return new URL(url, globalThis.location?.href).href.replace(/^ws/, 'http')
}
