// Copyright (C) Delta contributors

// Before a real world, which t/66-world-sync.t has started.

import assert from 'node:assert/strict'
import net from 'node:net'
import { test } from 'node:test'

import { checksum, createStateSync } from '../../../src/client/world/index.js'
import { generator } from '../lib/world.js'

const { env } = process
const base = new URL(env.DELTA_URL)
const slow = Number(env.DELTA_SLOW)
const sleep = ms => new Promise(go => setTimeout(go, ms))

// What can be cut: of the stream alone, or of everything.

class Wire {
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

    cut(closed) {
        this.closed = closed
        this.sockets.forEach(socket => socket.destroy())
    }
}

async function until(what, f) {
    for (const end = Date.now() + 15000 * slow; !await f();) {
        assert.ok(Date.now() < end, `${what}, in time`)
        await sleep(20)
    }
}

test('a client that is cut off at random ends with the visible state',
     async t => {
    const random = generator(Number(env.DELTA_SEED))
    const wire = await new Wire().open()
    const sync = createStateSync({
        events: `${wire.url}/events`, init: `${wire.url}/world/init`,
        snapshots: `${wire.url}/world/snapshots`, range: 20, random,
        minDelay: 20, maxDelay: 200,
    })
    await until('it is live', () => sync.status === 'live')

    for (let n = 0; n < 20; n++) {
        await sleep(random() * 300)
        wire.cut(random() < .7)
        await sleep(random() < .15 ? 2500 : random() * 400)
        wire.closed = false
    }

    // what the backend says of a tick that the client has had

    await until('it is live again', () => sync.status === 'live')
    await until('five ticks agree in a row', async () => {
        for (let n = 0; n < 5; n++) {
            const { tick, checksum: ours, entities } = sync
            assert.equal(checksum(entities.values()), ours)
            const answer = await fetch(
                `${base.origin}/world/snapshots?from=${tick}&to=${tick}`)
            const { snapshots: [theirs] } = await answer.json()
            if (!theirs) return false
            assert.equal(ours, theirs.checksum, `at tick ${tick}`)
            await until('the next tick', () => sync.tick > tick)
        }
        return true
    })
    t.diagnostic(JSON.stringify(sync.stats))
    assert.ok(sync.stats.repaired + sync.stats.loads > 1)
    assert.equal(sync.stats.diverged, 0)
    sync.close()
    wire.cut(true)
    wire.server.close()
})
