// Copyright (C) Delta contributors

// Before a real world, which t/66-world-sync.t has started.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { checksum, createStateSync } from '../../../src/client/world/index.js'
import { generator } from '../lib/world.js'
import { Wire, base, sleep, until } from './wire.js'

test('row 2.6: a client cut off at random ends with the visible state',
     async t => {
    const random = generator(Number(process.env.DELTA_SEED))
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
    sync.close()
    wire.close()
    assert.ok(sync.stats.repaired + sync.stats.loads > 1)
    assert.equal(sync.stats.diverged, 0)
})
