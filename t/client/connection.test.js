// Copyright (C) Delta contributors

// Connecting, and connecting again: states, delays, tokens, transports.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { Credentials } from '../../src/client/core/credentials.js'
import { UnauthorizedError } from '../../src/client/index.js'
import { decode } from '../../src/client/msgpack/index.js'
import { fire, settle, world } from './lib/fakes.js'

const last = list => list.at(-1)

test('a connection is ready, not open, to be connected', async () => {
    const { client, clock, network } = world({ token: 'abc' })
    assert.equal(client.state, 'connecting')
    await clock.pass(0)
    const { url, protocols } = network.socket
    assert.equal(url, 'ws://gate.test/gateway')
    assert.deepEqual(protocols, ['delta.v1.json', 'bearer.abc'])
    network.socket.open()
    assert.equal(client.state, 'connecting')
    network.socket.ready()
    assert.deepEqual(client.connection,
                     { state: 'connected', transport: 'websocket' })
    assert.equal(client.session.user_id, 'ben')
})

test('a loss is told with code and reason, and repaired', async () => {
    const w = world()
    await w.up()
    w.network.socket.end(4003, 'The connection is too slow.')
    assert.deepEqual(last(w.states), {
        state: 'connecting', code: 4003, reason: 'The connection is too slow.',
    })
    await w.clock.pass(250)
    assert.equal(w.network.sockets.length, 2)
    await w.up()
    assert.equal(w.client.state, 'connected')
})

test('the range of the code is the policy', async () => {
    for (const [code, state] of [
        [1000, 'disconnected'], [1006, 'connecting'], [1011, 'connecting'],
        [4001, 'connecting'], [4499, 'connecting'], [4500, 'disconnected'],
        [4502, 'disconnected'], [4999, 'disconnected'],
    ]) {
        const w = world()
        await w.up()
        w.network.socket.end(code, 'why')
        assert.deepEqual(last(w.states), { state, code, reason: 'why' })
        await w.clock.pass(60000)
        assert.equal(w.network.sockets.length > 1, state === 'connecting')
        w.client.close()
    }
})

test('the delay doubles to 20 s, jittered, until 10 s were stable',
     async () => {
    const w = world({ transports: ['websocket'], random: () => .999 })
    const delays = []
    await w.up()
    for (let n = 0; n < 9; n++) {
        const { length } = w.network.sockets
        const from = w.clock.time
        w.network.socket.end()
        await settle()
        w.network.last?.reject(new Error('offline'))
        while (w.network.sockets.length === length) await w.clock.pass(10)
        delays.push(w.clock.time - from)
    }
    assert.deepEqual(delays.map(ms => Math.round(ms / 500) * 500), [
        500, 1000, 2000, 4000, 8000, 16000, 20000, 20000, 20000])

    await w.up()
    await w.clock.pass(10000)
    w.network.socket.end()
    await w.clock.pass(500)
    assert.equal(w.network.socket.readyState, 0, 'after 500 ms, as at first')

    const calm = world({ random: () => 0 })
    await calm.up()
    calm.network.socket.end()
    await calm.clock.pass(0)
    assert.equal(calm.network.sockets.length, 2, 'full jitter begins at 0')
})

test('reconnect.after_ms is what is waited for', async () => {
    const w = world()
    await w.up()
    w.network.socket.say({ v: 1, t: 'reconnect', d: { after_ms: 3210 } })
    w.network.socket.end(4001)
    await w.clock.pass(3209)
    assert.equal(w.network.sockets.length, 1)
    await w.clock.pass(1)
    assert.equal(w.network.sockets.length, 2)
    await w.up()
    w.network.socket.end(4001)
    await w.clock.pass(500)
    assert.equal(w.network.sockets.length, 3, 'once')
})

test('reconnect.after_ms is not waited for twice', async () => {
    const w = world()
    await w.up()
    w.network.socket.say({ v: 1, t: 'reconnect', d: { after_ms: 8000 } })
    await w.clock.pass(8100)
    assert.equal(w.network.sockets.length, 1, 'it stays until it is closed')
    w.network.socket.end(4001)
    await w.clock.pass(500)
    assert.equal(w.network.sockets.length, 2, 'no more than the usual pause')
})

test('a fast loop is slowed down, whoever drives it', async () => {
    const w = world()
    await w.up()
    for (let n = 0; n < 40; n++) {
        w.network.socket.ready()
        w.network.socket.say({ v: 1, t: 'reconnect', d: { after_ms: 0 } })
        w.network.socket.end(4001)
        await w.clock.pass(100)
    }
    assert.ok(w.network.sockets.length < 12, `${w.network.sockets.length}`)
    await w.clock.pass(10000)
    await w.up()
    assert.equal(w.client.state, 'connected')
})

test('the token is fetched once at a time, and again when it has ended',
     async () => {
    let give
    let asked = 0
    const w = world({ getToken: () => {
        asked++
        return new Promise(resolve => { give = resolve })
    } })
    await w.clock.pass(0)
    fire(w.window, 'online')
    fire(w.window, 'online')
    await w.clock.pass(0)
    assert.equal(asked, 1)
    give('one')
    await w.up()
    await w.again()
    assert.equal(asked, 1)
    assert.equal(w.network.socket.protocols[1], 'bearer.one')

    w.network.socket.end(4005, 'The token has expired.')
    await w.clock.pass(0)
    assert.equal(asked, 2)
    give('two')
    await w.clock.pass(0)
    assert.equal(w.network.socket.protocols[1], 'bearer.two')
})

test('two who ask at the same time share the answer', async () => {
    let asked = 0
    const credentials = new Credentials(async () => `token ${++asked}`)
    assert.deepEqual(await Promise.all([credentials.get(), credentials.get()]),
                     Array(2).fill({ token: 'token 1', cached: false }))
    assert.deepEqual(await credentials.get(),
                     { token: 'token 1', cached: true })
})

test('nothing comes after close, whenever it is', async () => {
    const w = world({ getToken: () => settle().then(() => 'one') })
    const heard = []
    w.client.on('patch', () => heard.push('patch'))
    w.client.close()
    await w.clock.pass(1000)
    assert.equal(w.network.sockets.length, 0, 'waiting for the token')

    w.client.connect()
    await w.clock.pass(0)
    w.network.socket.end()
    await settle()
    w.client.close()
    w.network.last.answer(503)
    await w.clock.pass(30000)
    assert.equal(w.client.state, 'disconnected', 'waiting for the probe')

    w.client.connect()
    const socket = await w.up()
    w.client.close()
    socket.say({ v: 1, t: 'patch', c: 'a', id: '1-0', d: {} })
    socket.end(4001)
    await w.clock.pass(30000)
    assert.deepEqual(heard, [])
    assert.equal(w.client.state, 'disconnected')
    assert.equal(w.network.sockets.length, 2)
})

test('no token is the end, a failure to get one is not', async () => {
    for (const how of [() => { throw new UnauthorizedError() },
                       () => { throw new Error('unauthorized') },
                       () => Promise.reject('unauthorized'), () => null]) {
        const w = world({ getToken: how })
        await w.clock.pass(0)
        assert.deepEqual(last(w.states), {
            state: 'disconnected', code: 401, reason: 'unauthorized',
        })
        await w.clock.pass(60000)
        assert.equal(w.network.sockets.length, 0)
    }

    let fails = 2
    const w = world({ getToken: () => {
        if (fails--) throw new Error('the backend is away')
        return 'one'
    } })
    await w.clock.pass(5000)
    assert.equal(w.network.sockets.length, 1)
})

test('a token is renewed before its end, in the session', async () => {
    const jwt = exp => `x.${btoa(JSON.stringify({ exp }))}.y`
    const ends = [1e9 + 100, 1e9 + 1000]
    const tokens = ends.map(jwt)
    const w = world({ getToken: () => tokens.shift() })
    const [, second] = tokens
    w.network.acks = true
    await w.up()
    await w.clock.pass(69000)
    assert.equal(w.network.socket.commands('auth').length, 0)
    await w.clock.pass(1000)
    assert.deepEqual(w.network.socket.commands('auth'),
                     [{ t: 'auth', d: { token: second } }])
    await w.clock.pass(800000)
    assert.equal(w.network.socket.commands('auth').length, 1)
})

test('a failed handshake is asked again by HEAD: 401 is 401', async () => {
    const w = world({ token: 'old' })
    await w.clock.pass(0)
    w.network.socket.end()
    await settle()
    const { url, init, answer } = w.network.last
    assert.equal(url, 'http://gate.test/gateway')
    assert.equal(init.method, 'HEAD')
    assert.equal(init.headers.Authorization, 'Bearer old')
    answer(401)
    await settle()
    assert.deepEqual(last(w.states), {
        state: 'disconnected', code: 401, reason: 'unauthorized',
    })
    await w.clock.pass(60000)
    assert.equal(w.network.sockets.length, 1)
})

test('a 401 to a token that was kept asks for a new one, once', async () => {
    const tokens = ['one', 'two', 'three']
    const w = world({ getToken: () => tokens.shift() })
    await w.up()
    w.network.socket.end()
    await w.clock.pass(300)
    w.network.socket.end()
    await settle()
    w.network.last.answer(401)
    await w.clock.pass(0)
    assert.equal(w.network.socket.protocols[1], 'bearer.two')
    w.network.socket.end()
    await settle()
    w.network.last.answer(401)
    await settle()
    assert.equal(w.client.state, 'disconnected')
    assert.deepEqual(tokens, ['three'])
})

test('429 and 503 wait as long as they say', async () => {
    for (const status of [429, 503]) {
        const w = world()
        await w.clock.pass(0)
        w.network.socket.end()
        await settle()
        w.network.last.answer(status, { 'Retry-After': '4' })
        await w.clock.pass(3999)
        assert.equal(w.network.sockets.length, 1)
        assert.equal(last(w.states).code, status)
        await w.clock.pass(1)
        assert.equal(w.network.sockets.length, 2)
        w.client.close()
    }
})

test('a blocked WebSocket gives way to an event stream', async () => {
    const w = world({ token: 'abc' })
    for (let n = 0; n < 2; n++) {
        await w.clock.pass(500)
        assert.equal(w.network.sockets.length, n + 1)
        w.network.socket.end()
        await settle()
        w.network.last.answer(200)
    }
    await w.clock.pass(1000)
    assert.equal(w.network.sockets.length, 2)
    const stream = w.network.last
    assert.equal(stream.init.headers.Accept, 'text/event-stream')
    assert.equal(stream.init.headers.Authorization, 'Bearer abc')
    stream.stream()
    await settle()
    const seen = []
    w.client.on('patch', d => seen.push(d.n))
    stream.write('retry: 2000\n\nevent: ready\ndata: {"v":1,"t":"ready","d":'
                 + '{"session_id":"s","heartbeat_ms":30000,"channels":[]}}\n')
    await w.clock.pass(1)
    assert.equal(w.client.state, 'connecting', 'a block ends with a blank line')
    stream.write('\n:\n\nevent: patch\ndata: {"v":1,"t":"patch","c":"a","id":')
    stream.write('"5-0","d":\ndata: {"n":1}}\n\nid: 7.4\n\n')
    await w.clock.pass(1)
    assert.equal(w.client.connection.transport, 'sse')
    assert.deepEqual(seen, [1])

    stream.body.close()
    await w.clock.pass(1000)
    const { url } = w.network.last
    assert.equal(url, 'http://gate.test/gateway?since=7.4&at=a=5-0')
    w.network.last.stream()
    await settle()
    w.network.last.write('event: close\ndata: {"code":4501,"reason":"No."}\n\n')
    await w.clock.pass(1)
    assert.deepEqual(last(w.states),
                     { state: 'disconnected', code: 4501, reason: 'No.' })
})

test('a network that is away is no reason for an event stream', async () => {
    const w = world()
    for (let n = 0; n < 4; n++) {
        await w.clock.pass(20000)
        w.network.socket.end()
        await settle()
        w.network.last.reject(new TypeError('failed'))
    }
    await w.clock.pass(20000)
    assert.equal(w.network.sockets.length, 5)
})

test('an event stream that is silent is given up', async () => {
    const w = world({ WebSocket: null })
    await w.clock.pass(0)
    w.network.last.stream()
    await settle()
    w.network.last.write('data: {"v":1,"t":"ready","d":{"heartbeat_ms":1000,'
                         + '"session_id":"a","channels":[]}}\n\n')
    await w.clock.pass(11000)
    w.network.last.write(':\n\n')
    await w.clock.pass(11000)
    assert.equal(w.client.state, 'connected')
    await w.clock.pass(1000)
    assert.equal(w.client.state, 'connecting')
})

test('no ready in time is a failure', async () => {
    const w = world()
    await w.clock.pass(0)
    w.network.socket.open()
    await w.clock.pass(10000)
    assert.ok(w.network.sockets[0].closed)
    w.network.last.answer(200)
    await w.clock.pass(1000)
    assert.equal(w.network.sockets.length, 2)
})

test('own heartbeats notice a dead connection', async () => {
    const w = world()
    const socket = await w.up()
    await w.clock.pass(12500)
    assert.equal(socket.commands('heartbeat').length, 1, 'the first: jittered')
    await w.clock.pass(9000)
    socket.say({ v: 1, t: 'heartbeat_ack', d: { cursor: '7.2000' } })
    await w.clock.pass(16000)
    assert.equal(socket.commands('heartbeat').length, 2)
    assert.equal(w.client.state, 'connected')
    await w.clock.pass(10000)
    assert.ok(socket.closed)
    assert.equal(last(w.states).state, 'connecting')
    await w.clock.pass(300)
    assert.equal(w.network.sockets.length, 2)
})

test('a ping tells the latency', async () => {
    const w = world()
    const told = []
    w.client.on('latency', ms => told.push(ms))
    w.client.ping()
    const socket = await w.up()
    assert.equal(w.client.latency, null)
    w.client.ping()
    await w.clock.pass(34)
    socket.say({ v: 1, t: 'heartbeat_ack', d: {} })
    assert.deepEqual(told, [34])
    assert.equal(w.client.latency, 34)
})

test('waking up probes a connection, and ends a wait', async () => {
    const w = world()
    const socket = await w.up()
    await w.clock.pass(2000)
    fire(w.window, 'offline')
    assert.equal(socket.commands('heartbeat').length, 1)
    socket.say({ v: 1, t: 'heartbeat_ack', d: {} })
    await w.clock.pass(2000)
    w.document.visibilityState = 'hidden'
    fire(w.document, 'visibilitychange')
    assert.equal(socket.commands('heartbeat').length, 1)
    w.document.visibilityState = 'visible'
    fire(w.document, 'visibilitychange')
    assert.equal(socket.commands('heartbeat').length, 2)
    await w.clock.pass(5000)
    assert.ok(socket.closed, 'no answer')

    const away = world({ random: () => .99 })
    await away.up()
    away.network.socket.end()
    fire(away.window, 'online')
    await away.clock.pass(0)
    assert.equal(away.network.sockets.length, 2)
})

test('lost-connection: after 5 s, and when it is over', async () => {
    const w = world()
    const told = []
    w.client.on('lost-connection', what => told.push(what))
    await w.up()
    await w.again()
    await w.clock.pass(6000)
    assert.deepEqual(told, [], 'a short gap is not worth a word')
    w.network.socket.end()
    await w.clock.pass(4999)
    assert.deepEqual(told, [])
    await w.clock.pass(1)
    assert.deepEqual(told, ['lost'])
    await w.up()
    assert.deepEqual(told, ['lost', 'restored'])
    w.network.socket.end()
    await w.clock.pass(5000)
    w.network.socket.end(4501)
    w.network.last.answer(403)
    await w.clock.pass(5000)
    assert.deepEqual(told, ['lost', 'restored', 'lost', 'failed'])
})

test('close logs out, and leaves nothing behind', async () => {
    const w = world()
    const socket = await w.up()
    w.client.seen('99999-0').then(seen => assert.equal(seen, false))
    w.client.close()
    assert.deepEqual(socket.closed, { code: 3000, reason: 'Logged out.' })
    assert.deepEqual(last(w.states), {
        state: 'disconnected', code: 3000, reason: 'Logged out.',
    })
    assert.equal(w.clock.size, 0, 'no timer')
    fire(w.window, 'online')
    await w.clock.pass(60000)
    assert.equal(w.network.sockets.length, 1)
    w.client.connect()
    await w.clock.pass(0)
    assert.equal(w.network.socket.url, 'ws://gate.test/gateway')
})

test('debug tells what happens, to whom it is given', async t => {
    const lines = []
    const w = world({ token: 'secret', debug: (...line) => lines.push(line) })
    await w.up()
    w.network.socket.say('{')
    w.network.socket.end(4003, 'why')
    const told = lines.map(([name]) => name)
    for (const name of ['state', 'attempt', 'message', 'rejected', 'closed']) {
        assert.ok(told.includes(name), name)
    }
    assert.doesNotMatch(JSON.stringify(lines), /secret/)

    t.mock.method(console, 'debug', () => {})
    await world().up()
    assert.equal(console.debug.mock.callCount(), 0)
    await world({ debug: true }).up()
    assert.ok(console.debug.mock.callCount() > 2)
})

test('MessagePack is offered where it can be read', async () => {
    const w = world({ msgpack: decode })
    await w.clock.pass(0)
    assert.deepEqual(w.network.socket.protocols,
                     ['delta.v1.msgpack', 'delta.v1.json'])
    w.network.socket.open()
    // {"v":1,"t":"ready","d":{"session_id":"s"}}
    const hex = '83a17601a174a57265616479a16481aa73657373696f6e5f6964a173'
    w.network.socket.onmessage({ data: Uint8Array.from(
        hex.match(/../g), byte => parseInt(byte, 16)).buffer })
    assert.equal(w.client.state, 'connected')
})

test('a 400 costs the resume state, once', async () => {
    const w = world()
    await w.up({ resume_token: 's1.1' })
    w.network.socket.end()
    await w.clock.pass(300)
    assert.match(w.network.socket.url, /resume=s1\.1&since=7\.1000$/)
    w.network.socket.end()
    await settle()
    assert.match(w.network.last.url, /gateway\?since=7\.1000$/,
                 'HEAD does not use up the token')
    w.network.last.answer(400)
    await w.clock.pass(300)
    assert.equal(w.network.socket.url, 'ws://gate.test/gateway')
    const told = []
    w.client.on('resync', d => told.push(d))
    w.network.socket.ready()
    assert.deepEqual(told, [{ channel: null, reason: 'no_cursor' }])
    assert.equal(w.client.state, 'connected')
})
