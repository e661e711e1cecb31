// Copyright (C) Delta contributors

// Before a real space, which t/67-space-sync.t has started.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { createSpaceSync } from '../../../src/client/world/index.js'
import { generator } from '../lib/world.js'
import { Wire, base, sleep, until } from './wire.js'

const { DELTA_TOKEN_ADA: ada, DELTA_TOKEN_BEN: ben, DELTA_SEED: seed,
        DELTA_SPACE: space } = process.env

async function api(origin, token, method, path, json) {
    const answer = await fetch(`${origin}/api/spaces/${space}/${path}`, {
        method, body: json && JSON.stringify(json), headers: {
            Authorization: `Bearer ${token}`,
            ...json && { 'Content-Type': 'application/json' },
        } })
    assert.ok(answer.ok, `${method} ${path}: ${answer.status}`)
    return answer.status === 204 ? null : answer.json()
}

const all = async (origin, token) =>
    (await api(origin, token, 'GET', 'intentions')).intentions

test('a client that is cut off at random ends with the list of the backend',
     async t => {
    const random = generator(Number(seed))
    const wire = await new Wire().open()
    const sync = createSpaceSync({
        space, token: () => ben, stream: `${wire.url}/api/stream`, random,
        refetch: () => all(wire.url, ben), minDelay: 20, maxDelay: 200,
    })
    await until('it is live', () => sync.status === 'live')

    const mutate = async () => {
        const items = [...sync.items.values()].filter(
            ({ author_id, user_id }) => (author_id ?? user_id) !== 'ben')
        const one = items[Math.floor(random() * items.length)]
        const chance = random()
        const path = one && `intentions/${one.id}`
        const known = one && (await all(base.origin, ada)).some(
            ({ id }) => id === one.id)
        if (!known || chance < .5) {
            await api(base.origin, ada, 'POST', 'intentions',
                      { content: `${random()}` })
        } else if (chance < .8) {
            await api(base.origin, ada, 'PATCH', path,
                      { content: `${random()}` })
        } else {
            await api(base.origin, ada, 'DELETE', path)
        }
    }

    for (let n = 0; n < 15; n++) {
        for (let k = random() * 6; k > 0; k--) await mutate()
        wire.cut(random() < .7)
        for (let k = random() * (n === 8 ? 160 : 8); k > 0; k--) {
            await mutate()
        }
        await sleep(random() * 300)
        wire.closed = false
        await sleep(random() * 600)
    }

    const texts = items => items.map(({ id, content }) => `${id} ${content}`)
        .sort().join('\n')
    const theirs = texts(await all(base.origin, ada))
    await until('it has the list of the backend', () =>
        sync.status === 'live' && texts([...sync.items.values()]) === theirs)
    t.diagnostic(JSON.stringify(sync.stats))
    sync.close()
    wire.close()
    assert.ok(sync.stats.deltas > 1, 'there were deltas')
    assert.ok(sync.stats.refetched < 6, 'most of it was caught up')
})
