// Copyright (C) Delta contributors

// Keeps one connection to the gateway: which transport, which token, when to
// try again, and when not.  What is said over it is not known here.

import { Backoff } from './backoff.js'
import { expiry, isUnauthorized } from './credentials.js'
import { openEventStream } from './sse.js'
import { openWebSocket, probe } from './websocket.js'

const QUICK_MS = 2000           // a WebSocket that ends sooner is suspicious
const QUICK_MAX = 2             // so many of them, and it is blocked
const SSE_LONG_MS = 60000       // after so long WebSocket gets a new chance
const RENEW_MS = 30000          // before a token ends
const TIMER_MAX = 2 ** 31 - 1

const EXPIRED = 4005

// The range of a close code is the policy.

const isFinal = code => code === 1000 || code >= 4500 && code < 5000

export class Connection {
    #transport
    #turn = 0                   // callbacks of an earlier attempt are ignored
    #timers = {}
    #quick = 0
    #readyAt = 0
    #order                      // of the gateway: when to come back
    #bare = false               // without what a 400 may be about
    #token
    #fresh = false              // the token is as new as can be had
    #busy = false               // waiting for a token or a probe

    // on: query(transport), message(read), cursor(id), alive(),
    // state(state, info), stale(): forget what the query is made of

    constructor(env, options, credentials, on) {
        Object.assign(this, { env, options, credentials, on })
        this.state = 'disconnected'
        this.backoff = new Backoff(env, options.minDelay, options.maxDelay)
        this.transports = options.transports.filter(name =>
            name === 'sse' ? env.fetch : env.WebSocket)
    }

    get transport() {
        return this.#transport?.name ?? null
    }

    open() {
        if (this.state !== 'disconnected') return
        if (!this.transports.length) {
            throw new Error('There is neither WebSocket nor fetch.')
        }
        this.backoff.reset()
        this.#state('connecting', {})
        this.#retry(0)
    }

    // For good.

    close(code, reason) {
        if (this.state === 'disconnected') return
        this.#drop(code, reason)
        this.#state('disconnected', { code, reason })
    }

    // Without a word, and until wake(): the page goes.

    suspend() {
        if (this.state === 'disconnected') return
        this.#drop()
        this.#state('connecting', { reason: 'The page is away.' })
    }

    // No waiting any longer, if we wait.

    wake() {
        if (this.state !== 'disconnected' && !this.#transport && !this.#busy) {
            this.#retry(0)
        }
    }

    // The present connection is no good (any more).

    abandon(reason, delay) {
        if (!this.#transport) return
        this.#drop()
        this.#lost({ reason }, delay)
    }

    send(command) {
        return this.#transport?.send(JSON.stringify(command)) ?? false
    }

    // The gateway has welcomed us.

    ready() {
        const { env } = this
        this.#readyAt = env.now()
        this.#bare = false
        this.#clear('timeout')
        this.#set('stable', () => {
            this.backoff.reset()
            if (this.transport === 'websocket') this.#quick = 0
        }, this.options.stableAfter)
        this.#renewAt(expiry(this.#token))
        this.#state('connected', { transport: this.transport })
    }

    reconnectAfter(ms) {
        if (ms >= 0) this.#order = { ms, due: this.env.now() + ms }
    }

    // What is left of it: it counts from when it was said, not from the close.

    #ordered() {
        const { ms, due } = this.#order ?? {}
        const left = Math.min(ms, due - this.env.now())
        return left > 0 ? left : undefined
    }

    // The end of the token that the gateway knows, in ms since 1970.

    #renewAt(end) {
        if (!end || this.transport !== 'websocket'
            || !this.credentials.renewable) return
        const wait = Math.max(5000, end - this.env.now() - RENEW_MS)
        this.#set('renew', () => wait > TIMER_MAX ? this.#renewAt(end)
                                                  : this.#renew(),
                  Math.min(wait, TIMER_MAX))
    }

    async #renew() {
        const turn = this.#turn
        const end = expiry(this.#token)
        try {
            this.credentials.stale()
            const { token } = await this.credentials.get('expires')
            if (turn !== this.#turn || expiry(token) <= end) return
            this.#token = token
            this.send({ t: 'auth', d: { token } })
            this.#renewAt(expiry(token))
        } catch (error) {
            if (turn === this.#turn && isUnauthorized(error)) {
                this.close(401, 'unauthorized')
            }                   // else 4005 comes, and the next attempt
        }
    }

    #retry(ms) {
        this.#set('retry', () => this.#attempt(), this.backoff.guarded(ms))
    }

    async #attempt() {
        const { env, options } = this
        const turn = ++this.#turn
        const name = this.#choose()

        this.#clear('retry')
        this.#busy = true
        this.backoff.attempted()

        let cached
        try {
            ({ token: this.#token, cached } =
                await this.credentials.get('connect'))
        } catch (error) {
            if (turn !== this.#turn) return
            this.#busy = false
            env.debug('no token', error)
            if (isUnauthorized(error)) return this.close(401, 'unauthorized')
            return this.#again({ reason: 'The token could not be fetched.' })
        }
        if (turn !== this.#turn) return
        this.#fresh = !cached

        const url = options.url + this.on.query(name)
        const target = { url, token: this.#token, decode: options.msgpack,
                         credentials: options.credentials }
        const on = {
            message: this.on.message,
            cursor: id => { this.on.alive(); this.on.cursor(id) },
            alive: this.on.alive,
            close: close => this.#closed(turn, close, name),
        }

        env.debug('attempt', { transport: name, url })
        this.#readyAt = 0
        this.#set('timeout', () => {
            this.#drop()
            this.#closed(this.#turn, { reason: 'The gateway did not answer.' },
                         name)
        }, options.timeout)

        try {
            this.#transport = name === 'sse'
                ? openEventStream(env, target, on)
                : openWebSocket(env, target, on)
        } catch (error) {       // a token that no subprotocol can carry
            this.#closed(turn, { reason: String(error?.message ?? error) },
                         name)
        }
        this.#busy = false
    }

    // WebSocket first; an event stream once it seems to be blocked.

    #choose() {
        const [first, second = first] = this.transports
        return this.#quick >= QUICK_MAX ? second : first
    }

    async #closed(turn, close, name) {
        if (turn !== this.#turn) return
        const { env } = this
        const lived = this.#readyAt ? env.now() - this.#readyAt : 0

        this.#drop()
        env.debug('closed', close)

        if (name === 'websocket' && !close.opened && env.fetch) {
            const mine = this.#turn
            this.#busy = true
            const found = await probe(env, {
                url: this.options.url + this.on.query('probe'),
                token: this.#token, credentials: this.options.credentials,
            })
            if (mine !== this.#turn) return
            this.#busy = false
            env.debug('probe', found)
            if (found.status) close = { ...close, ...found }
        }

        if (close.status >= 400) return this.#refused(close, name)

        // the network or a proxy, not the gateway, unless it cannot be reached
        const silent = close.opened ? close.code === 1006 || !close.code
                                    : close.status !== undefined || !env.fetch
        if (name === 'websocket' && silent && lived < QUICK_MS) this.#quick++
        if (name === 'sse') {
            if (!lived) this.#quick = 0
            else if (lived > SSE_LONG_MS) this.#quick = QUICK_MAX - 1
        }

        this.#lost(close)
    }

    #lost({ code = 1006, reason = '' }, delay = this.#ordered()) {
        this.#order = undefined
        if (isFinal(code)) {
            this.#state('disconnected', { code, reason })
        } else if (code === EXPIRED && this.credentials.renewable) {
            this.credentials.stale()
            this.#again({ code, reason }, delay ?? 0)
        } else {
            this.#again({ code, reason }, delay)
        }
    }

    // The statuses of docs/protocol.md, and those of what stands before it.

    #refused({ status, retryAfter }, name) {
        const info = { code: status, reason: `HTTP ${status}` }

        if (status === 401 && this.credentials.renewable && !this.#fresh) {
            this.credentials.stale()
            return this.#again(info, 0)
        }
        if (status === 400 && !this.#bare) {
            this.#bare = true
            this.on.stale()
            return this.#again(info, 0)
        }
        if ((status === 406 || status === 426) && this.transports.length > 1) {
            this.transports = this.transports.filter(other => other !== name)
            return this.#again(info, 0)
        }
        if (status === 401) info.reason = 'unauthorized'
        if ([400, 401, 403, 405, 406, 426].includes(status)) {
            return this.#state('disconnected', info)
        }
        this.#again(info, Math.max(this.backoff.next(), retryAfter))
    }

    #again(info, ms = this.backoff.next()) {
        this.#state('connecting', info)
        this.#retry(ms)
    }

    #drop(code, reason) {
        this.#turn++
        this.#busy = false
        Object.keys(this.#timers).forEach(name => this.#clear(name))
        this.#transport?.close(code, reason)
        this.#transport = null
    }

    #state(state, info) {
        this.state = state
        if (state === 'disconnected') this.#drop()
        this.on.state(state, info)
    }

    #set(name, f, ms) {
        this.#clear(name)
        this.#timers[name] = this.env.setTimeout(f, ms)
    }

    #clear(name) {
        this.env.clearTimeout(this.#timers[name])
        delete this.#timers[name]
    }
}
