// Copyright (C) Delta contributors

// A world for the client that the test moves by hand: time, network, page.

import { createClient } from '../../../src/client/index.js'

export class Clock {
    time = 1e12
    #timers = new Map()
    #last = 0

    now = () => this.time

    setTimeout = (f, ms) => {
        this.#timers.set(++this.#last, { f, at: this.time + ms })
        return this.#last
    }

    clearTimeout = id => this.#timers.delete(id)

    get size() {
        return this.#timers.size
    }

    // Runs what is due until then, in order, with what it promises.

    async pass(ms) {
        const end = this.time + ms
        for (;;) {
            await settle()
            const due = [...this.#timers].filter(([, { at }]) => at <= end)
                .sort(([, a], [, b]) => a.at - b.at)[0]
            if (!due) break
            this.#timers.delete(due[0])
            this.time = Math.max(this.time, due[1].at)
            due[1].f()
        }
        this.time = end
        await settle()
    }
}

export const settle = async () => {
    for (let n = 0; n < 20; n++) await null
}

// Each new WebSocket and each fetch waits in a list for what the test answers.

export class Network {
    sockets = []
    fetches = []
    acks = false                // heartbeats are answered

    constructor() {
        const network = this
        const { sockets } = this

        this.WebSocket = class {
            readyState = 0
            sent = []

            constructor(url, protocols) {
                Object.assign(this, { url, protocols })
                sockets.push(this)
            }

            send(text) {
                const command = JSON.parse(text)
                this.sent.push(command)
                if (network.acks && command.t === 'heartbeat') {
                    this.say({ v: 1, t: 'heartbeat_ack', d: {} })
                }
            }

            close(code, reason) {
                this.readyState = 3
                this.closed = { code, reason }
            }

            // what the other side does

            open() {
                this.readyState = 1
                this.onopen?.({})
            }

            say(message) {
                this.onmessage?.({ data: typeof message === 'string'
                    ? message : JSON.stringify(message) })
            }

            ready(d = {}) {
                this.open()
                this.say({ v: 1, t: 'ready', d: {
                    user_id: 'ben', session_id: `s${sockets.length}`,
                    heartbeat_ms: 30000, cursor: '7.1000',
                    channels: ['user:ben'], ...d,
                } })
            }

            end(code = 1006, reason = '') {
                this.readyState = 3
                this.onclose?.({ code, reason })
            }

            commands(t) {
                return this.sent.filter(command => command.t === t)
            }
        }
    }

    fetch = (url, init) => new Promise((resolve, reject) => {
        const one = { url, init, reject, answer: (status, headers = {}) =>
            resolve({ status, headers: new Headers(headers) }) }
        init.signal?.addEventListener('abort', () => reject(new Error('abort')))
        one.stream = () => {
            const body = new ReadableStream({ start: c => { one.body = c } })
            resolve({ status: 200, body, headers: new Headers(
                { 'Content-Type': 'text/event-stream' }) })
        }
        one.write = text => one.body.enqueue(new TextEncoder().encode(text))
        this.fetches.push(one)
    })

    get socket() {
        return this.sockets.at(-1)
    }

    get last() {
        return this.fetches.at(-1)
    }
}

export class Storage {
    items = new Map()
    getItem = key => this.items.get(key) ?? null
    setItem = (key, value) => this.items.set(key, value)
    removeItem = key => this.items.delete(key)
}

export function world(options = {}) {
    const clock = new Clock()
    const network = new Network()
    const storage = new Storage()
    const window = new EventTarget()
    const document = Object.assign(new EventTarget(),
                                   { visibilityState: 'visible' })
    const states = []
    const w = { clock, network, storage, window, document, states }

    w.create = more => {
        const client = createClient('http://gate.test/gateway', {
            WebSocket: network.WebSocket, fetch: network.fetch,
            timers: clock, random: () => .5, storage,
            page: { window, document }, ...options, ...more,
        })
        client.on('state', s => states.push(s))
        return client
    }

    w.client = w.create()

    // connected, the first time

    w.up = async d => {
        await clock.pass(0)
        network.socket.ready(d)
        await clock.pass(0)
        return network.socket
    }

    // the connection is lost, and a new one made
    w.again = async d => {
        const { length } = network.sockets
        network.socket.end()
        while (network.sockets.length === length) await clock.pass(50)
        network.socket.ready(d)
        await clock.pass(0)
        return network.socket
    }

    return w
}

export const fire = (target, name, more = {}) =>
    target.dispatchEvent(Object.assign(new Event(name), more))

export const event = (c, id, d = {}, t = 'patch') => ({ v: 1, t, c, id, d })
