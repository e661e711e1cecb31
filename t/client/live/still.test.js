// Copyright (C) Delta contributors

// Before a world that t/66-world-sync.t has stopped, longer ago than its
// snapshots live.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { checksum, createStateSync } from '../../../src/client/world/index.js'
import { base, until } from './wire.js'

test('a world that stands still is loaded', async () => {
    const sync = createStateSync({
        events: `${base.origin}/events`, init: `${base.origin}/world/init`,
        snapshots: `${base.origin}/world/snapshots`,
        minDelay: 20, maxDelay: 200,
    })
    await until('it is live', () => sync.status === 'live')

    assert.equal(sync.tick, Number(process.env.DELTA_TICK_EXPECTED))
    assert.equal(checksum(sync.entities.values()), sync.checksum)
    assert.equal(sync.stats.loads, 1)
    assert.equal(sync.stats.errors, 0)
    sync.close()
})
