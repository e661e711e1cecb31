// Copyright (C) Delta contributors

// Worlds and spaces, before a simulated server and a clock moved by hand.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

import { checksum, createSpaceSync, createStateSync }
    from '../../src/client/world/index.js'
import { Clock } from './lib/fakes.js'
import { World, generator } from './lib/world.js'

// Streams and answers need turns of Node's own loop.

const turn = async () => {
    for (let n = 0; n < 12; n++) await new Promise(go => setImmediate(go))
}

async function pass(clock, ms) {
    for (const end = clock.time + ms; clock.time < end;) {
        await turn()
        await clock.pass(Math.min(50, end - clock.time))
    }
    await turn()
}

async function follow(options = {}, { seed = 1, ticks = 30, ...world } = {}) {
    const clock = new Clock()
    const random = generator(seed)
    const w = new World(clock, random, world)
    for (let n = 0; n < ticks; n++) w.step()
    const sync = createStateSync({ fetch: w.fetch, timers: clock, random,
                                   ...options })
    await turn()
    return { clock, w, sync, random,
             step: async how => { w.step(how); await turn() } }
}

setFlagsFromString('--expose-gc')
const gc = runInNewContext('gc')

// What is reachable, in bytes.

const heap = () => {
    gc()
    return process.memoryUsage().heapUsed
}

const same = (sync, w, why) => {
    assert.equal(sync.tick, w.tick, why)
    assert.deepEqual(new Map([...sync.entities].sort()),
                     new Map([...w.entities].sort()), why)
    assert.equal(sync.checksum, w.checksum, why)
}

test('the checksum is the one that publishers compute', () => {
    assert.equal(checksum([
        { id: 'n1', type: 'npc', position: { x: 12.345, y: -7 } },
        { id: 'b1', type: 'house', position: { x: 0, y: .5 } }]), 'ec3720f0')
    assert.equal(checksum([]), '00000000')
})

test('row 2.6: a world is loaded, then each tick applied', async () => {
    const { w, sync, step } = await follow()
    const told = []
    sync.on('tick', ({ tick }) => told.push(tick))
    assert.equal(sync.status, 'live')
    same(sync, w, 'loaded')
    assert.equal(sync.stats.loads, 1)

    for (let n = 0; n < 5; n++) await step()
    same(sync, w)
    assert.deepEqual(told, [31, 32, 33, 34, 35])
    assert.equal(sync.stats.loads, 1)
    assert.equal(sync.stats.gaps, 0)
    sync.close()
    assert.equal(w.streams.size, 0, 'closed')
})

test('ticks that came while it loaded are applied behind it', async () => {
    const { w, sync, clock } = await follow({}, { ticks: 0 })
    assert.equal(sync.tick, null, '404')
    w.step()
    let slow = 400
    w.delay = () => slow
    await pass(clock, 1000)
    slow = 0
    for (let n = 0; n < 4; n++) {
        w.step()
        await pass(clock, 100)
    }
    await pass(clock, 20000)
    same(sync, w)
})

test('row 2.6: a gap is repaired by snapshots', async () => {
    const { w, sync, step } = await follow()
    for (let n = 0; n < 3; n++) await step({ silent: true })
    assert.equal(sync.tick, 30)
    await step()
    same(sync, w)
    assert.equal(sync.stats.loads, 1)
    assert.equal(sync.stats.repaired, 3)
    assert.match(w.requests.at(-1), /from=31&to=33$/)
})

test('a wide gap is fetched page by page', async () => {
    const { w, sync, step } = await follow({ range: 10 })
    for (let n = 0; n < 25; n++) await step({ silent: true })
    const before = w.requests.length
    await step()
    same(sync, w)
    assert.equal(w.requests.length - before, 3)
    assert.equal(sync.stats.loads, 1)
})

test('an answer that did not hold all is continued', async () => {
    const { w, sync, step } = await follow()
    w.fits = 4
    for (let n = 0; n < 9; n++) await step({ silent: true })
    await step()
    same(sync, w)
    assert.equal(sync.stats.loads, 1)
})

test('row 2.6: a gap older than the snapshots loads all anew', async () => {
    const { w, sync, step } = await follow({}, { keep: 25 })
    for (let n = 0; n < 40; n++) await step({ silent: true })
    await step()
    same(sync, w)
    assert.equal(sync.stats.loads, 2)
})

test('row 2.6: a tick changed on its way is noticed by the checksum',
     async () => {
    const { w, sync, step } = await follow()
    w.spoils = () => true
    while (!sync.stats.diverged) await step()
    w.spoils = () => false
    assert.equal(sync.stats.loads, 2)
    same(sync, w)
})

test('a tick too large for an event is fetched', async () => {
    const { w, sync, step } = await follow()
    await step({ large: true })
    same(sync, w)
    assert.equal(sync.stats.loads, 1)
})

test('the numbers of a gap do not exist: all is loaded', async () => {
    const { w, sync } = await follow()
    w.jump(10)
    await turn()
    same(sync, w)
    assert.equal(sync.stats.loads, 2)
})

test('what comes twice is dropped', async () => {
    const { w, sync, step } = await follow()
    await step()
    for (const stream of w.streams) stream.write(w.log.at(-1))
    await turn()
    same(sync, w)
    assert.equal(sync.stats.duplicates, 1)
})

test('a world that counts from the beginning is noticed', async () => {
    const { w, sync, step } = await follow({}, { ticks: 500 })
    w.restart()
    for (let n = 0; n < 70; n++) await step()
    same(sync, w)
})

test('a world that ended while nobody looked is caught up with', async () => {
    const { w, sync, clock } = await follow({}, { logged: 5 })
    w.cut()
    for (let n = 0; n < 9; n++) w.step()
    await pass(clock, 5000)
    same(sync, w, 'no tick came to show the gap')
    assert.equal(sync.stats.loads, 1)

    w.cut()
    for (let n = 0; n < 300; n++) w.step()
    await pass(clock, 5000)
    same(sync, w, 'nor did snapshots, which have expired')
})

test('a silent stream is given up', async () => {
    const { w, clock, sync } = await follow({ silence: 5000 })
    const [first] = w.streams
    await pass(clock, 7000)
    assert.equal(w.streams.size, 1)
    assert.ok(!w.streams.has(first))
    sync.close()
    await pass(clock, 20000)
    assert.equal(clock.size, 0, 'no timer is left')
})

test('a refusal is final, and said', async () => {
    const clock = new Clock()
    const told = []
    const sync = createStateSync({
        timers: clock, fetch: async () => new Response('', { status: 403 }) })
    sync.on('status', (status, error) => told.push([status, error?.status]))
    await pass(clock, 5000)
    assert.deepEqual(told, [['failed', 403]])
    assert.equal(clock.size, 0)
})

test('a checksum that never fits does not become a storm', async () => {
    const { w, sync, clock } = await follow()
    const { fetch } = w
    w.spoils = () => true
    for (let n = 0; n < 100; n++) {
        w.step()
        await pass(clock, 100)
    }
    assert.ok(sync.stats.loads < 20, `${sync.stats.loads} loads in 10 s`)
    assert.equal(fetch, w.fetch)
    sync.close()
})

test('row 2.6: ten thousand ticks leave nothing behind', async () => {
    const { w, sync, clock } = await follow()
    const timers = clock.size
    let before
    for (let n = 0; n < 10000; n++) {
        w.step()
        if (n % 50 === 0) await turn()
        if (n === 2000) before = heap()
    }
    await turn()
    same(sync, w)
    const more = heap() - before
    assert.ok(more < 1e6, `${more} bytes more`)
    assert.equal(clock.size, timers)
    assert.equal(sync.stats.ticks, 10000 + sync.stats.repaired)
    assert.equal(sync.stats.loads, 1)
})

// Cut off at random for random times, with each of the other faults.

async function chaos(seed) {
    const { w, sync, clock, random } = await follow(
        { range: 10, waiting: 20 },
        { seed, keep: 40 + seed % 7 * 20, logged: 5 + seed % 5 * 10 })
    w.delay = () => random() < .2 ? random() * 800 : 0
    w.fails = () => random() < .1
    w.loses = () => random() < .02
    w.spoils = () => random() < .01

    for (let n = 0; n < 250; n++) {
        const chance = random()
        if (chance < .01) w.jump(1 + Math.floor(random() * 30))
        else w.step({ large: chance > .98 })
        if (random() < .04) {
            w.cut()
            w.fails = random() < .3 ? () => true : () => random() < .1
        }
        if (random() < .03) {
            for (let away = random() * 90; away > 1; away--) w.step()
        }
        await clock.pass(100)
        if (n % 3 === 0) await turn()
    }

    w.delay = () => 0
    w.fails = w.loses = w.spoils = () => false
    if (seed % 2) w.step()
    else w.cut()                // nothing comes any more
    await pass(clock, 60000)
    same(sync, w, `seed ${seed}`)
    assert.equal(sync.status, 'live', `seed ${seed}`)
    sync.close()
    return sync.stats
}

test('row 2.6: cut off at random, it ends with the visible state', async t => {
    const base = Number(process.env.DELTA_SEED ?? 1)
    const sum = {}
    for (let n = 0; n < 24; n++) {
        for (const [name, count] of Object.entries(await chaos(base + n))) {
            sum[name] = (sum[name] ?? 0) + count
        }
    }
    t.diagnostic(`seeds from ${base}: ${JSON.stringify(sum)}`)
    for (const name of ['gaps', 'repaired', 'diverged', 'loads', 'errors']) {
        assert.ok(sum[name] > 0, name)
    }
})

// A space: what a stream says, and what a list of all answers.

async function space(options = {}) {
    const clock = new Clock()
    const asked = []
    const streams = []
    const answers = []
    const fetch = async url => {
        let controller
        const body = new ReadableStream({ start: c => { controller = c } })
        const text = new TextEncoder()
        asked.push(url)
        streams.push({
            say: d => controller.enqueue(
                text.encode(`data: ${JSON.stringify(d)}\n\n`)),
            cut: () => controller.error(new Error('cut')),
        })
        return new Response(body)
    }
    const sync = createSpaceSync({
        space: 's1', fetch, timers: clock, random: () => .5,
        refetch: () => new Promise((resolve, reject) =>
            answers.push({ resolve, reject })), ...options })
    await turn()
    const delta = async d => {
        streams.at(-1).say({ type: 'space-delta', ...d })
        await turn()
    }
    assert.equal(answers.length, 0, 'nothing is fetched before a delta')
    await delta({ created: [], updated: [], deleted: [] })
    assert.equal(answers.length, 1)
    return { clock, asked, streams, answers, sync, delta }
}

test('a space: all, then deltas, and since the last one', async () => {
    const { clock, asked, streams, answers, sync, delta } = await space()
    assert.deepEqual(asked, ['/api/stream?spaceId=s1'])
    answers[0].resolve([{ id: 'a', text: '1' }, { id: 'b', text: '2' }])
    await turn()
    assert.equal(sync.status, 'live')

    await delta({ created: [{ id: 'c' }], updated: [{ id: 'a', text: '3' }],
                  deleted: ['b'], timestamp: '2025-01-01T00:00:00.123000001Z' })
    assert.deepEqual([...sync.items.values()],
                     [{ id: 'a', text: '3' }, { id: 'c' }])
    streams.at(-1).cut()
    await pass(clock, 1000)
    assert.equal(asked.at(-1), '/api/stream?spaceId=s1&since='
                 + '2025-01-01T00%3A00%3A00.123000001Z')
    assert.equal(answers.length, 1, 'nothing was fetched again')
    sync.close()
})

test('row 1.4: resync fetches all of a space, deltas are on top', async () => {
    const { clock, answers, sync, delta, streams } = await space()
    answers[0].resolve([])
    await turn()
    streams[0].say({ type: 'resync' })
    await turn()
    assert.equal(answers.length, 2)
    await delta({ created: [{ id: 'n' }], deleted: ['old'] })
    streams[0].say({ type: 'resync' })
    await turn()
    answers[1].reject(new Error('503'))
    await pass(clock, 1000)
    answers[2].resolve([{ id: 'old' }, { id: 'kept' }])
    await turn()
    assert.deepEqual([...sync.items.keys()].sort(), ['kept', 'old'],
                     'what came before it was asked is in it')
    await delta({ deleted: ['old'] })
    assert.deepEqual([...sync.items.keys()], ['kept'])
    assert.equal(sync.stats.refetched, 2)
    sync.close()
})
