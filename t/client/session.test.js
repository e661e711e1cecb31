// Copyright (C) Delta contributors

// What is heard: positions, channels, gaps, reloads of the page.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { above } from '../../src/client/index.js'
import { event, fire, world } from './lib/fakes.js'

const word = (t, d = {}) => ({ v: 1, t, d })
const heard = (source, ...names) => {
    const list = []
    for (const name of names) source.on(name, d => list.push([name, d]))
    return list
}

test('ids are compared as two numbers of any size', () => {
    assert.ok(above('10-0', '9-5'))
    assert.ok(above('10-10', '10-9'))
    assert.ok(!above('10-9', '10-9'))
    assert.ok(!above('9-18446744073709551615', '10-0'))
    assert.ok(above('1-9007199254740993', '1-9007199254740992'))
})

test('twice is once, per channel', async () => {
    const w = world()
    const socket = await w.up()
    const list = heard(w.client, 'patch')
    for (const [c, id] of [['a', '5-0'], ['a', '5-1'], ['a', '5-1'],
                           ['a', '4-9'], ['b', '5-1'], ['a', '10-0']]) {
        socket.say(event(c, id, { of: c + id }))
    }
    socket.say(event('a', undefined, { of: 'no log' }))
    assert.deepEqual(list.map(([, d]) => d.of),
                     ['a5-0', 'a5-1', 'b5-1', 'a10-0', 'no log'])
    assert.equal(w.client.stats.duplicates, 2)
})

test('row 3.11: what is unknown or broken is counted and ignored', async () => {
    const w = world({ events: ['quiet'], validate: e => e.d.bad !== true })
    const socket = await w.up()
    const list = heard(w.client, 'patch')
    const channel = w.client.subscribe('a')
    channel.on('typing', () => {})
    const before = w.client.stats.received

    socket.say(event('a', '1-0', {}, 'brand_new'))
    socket.say(word('brand_new_word'))
    socket.say(event('a', '2-0', {}, 'quiet'))
    socket.say(event('a', '3-0', {}, 'typing'))
    socket.say({ ...event('a', '4-0'), more: 1 })
    assert.equal(w.client.stats.unknown_received, 2)
    assert.equal(w.client.stats.received - before, 5)

    for (const bad of ['{', '[]', 'null', '7', '{"v":1,"t":"patch"}',
        '{"v":2,"t":"patch","d":{}}', '{"v":1,"t":"Patch","d":{}}',
        '{"v":1,"t":"patch","d":[]}', '{"v":1,"t":"patch","d":null}',
        '{"v":1,"t":"patch","c":1,"d":{}}',
        '{"v":1,"t":"patch","c":"a","id":"x","d":{}}',
        '{"v":1,"t":"patch","c":"a","id":"01-0","d":{}}']) socket.say(bad)
    assert.equal(w.client.stats.parse_rejected, 12)
    socket.say(event('a', '5-0', { bad: true }))
    assert.equal(w.client.stats.parse_rejected, 13)
    assert.equal(list.length, 1)
    assert.equal(w.client.state, 'connected')
})

test('a listener that throws stops nobody', async t => {
    t.mock.method(console, 'error', () => {})
    const w = world()
    const socket = await w.up()
    w.client.on('patch', () => { throw new Error('mine') })
    const list = heard(w.client, 'patch')
    socket.say(event('a', '1-0'))
    assert.equal(list.length, 1)
    assert.equal(console.error.mock.callCount(), 1)
})

test('an event cannot pass for one of our own', async () => {
    const w = world()
    const socket = await w.up()
    const list = heard(w.client, 'error', 'state', 'event')
    socket.say(event('a', '1-0', {}, 'error'))
    socket.say(event('a', '2-0', {}, 'state'))
    assert.deepEqual(list.map(([name]) => name), ['event', 'event'])
})

test('coming back: cursor, newer positions, token', async () => {
    const w = world()
    await w.up({ resume_token: 's1.1', cursor: '7.1000' })
    for (const [c, id] of [['old', '900-0'], ['edge', '1000-3'],
                           ['guild:7', '1001-0'], ['a+b', '1500-2']]) {
        w.network.socket.say(event(c, id))
    }
    await w.again({ resume_token: 's1.2' })
    assert.equal(w.network.socket.url, 'ws://gate.test/gateway?resume=s1.1'
                 + '&since=7.1000&at=a%2Bb=1500-2,guild:7=1001-0')
    w.network.socket.say(word('heartbeat_ack', { cursor: '7.1200' }))
    w.network.socket.say(word('heartbeat_ack', { cursor: '7.1100' }))
    await w.again()
    assert.equal(w.network.socket.url, 'ws://gate.test/gateway?resume=s1.2'
                 + '&since=7.1200&at=a%2Bb=1500-2')
})

test('at= is bounded, newest first', async () => {
    for (const [name, most] of [[n => `c${n}`, 128],
                                [n => `c${n}${'x'.repeat(90)}`, 60]]) {
        const w = world()
        await w.up()
        for (let n = 1; n <= 200; n++) {
            w.network.socket.say(event(name(n), `2000-${n}`))
        }
        await w.again()
        const at = w.network.socket.url.split('&at=')[1]
        const pairs = at.split(',')
        assert.ok(at.length <= 6144)
        assert.ok(pairs.length <= 128 && pairs.length >= Math.min(most, 50))
        assert.equal(pairs[0], `${name(200)}=2000-200`)
    }
})

test('another epoch is another Redis: lower ids are new', async () => {
    const w = world()
    const socket = await w.up()
    const list = heard(w.client, 'patch', 'resync')
    socket.say(event('a', '5000-0'))
    socket.say(word('resync', { channel: null, reason: 'epoch_changed',
                                cursor: '8.10' }))
    socket.say(event('a', '4000-0'))
    assert.deepEqual(list.map(([name]) => name), ['patch', 'resync', 'patch'])
    await w.again()
    assert.match(w.network.socket.url, /since=8\.10&at=a=4000-0$/)
})

test('without any cursor a gap is told', async () => {
    const w = world()
    await w.up({ cursor: undefined })
    const list = heard(w.client, 'resync')
    assert.equal(w.network.socket.sent.length, 0)
    await w.clock.pass(1000)
    assert.equal(w.network.socket.commands('heartbeat').length, 1,
                 'one is asked for soon')
    await w.again({ cursor: undefined })
    assert.deepEqual(list, [['resync', { channel: null,
                                         reason: 'no_cursor' }]])
})

test('a reload of the page continues, a duplicated tab does not', async () => {
    const w = world()
    await w.up({ resume_token: 's1.1' })
    w.network.socket.say(event('a', '2000-0'))
    assert.equal(w.storage.items.size, 0, 'not before it goes')
    fire(w.window, 'pagehide')
    assert.deepEqual(w.network.sockets[0].closed,
                     { code: undefined, reason: undefined })
    assert.equal(w.storage.items.size, 1)

    const next = w.create()
    assert.equal(w.storage.items.size, 0, 'taken out at once')
    await w.clock.pass(0)
    assert.match(w.network.socket.url,
                 /\?resume=s1\.1&since=7\.1000&at=a=2000-0$/)
    const list = heard(next, 'patch', 'resync')
    w.network.socket.ready()
    w.network.socket.say(event('a', '2000-0'))
    w.network.socket.say(event('a', '2001-0'))
    assert.equal(list.length, 1)

    w.create()
    await w.clock.pass(0)
    assert.equal(w.network.socket.url, 'ws://gate.test/gateway')
})

test('broken storage is no storage', async () => {
    for (const text of ['{', 'null', '7', '[]', '{"cursor":7,"at":[1,[2]]}',
                        '{"cursor":"x","at":{},"resume":1}']) {
        const w = world()
        w.client.close()
        w.storage.setItem('delta http://gate.test/gateway', text)
        w.create()
        await w.clock.pass(0)
        assert.equal(w.network.socket.url, 'ws://gate.test/gateway')
    }
    const w = world({ storage: { getItem() { throw new Error('no') } } })
    await w.up()
    fire(w.window, 'pagehide')
})

test('a page out of the cache goes on', async () => {
    const w = world()
    await w.up()
    fire(w.window, 'pagehide', { persisted: true })
    await w.clock.pass(60000)
    assert.equal(w.network.sockets.length, 1)
    fire(w.window, 'pageshow', { persisted: true })
    await w.clock.pass(0)
    assert.match(w.network.socket.url, /since=7\.1000/)
    assert.equal(w.storage.items.size, 0)
})

test('logging out leaves nothing to resume', async () => {
    const w = world()
    await w.up({ resume_token: 's1.1' })
    w.client.close()
    fire(w.window, 'pagehide')
    assert.equal(w.storage.items.size, 0)
})

test('handles share a channel and are counted', async () => {
    const w = world()
    const socket = await w.up()
    const one = w.client.subscribe('channel:7')
    const two = w.client.subscribe('channel:7')
    const [command] = socket.sent
    assert.deepEqual(socket.sent, [{ t: 'subscribe', ref: command.ref,
                                     d: { channel: 'channel:7' } }])
    assert.equal(one.state, 'subscribing')
    socket.say(word('subscribed', { channel: 'channel:7', ref: command.ref }))
    assert.equal(two.state, 'subscribed')

    const list = [heard(one, 'patch'), heard(two, 'patch')]
    socket.say(event('channel:7', '1-0'))
    socket.say(event('channel:8', '1-0'))
    assert.deepEqual(list.map(l => l.length), [1, 1])

    one.unsubscribe()
    one.unsubscribe()
    await w.clock.pass(1000)
    socket.say(event('channel:7', '2-0'))
    assert.deepEqual(list.map(l => l.length), [1, 2])
    assert.equal(socket.sent.length, 1)

    two.unsubscribe()
    w.client.subscribe('channel:7').unsubscribe()
    await w.clock.pass(499)
    assert.equal(socket.sent.length, 1, 'it lingers')
    await w.clock.pass(1)
    assert.equal(socket.commands('unsubscribe').length, 1)
})

test('what the gateway gives needs no command', async () => {
    const w = world()
    const early = w.client.subscribe('user:ben')
    const socket = await w.up()
    assert.equal(early.state, 'subscribed')
    early.unsubscribe()
    await w.clock.pass(1000)
    assert.equal(socket.sent.length, 0)
})

test('asked for while away: once, when there is a session', async () => {
    const w = world()
    w.client.subscribe('channel:7')
    await w.clock.pass(0)
    w.network.socket.open()
    w.client.subscribe('channel:8')
    assert.equal(w.network.socket.sent.length, 0)
    w.network.socket.ready()
    assert.deepEqual(w.network.socket.sent.map(c => c.d.channel),
                     ['channel:7', 'channel:8'])
})

test('a new session asks again, and says when that left a gap', async () => {
    const w = world()
    let socket = await w.up()
    const handle = w.client.subscribe('channel:7')
    const answer = more => socket.say(word('subscribed', {
        channel: 'channel:7', ref: socket.commands('subscribe')[0].ref,
        ...more }))
    const list = heard(handle, 'resync')
    answer()
    socket.say(event('channel:7', '2000-0'))

    socket = await w.again()
    assert.deepEqual(socket.commands('subscribe')[0].d,
                     { channel: 'channel:7', since: '2000-0' })
    answer({ cursor: '7.1999' })
    assert.equal(list.length, 0, 'a cursor says that it replays')

    socket = await w.again()
    answer()
    assert.deepEqual(list, [['resync', { channel: 'channel:7',
                                         reason: 'resubscribed' }]])

    socket = await w.again({ session_id: 'same', channels: ['channel:7'] })
    assert.equal(socket.commands('subscribe').length, 0, 'resumed')
    assert.equal(list.length, 1)
})

test('a handle that goes, and one that comes, before the answers', async () => {
    const w = world()
    const socket = await w.up()
    const answer = (t, n) => socket.say(word(t, {
        channel: 'channel:7', reason: 'requested', ref: socket.sent[n].ref }))
    const list = heard(w.client, 'unsubscribed', 'resync')
    const sent = () => socket.sent.map(command => command.t).join(' ')

    w.client.subscribe('channel:7').unsubscribe()
    await w.clock.pass(500)
    answer('subscribed', 0)
    assert.equal(sent(), 'subscribe unsubscribe', 'nobody wants it')
    answer('unsubscribed', 1)

    const one = w.client.subscribe('channel:7')
    answer('subscribed', 2)
    one.unsubscribe()
    await w.clock.pass(500)
    const two = w.client.subscribe('channel:7')
    answer('unsubscribed', 3)
    assert.equal(two.state, 'subscribing')
    answer('subscribed', 4)
    assert.equal(two.state, 'subscribed')
    assert.equal(sent(),
        'subscribe unsubscribe subscribe unsubscribe subscribe')
    assert.deepEqual(list, [])
})

test('many channels are asked for slowly enough', async () => {
    const w = world()
    w.network.acks = true
    const socket = await w.up()
    for (let n = 0; n < 100; n++) w.client.subscribe(`channel:${n}`)
    assert.equal(socket.commands('subscribe').length, 60)
    await w.clock.pass(7000)
    assert.equal(socket.commands('subscribe').length, 70)
    await w.clock.pass(30000)
    assert.equal(socket.commands('subscribe').length, 100)
})

test('refused, revoked, granted', async () => {
    const w = world()
    const socket = await w.up()
    const list = heard(w.client, 'error', 'subscribed', 'unsubscribed',
                       'resync')
    const handle = w.client.subscribe('channel:9')
    const states = heard(handle, 'state')
    socket.say(word('error', { code: 'forbidden', message: 'No.',
                               ref: socket.sent[0].ref }))
    assert.equal(handle.state, 'unsubscribed')
    assert.deepEqual(states[0][1],
                     { state: 'unsubscribed', reason: 'forbidden' })

    socket.say(word('unsubscribed', { channel: 'user:ben',
                                      reason: 'revoked' }))
    socket.say(word('subscribed', { channel: 'guild:7' }))
    assert.deepEqual(list.slice(-3), [
        ['unsubscribed', { channel: 'user:ben', reason: 'revoked' }],
        ['subscribed', { channel: 'guild:7' }],
        ['resync', { channel: 'guild:7', reason: 'granted' }],
    ])

    list.length = 0
    await w.again({ channels: ['guild:7', 'guild:8'] })
    await w.again({ channels: ['guild:8'] })
    assert.deepEqual(list, [
        ['subscribed', { channel: 'guild:8' }],
        ['resync', { channel: 'guild:8', reason: 'granted' }],
        ['unsubscribed', { channel: 'guild:7', reason: 'membership' }],
    ], 'also while we were away')
})

test('unavailable is asked again', async () => {
    const w = world()
    const socket = await w.up()
    w.client.subscribe('channel:9')
    socket.say(word('error', { code: 'unavailable', message: 'Later.',
                               ref: socket.sent[0].ref }))
    await w.clock.pass(2000)
    assert.equal(socket.commands('subscribe').length, 2)
})

test('an event stream names its channels in the URL', async () => {
    const w = world({ WebSocket: null })
    const ready = channels => w.network.last.write('data: '
        + JSON.stringify(word('ready', { session_id: 'a', cursor: '7.1',
                                         channels })) + '\n\n')
    await w.clock.pass(0)
    w.network.last.stream()
    await w.clock.pass(0)
    ready([])
    await w.clock.pass(0)
    const one = w.client.subscribe('channel:7')
    const two = w.client.subscribe('channel:8')
    await w.clock.pass(50)
    assert.equal(w.network.last.url.split('?')[1],
                 'since=7.1&subscribe=channel%3A7%2Cchannel%3A8')
    w.network.last.stream()
    await w.clock.pass(0)
    ready(['channel:7'])
    await w.clock.pass(10000)
    assert.deepEqual([one.state, two.state], ['subscribed', 'unsubscribed'],
                     'a gateway that does not know the argument')
    assert.equal(w.network.fetches.length, 2)

    const three = w.client.subscribe('channel:9')
    const four = w.client.subscribe('channel:5')
    const refused = []
    w.client.on('error', ({ code, channel }) => refused.push([code, channel]))
    await w.clock.pass(50)
    const say = d => w.network.last.write(`data: ${JSON.stringify(d)}\n\n`)
    assert.match(w.network.last.url, /channel%3A9%2Cchannel%3A5$/)
    const place = name => new URL(w.network.last.url).searchParams
        .get('subscribe').split(',').indexOf(name)
    w.network.last.stream()
    await w.clock.pass(0)
    ready(['channel:7'])
    say(word('subscribed', { channel: 'channel:9', ref: place('channel:9') }))
    say(word('error', { code: 'forbidden', message: 'No.',
                        ref: place('channel:5') }))
    await w.clock.pass(0)
    assert.deepEqual([three.state, four.state], ['subscribed', 'unsubscribed'])
    assert.ok(refused.some(([code, channel]) =>
        code === 'forbidden' && channel === 'channel:5'))
})

test('a backend can ask to fetch anew', async () => {
    const w = world()
    const socket = await w.up()
    const list = heard(w.client.subscribe('user:ben'), 'resync')
    socket.say(event('user:ben', '9-0', { reason: 'import' }, 'resync'))
    assert.deepEqual(list, [['resync', { channel: 'user:ben',
                                         reason: 'import' }]])
})

test('status is said again to a new session, not to a resumed one',
     async () => {
    const w = world()
    w.client.status('coding', 'vscode')
    const said = socket => socket.commands('status').map(c => c.d)
    assert.deepEqual(said(await w.up({ session_id: 'a' })),
                     [{ status: 'coding', project: 'vscode' }])
    assert.deepEqual(said(await w.again({ session_id: 'a' })), [])
    const socket = await w.again({ session_id: 'b' })
    assert.equal(said(socket).length, 1)
    socket.say(word('error', { code: 'no_presence', message: '' }))
    assert.deepEqual(said(await w.again({ session_id: 'c' })), [])
})

test('seen: by the event, by the cursor, or not in time', async () => {
    const w = world()
    w.network.acks = true
    const socket = await w.up()
    const done = {}
    const wait = (name, ...args) =>
        w.client.seen(...args).then(seen => { done[name] = seen })

    wait('none', null)
    wait('covered', '1000-5')
    wait('exact', '2000-1')
    wait('channel', '2000-1', { channel: 'b' })
    wait('later', '3000-0')
    wait('late', '9000-0', { timeout: 1000 })
    await w.clock.pass(0)
    assert.deepEqual(done, { none: true, covered: true })
    socket.say(event('a', '2000-1'))
    await w.clock.pass(0)
    assert.equal(done.exact, true)
    assert.equal(done.channel, undefined)
    socket.say(event('b', '2000-2'))
    await w.clock.pass(2000)
    assert.equal(done.channel, true)
    assert.equal(done.late, false)
    assert.equal(socket.commands('heartbeat').length, 1, 'asks for a cursor')
    await w.clock.pass(1500)
    assert.equal(socket.commands('heartbeat').length, 2, 'again, if it must')
    socket.say(word('heartbeat_ack', { cursor: '7.3000' }))
    await w.clock.pass(0)
    assert.equal(done.later, true)
})

test('the compact shape of presence is understood', async () => {
    const w = world()
    const socket = await w.up()
    const list = heard(w.client, 'presence_update')
    socket.say({ t: 'u', id: 'ada', s: 'coding', p: 'vscode' })
    assert.deepEqual(list[0][1], { id: 'ada', s: 'coding', p: 'vscode' })
})
