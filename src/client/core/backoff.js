// Copyright (C) Delta contributors

// How long to wait before the next attempt: full jitter, so that those who
// lost the same server do not come back in step.

const LOOP_ATTEMPTS = 6
const LOOP_MS = 5000

export class Backoff {
    #failures = 0
    #times = []

    constructor(env, min, max) {
        Object.assign(this, { env, min, max })
    }

    attempted() {
        this.#times.push(this.env.now())
        if (this.#times.length > LOOP_ATTEMPTS) this.#times.shift()
    }

    // The connection has been stable.

    reset() {
        this.#failures = 0
    }

    next() {
        const cap = Math.min(this.max, this.min * 2 ** this.#failures)
        if (cap < this.max) this.#failures++
        return this.env.random() * cap
    }

    // Whoever asks for an attempt at once (an order of the server, a wake-up)
    // may do so in a loop that the growing delay does not see.

    guarded(ms) {
        const [first] = this.#times
        const loop = this.#times.length === LOOP_ATTEMPTS
            && this.env.now() - first < LOOP_MS
        if (loop) this.env.debug('fast loop', { attempts: LOOP_ATTEMPTS })
        return loop ? Math.max(ms, LOOP_MS * (.5 + this.env.random())) : ms
    }
}
