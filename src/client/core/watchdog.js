// Copyright (C) Delta contributors

// Notices a connection that is dead without saying so: by heartbeats of our
// own over WebSocket, by the keep-alives of the gateway on an event stream.

const DEFAULT_MS = 25000
const ACK_MS = 10000
const PROBE_MS = 5000
const HURRY_MS = 1500

export class Watchdog {
    #timer
    #deadline
    #heard = 0
    #sent
    #running = false

    // beat(), dead(), hurry() whether somebody waits for a cursor

    constructor(env, on) {
        Object.assign(this, { env, ...on })
    }

    // beats: whether we can send.  Without that, silence is the only sign,
    // and only if the gateway promised keep-alives.

    start(heartbeat, beats, soon) {
        this.stop()
        this.#running = true
        this.beats = beats
        this.interval = Math.min(heartbeat || DEFAULT_MS, DEFAULT_MS)
        this.silence = heartbeat ? 2 * heartbeat + ACK_MS : 0
        this.alive()
        this.#schedule(soon ? 1000 : this.interval * this.env.random())
    }

    // A heartbeat now; acked() says how long its answer took.

    ping() {
        if (!this.#running || !this.beats) return
        this.#expect(ACK_MS)
        this.#beat()
    }

    acked() {
        return this.#sent ? this.env.now() - this.#sent : null
    }

    hurried() {
        if (this.#running && this.hurry()) this.#schedule(HURRY_MS)
    }

    stop() {
        this.#running = false
        this.env.clearTimeout(this.#timer)
        this.#expect(0)
    }

    alive() {
        this.#heard = this.env.now()
        this.#expect(0)
        if (!this.beats && this.silence && this.#running) {
            this.#expect(this.silence)
        }
    }

    // The machine woke up, or the network changed: is somebody there?

    probe() {
        if (!this.#running || !this.beats) return
        if (this.env.now() - this.#heard < 1000) return
        this.#expect(PROBE_MS)
        this.#beat()
    }

    #beat() {
        this.#sent = this.env.now()
        this.beat()
    }

    #schedule(ms) {
        if (!this.beats) return
        this.env.clearTimeout(this.#timer)
        this.#timer = this.env.setTimeout(() => {
            this.ping()
            this.#schedule(this.hurry() ? HURRY_MS : this.interval)
        }, ms)
    }

    #expect(ms) {
        this.env.clearTimeout(this.#deadline)
        if (ms) this.#deadline = this.env.setTimeout(this.dead, ms)
    }
}
