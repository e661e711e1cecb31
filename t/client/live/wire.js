// Copyright (C) Delta contributors

// The network before a real gateway, and waiting.

import assert from 'node:assert/strict'
import net from 'node:net'

const { env } = process
export const base = new URL(env.DELTA_URL)
export const slow = Number(env.DELTA_SLOW)
export const sleep = ms => new Promise(go => setTimeout(go, ms))

// It can be cut: what there is alone, or all that comes, too.

export class Wire {
    sockets = new Set()
    closed = false

    server = net.createServer(near => {
        if (this.closed) return near.destroy()
        const far = net.connect(base.port, base.hostname)
        for (const [one, other] of [[near, far], [far, near]]) {
            this.sockets.add(one)
            one.pipe(other)
            one.on('error', () => other.destroy())
            one.on('close', () => {
                this.sockets.delete(one)
                other.destroy()
            })
        }
    })

    async open() {
        await new Promise(go => this.server.listen(0, '127.0.0.1', go))
        this.url = `http://127.0.0.1:${this.server.address().port}`
        return this
    }

    close() {
        this.cut(true)
        this.server.close()
    }

    cut(closed) {
        this.closed = closed
        this.sockets.forEach(socket => socket.destroy())
    }
}

export async function until(what, f) {
    for (const end = Date.now() + 15000 * slow; !await f();) {
        assert.ok(Date.now() < end, `${what}, in time`)
        await sleep(20)
    }
}
