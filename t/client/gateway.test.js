// Copyright (C) Delta contributors

// The client before a real nginx and Redis, which t/65-client.t has started.

import assert from 'node:assert/strict'
import { test as nodeTest } from 'node:test'
import { Worker } from 'node:worker_threads'

import { createClient } from '../../src/client/index.js'
import { decode } from '../../src/client/msgpack/index.js'
import { createStores } from '../../src/client/stores/index.js'
import { Storage } from './lib/fakes.js'
import { Redis } from './lib/redis.js'
import { WebSocket } from './lib/websocket.js'

const { env } = process
const slow = Number(env.DELTA_SLOW)
const redis = new Redis(Number(env.DELTA_REDIS))
const clients = new Set()
const sockets = new Set()

class Watched extends WebSocket {
    constructor(...args) {
        super(...args)
        sockets.add(this)
    }
}

const test = (name, f) => nodeTest(name, async () => {
    try {
        await f()
    } finally {
        for (const client of clients) client.close()
        clients.clear()
    }
})

function open(user, options = {}) {
    const client = createClient(`${env.DELTA_URL}${options.path ?? '/gateway'}`,
        { token: env[`DELTA_TOKEN_${user.toUpperCase()}`],
          WebSocket: Watched, maxDelay: 1000, ...options })
    clients.add(client)
    return client
}

// The argument of the next event of this name that the test accepts.

const next = (source, name, accept = () => true) =>
    new Promise((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error(`no ${name} came`)),
                                 15000 * slow)
        const off = source.on(name, value => {
            if (!accept(value)) return
            clearTimeout(timer)
            off()
            resolve(value)
        })
    })

const pause = ms => new Promise(resolve => setTimeout(resolve, ms))
const reload = () => process.kill(Number(env.DELTA_NGINX), 'SIGHUP')
const cut = () => sockets.forEach(socket => socket.cut())

// decode as an application gives it, and how often it was needed

function counted() {
    const msgpack = bytes => {
        msgpack.count++
        return decode(bytes)
    }
    msgpack.count = 0
    return msgpack
}

// Timers of a client that comes back when it is let, not sooner on a machine
// that is slow.

function leash() {
    const held = []
    let away = false
    return {
        timers: { setTimeout: (f, ms) =>
            away ? held.push(f) && undefined : setTimeout(f, ms) },
        cut() {
            away = true
            cut()
        },
        let() {
            away = false
            held.splice(0).forEach(f => f())
        },
    }
}

// Publishes n events and collects what arrives, while something happens.

async function stream(client, channel, n, meanwhile) {
    const seen = []
    const gaps = []
    const off = client.on('tick', d => seen.push(d.n))
    const told = client.on('resync', resync => {
        if ([channel, null].includes(resync.channel)) gaps.push(resync.reason)
    })
    const all = next(client, 'tick', d => d.n === n)

    for (let i = 1; i <= n; i++) {
        await redis.publish(channel, 'tick', { n: i })
        await meanwhile(i)
    }
    await all.catch(error => {
        throw new Error(`${error.message}; gaps: ${gaps}; seen: ${seen}`)
    })
    off()
    told()
    assert.deepEqual(gaps, [])
    return seen
}

const upTo = n => Array.from({ length: n }, (_, i) => i + 1)

await redis.command('SADD', 'user:ben:guilds', '1')
await redis.command('SADD', 'user:cleo:guilds', '2', '3')
await redis.command('SADD', 'user:cleo:channels', '5')
await redis.command('SADD', 'user:dan:guilds', '4')

test('an event arrives, and is seen', async () => {
    const client = open('ben')
    const ready = await next(client, 'ready')
    assert.deepEqual(ready.channels.sort(), ['guild:1', 'user:ben'])
    const came = next(client, 'patch')
    const id = await redis.publish('guild:1', 'patch', { name: 'New' })
    assert.deepEqual(await came, { name: 'New' })
    assert.equal(await client.seen(id), true)
    assert.equal(await client.seen(id, { channel: 'guild:1' }), true)
})

test('in a worker: connected, events, logged out, nothing left', async () => {
    const worker = new Worker(new URL('./lib/worker.js', import.meta.url), {
        workerData: { url: `${env.DELTA_URL}/gateway`,
                      token: env.DELTA_TOKEN_BEN } })
    const told = []
    const ended = new Promise((resolve, reject) => {
        worker.on('error', reject)
        worker.on('exit', resolve)
    })
    worker.on('message', word => {
        told.push(word)
        if (word === 'connected websocket') {
            redis.publish('guild:1', 'tick', { n: 1 })
        } else if (word === 'tick 1') {
            worker.postMessage('close')
        }
    })
    assert.equal(await ended, 0, 'neither timer nor socket keeps it alive')
    assert.deepEqual(told, ['connected websocket', 'tick 1',
                            'disconnected undefined'])
})

test('reloads of nginx lose nothing and repeat nothing', async () => {
    const client = open('ben')
    await next(client, 'ready')
    const seen = await stream(client, 'guild:1', 120, async i => {
        if (i === 20 || i === 80) reload()
        await pause(20)
    })
    assert.deepEqual(seen, upTo(120))
    while (client.stats.connects < 2) await next(client, 'ready')
    assert.deepEqual(await stream(client, 'guild:1', 3, () => {}), upTo(3))
})

test('cut connections lose nothing and repeat nothing', async () => {
    const client = open('ben', { minDelay: 50 })
    await next(client, 'ready')
    const seen = await stream(client, 'guild:1', 100, async i => {
        if (i % 17 === 0) cut()
        await pause(10)
    })
    assert.deepEqual(seen, upTo(100))
    assert.ok(client.stats.connects > 1, 'it was cut')
})

test('a page that is loaded again goes on', async () => {
    const storage = new Storage()
    const window = new EventTarget()
    const page = { window, document: null }
    const first = open('ben', { storage, page })
    await next(first, 'ready')
    const before = next(first, 'tick')
    await redis.publish('guild:1', 'tick', { n: 1 })
    await before
    window.dispatchEvent(new Event('pagehide'))
    await redis.publish('guild:1', 'tick', { n: 2 })

    const second = open('ben', { storage, page: {} })
    const seen = []
    second.on('tick', d => seen.push(d.n))
    await next(second, 'tick', d => d.n === 2)
    assert.deepEqual(seen, [2])
})

test('MessagePack says the same as JSON', async () => {
    const msgpack = counted()
    const one = open('ben', { msgpack })
    const two = open('ben')
    await Promise.all([next(one, 'ready'), next(two, 'ready')])
    assert.equal([...sockets].filter(
        socket => socket.protocol === 'delta.v1.msgpack').length, 1)
    const count = msgpack.count
    const d = {
        text: 'é😀\u0000"\\', list: [true, false, null, [], {}],
        n: [0, -1, -32, -33, 127, 128, 255, 256, 65535, 65536, 2 ** 32,
            -(2 ** 31), 2 ** 53 - 1, 2 ** 63, -(2 ** 63), 0.1, -1.5e300],
        long: 'x'.repeat(40000), many: upTo(70),
        ...Object.fromEntries(upTo(70).map(n => [`k${n}`, n])),
    }
    const came = [next(one, 'event'), next(two, 'event')]
    await redis.publish('guild:1', 'patch', d)
    const [a, b] = await Promise.all(came)
    assert.deepEqual(a.d, d)
    assert.deepEqual(a, b)
    assert.equal(msgpack.count, count + 1)
    assert.equal(one.stats.parse_rejected, 0)
})

test('MessagePack: commands, cuts and reloads', async () => {
    const msgpack = counted()
    const client = open('cleo', { msgpack, minDelay: 50,
                                  transports: ['websocket'] })
    const handle = client.subscribe('channel:5')
    const refused = client.subscribe('channel:99')
    const reason = next(refused, 'state', s => s.state === 'unsubscribed')
    await next(handle, 'state', s => s.state === 'subscribed')
    assert.equal((await reason).reason, 'forbidden')
    const seen = await stream(client, 'guild:2', 60, async i => {
        if (i % 17 === 0) cut()
        if (i === 30) reload()
        await pause(10)
    })
    assert.deepEqual(seen, upTo(60))
    assert.ok(client.stats.connects > 1, 'it was cut')
    const id = await redis.publish('guild:2', 'tick', { n: 0 })
    assert.equal(await client.seen(id), true)
    assert.ok(msgpack.count > 60)
    assert.equal(client.stats.parse_rejected, 0)
})

test('an event stream where WebSocket is blocked, from the same cursor',
     async () => {
    const client = open('ben', { path: '/blocked', minDelay: 50 })
    await next(client, 'ready')
    assert.equal(client.connection.transport, 'sse')
    const seen = await stream(client, 'guild:1', 60, async i => {
        if (i === 20) reload()
        await pause(40)
    })
    assert.deepEqual(seen, upTo(60))
})

test('a gateway without WebSocket', async () => {
    const client = open('ben', { path: '/sse' })
    await next(client, 'ready')
    assert.equal(client.connection.transport, 'sse')
})

test('401 is the end on both transports', async () => {
    for (const transport of ['websocket', 'sse']) {
        for (const token of [undefined, env.DELTA_TOKEN_BAD]) {
            const client = open('ben', { token, transports: [transport] })
            const { code, reason } = await next(client, 'state',
                s => s.state === 'disconnected')
            assert.deepEqual([code, reason], [401, 'unauthorized'])
        }
    }
})

test('a refused token is exchanged for a good one', async () => {
    const tokens = [env.DELTA_TOKEN_BAD, env.DELTA_TOKEN_BEN]
    const client = open('ben', {
        token: env.DELTA_TOKEN_BAD, getToken: () => tokens.at(-1),
    })
    await next(client, 'ready')
    assert.equal(client.session.user_id, 'ben')
})

test('a kick takes the channel away, and what the stores had of it',
     async () => {
    const client = open('cleo')
    const stores = createStores(client)
    const handle = client.subscribe('guild:2')
    await next(client, 'ready')
    const patched = next(client, 'patch')
    await redis.publish('guild:2', 'patch', {
        entity_type: 'guild', entity_id: '2', diff: { name: 'Two' },
    })
    await patched
    assert.deepEqual(stores.guilds.get('2'), { id: '2', name: 'Two' })

    const gone = next(client, 'unsubscribed')
    await redis.command('SREM', 'user:cleo:guilds', '2')
    await redis.publish('user:cleo:control', 'revoke', { channel: 'guild:2' })
    assert.deepEqual(await gone, { channel: 'guild:2', reason: 'revoked' })
    assert.equal(handle.state, 'unsubscribed')
    assert.equal(stores.guilds.get('2'), undefined)
})

test('a revoke that happened while away is told, too', async () => {
    const { timers, ...held } = leash()
    const client = open('cleo', { timers })
    await next(client, 'ready')
    const gone = next(client, 'unsubscribed')
    held.cut()
    await next(client, 'state', s => s.state === 'connecting')
    await redis.command('SREM', 'user:cleo:guilds', '3')
    await redis.publish('user:cleo:control', 'revoke', { channel: 'guild:3' })
    held.let()
    assert.deepEqual(await gone, { channel: 'guild:3', reason: 'membership' })
})

test('too large a gap is fetched anew', async () => {
    const fetched = []
    const { timers, ...held } = leash()
    const client = open('dan', { timers })
    const stores = createStores(client, { refetch: async ({ channel }) => {
        fetched.push(channel)
        stores.guilds.set('4', { id: '4', name: 'fetched' })
    } })
    await next(client, 'ready')
    while (!await client.seen(await redis.publish('guild:4', 'tick', {}))) ;
    held.cut()
    await next(client, 'state', s => s.state === 'connecting')
    for (let n = 0; n < 30; n++) await redis.publish('guild:4', 'tick', { n })
    held.let()
    const resync = await next(client, 'resync')
    assert.equal(resync.channel, 'guild:4')
    await stores.settled()
    assert.deepEqual(fetched, ['guild:4'])
    assert.equal(stores.guilds.get('4').name, 'fetched')
})

test('a channel of our own comes back, with or without a gap', async () => {
    const client = open('cleo', { minDelay: 50 })
    const handle = client.subscribe('channel:5')
    await next(handle, 'state', s => s.state === 'subscribed')
    const came = next(handle, 'patch')
    await redis.publish('channel:5', 'patch', {})
    await came
    const back = next(handle, 'state', s => s.state === 'subscribed')
    const missed = Promise.race([next(handle, 'resync'), next(handle, 'patch')])
    cut()
    await next(client, 'state', s => s.state === 'connecting')
    await redis.publish('channel:5', 'patch', { missed: true })
    await back
    assert.ok(await missed, 'an event or a resync, not silence')
})

test('a refused channel is told', async () => {
    const client = open('cleo')
    const handle = client.subscribe('channel:99')
    const change = await next(handle, 'state', s => s.state === 'unsubscribed')
    assert.equal(change.reason, 'forbidden')
    assert.equal(client.state, 'connected')
})
