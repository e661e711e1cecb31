// Copyright (C) Delta contributors

// What events do to the stores, and what the hooks of React see of it.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'

import { createHooks } from '../../src/client/react/hooks.js'
import { Store, createStores, merge } from '../../src/client/stores/index.js'
import { event, settle, world } from './lib/fakes.js'

let seq = 0

async function stores(options) {
    const w = world()
    const socket = await w.up()
    const s = createStores(w.client, options)
    const say = (t, d, c = 'guild:1') =>
        socket.say(event(c, `5000-${++seq}`, d, t))
    return { w, s, say, socket }
}

test('merge is RFC 7396, with its examples', () => {
    for (const [target, patch, result] of [
        [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
        [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }],
        [{ a: 'b' }, { a: null }, {}],
        [{ a: 'b', b: 'c' }, { a: null }, { b: 'c' }],
        [{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
        [{ a: 'c' }, { a: ['b'] }, { a: ['b'] }],
        [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
        [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
        [['a', 'b'], ['c', 'd'], ['c', 'd']], [{ a: 'b' }, ['c'], ['c']],
        [{ a: 'foo' }, null, null], [{ a: 'foo' }, 'bar', 'bar'],
        [{ e: null }, { a: 1 }, { e: null, a: 1 }],
        [[1, 2], { a: 'b', c: null }, { a: 'b' }],
        [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
    ]) {
        const before = JSON.stringify(target)
        assert.deepEqual(merge(target, patch), result)
        assert.equal(JSON.stringify(target), before, 'nothing is changed')
    }
    const target = { a: { b: 1 }, c: { d: 1 } }
    assert.equal(merge(target, { a: { b: 1 }, x: null }), target)
    assert.equal(merge(target, { a: { b: 2 } }).c, target.c)
    merge({}, JSON.parse('{"__proto__":{"evil":1}}'))
    assert.equal({}.evil, undefined)
    assert.equal(merge({}, JSON.parse('{"__proto__":{"x":1}}')).x, undefined)
})

test('a store tells of changes, and only of those', () => {
    const store = new Store({ limit: 2 })
    let told = 0
    const stop = store.subscribe(() => told++)
    store.patch('a', { n: 1 })
    const [all] = [store.all()]
    store.patch('a', { n: 1 })
    store.remove('x')
    assert.equal(told, 1)
    assert.equal(store.all(), all)
    store.patch('a', null)
    assert.equal(told, 2)
    for (const id of ['b', 'c', 'd']) store.patch(id, {})
    assert.deepEqual(store.all().map(one => one.id), ['c', 'd'])
    stop()
    store.clear()
    assert.equal(told, 5)
})

test('row 0.3: patch a user, a guild, a member, one unknown', async () => {
    const { s, say } = await stores()
    say('patch', { entity_type: 'user', entity_id: 'ada',
                   diff: { avatar_url: 'new.png', bio: 'x' } })
    say('patch', { entity_type: 'user', entity_id: 'ada',
                   diff: { bio: null } })
    assert.deepEqual(s.users.get('ada'), { id: 'ada', avatar_url: 'new.png' })
    say('patch', { entity_type: 'guild', entity_id: '1', diff: { name: 'N' } })
    assert.equal(s.guilds.get('1').name, 'N')
    say('patch', { entity_type: 'member', entity_id: '1/ada', guild_id: '1',
                   user_id: 'ada', diff: { nick: 'A' } })
    assert.deepEqual(s.members.get('1/ada'),
        { id: '1/ada', guild_id: '1', user_id: 'ada', nick: 'A' })
    say('patch', { entity_type: 'world', entity_id: '1', diff: {} })
    s.patchMember('1/ada', null)
    assert.equal(s.members.size, 0)
})

test('each event of the contract changes what it is about', async t => {
    t.mock.method(console, 'error', () => {})
    const { events } = JSON.parse(readFileSync(new URL(
        '../../conf/events.json', import.meta.url)))
    const others = ['ready', 'resumed', 'subscribed', 'unsubscribed',
        'heartbeat_ack', 'authenticated', 'error', 'reconnect', 'resync',
        'space_delta', 'snapshot']          // not of stores
    const removes = /_(?:delete|remove|ban)$/

    for (const [type, { example }] of Object.entries(events)) {
        if (others.includes(type)) continue
        const { s, say } = await stores()
        const all = ['users', 'guilds', 'members', 'channels', 'messages',
                     'presence', 'friends']
        const now = () => JSON.stringify(all.map(name => s[name].all()))

        // what it may be about, for what takes away
        if (removes.test(type)) {
            s.members.set(`${example.guild_id}/${example.user_id}`, {})
            s.channels.set(example.channel_id, {})
            s.messages.set(example.message_id, {
                attachments: { [example.attachment_id]: {} } })
            s.friends.set(example.user_id, {})
            s.guilds.set(example.guild_id, {
                id: example.guild_id, roles: { [example.role_id]: {} } })
        }
        const before = now()
        say(type, example)
        assert.notEqual(now(), before, type)
        const once = now()
        say(type, example)
        assert.equal(now(), once, `${type}, twice`)
    }
    assert.equal(console.error.mock.callCount(), 0)
})

test('messages: created, edited, reacted to, deleted', async () => {
    const { s, say } = await stores()
    const ids = { guild_id: '1', channel_id: '7', message_id: 'm1' }
    say('message_create', { ...ids, content: 'hi',
                            attachments: [{ attachment_id: 'y', size: 2 }] })
    say('message_create', { ...ids, message_id: 'm2',
                            message: { content: 'two' } })
    say('message_update', { ...ids, content: 'ho' })
    say('message_reaction', { ...ids, emoji: '+1', count: 2 })
    say('attachment_create', { ...ids, attachment_id: 'x', size: 3 })
    assert.equal(s.messages.get('m1').content, 'ho')
    assert.equal(s.messages.get('m2').content, 'two')
    assert.deepEqual(s.messages.get('m1').reactions, { '+1': 2 })
    assert.equal(s.messages.get('m1').attachments.x.size, 3)
    assert.equal(s.messages.get('m1').attachments.y.size, 2)
    say('attachment_delete', { ...ids, attachment_id: 'y' })
    say('message_reaction', { ...ids, emoji: '+1', count: 0 })
    say('attachment_delete', { ...ids, attachment_id: 'x' })
    assert.deepEqual(s.messages.get('m1').reactions, {})
    assert.deepEqual(s.messages.get('m1').attachments, {})
    say('message_delete', ids)
    assert.equal(s.messages.get('m1'), undefined)
})

test('roles, overrides, profiles, friends', async () => {
    const { s, say } = await stores()
    say('workspace_update', { guild_id: '1', name: 'W' })
    say('workspace_role_create', { guild_id: '1', role_id: 'r', name: 'Mod' })
    say('workspace_role_create', { guild_id: '1', role_id: 'q', name: 'Q' })
    say('workspace_role_reorder', { guild_id: '1', role_ids: ['q', 'r'] })
    assert.equal(s.guilds.get('1').roles.r.position, 1)
    assert.equal(s.guilds.get('1').roles.r.name, 'Mod')
    say('workspace_role_delete', { guild_id: '1', role_id: 'q' })
    assert.deepEqual(Object.keys(s.guilds.get('1').roles), ['r'])

    const ids = { guild_id: '1', user_id: 'ada', role_id: 'r' }
    say('workspace_member_add', { guild_id: '1', user_id: 'ada' })
    say('workspace_role_assignment_add', ids)
    say('workspace_role_assignment_add', ids)
    assert.deepEqual(s.members.get('1/ada').role_ids, ['r'])
    say('workspace_role_assignment_remove', ids)
    assert.deepEqual(s.members.get('1/ada').role_ids, [])

    say('channel_create', { guild_id: '1', channel_id: '7', name: 'c' })
    say('channel_reorder', { guild_id: '1', channel_ids: ['8', '7'] })
    assert.equal(s.channels.get('7').position, 1)
    say('workspace_channel_override_update',
        { guild_id: '1', channel_id: '7', role_id: 'r',
          allow: [], deny: ['view_channel'] })
    assert.deepEqual(s.channels.get('7').overrides.r.deny, ['view_channel'])
    say('workspace_channel_override_update',
        { guild_id: '1', channel_id: '7', role_id: 'r', allow: [], deny: [] })
    assert.deepEqual(s.channels.get('7').overrides, {})
    say('workspace_role_assignment_add', ids)
    say('workspace_role_delete', ids)
    assert.deepEqual(s.members.get('1/ada').role_ids, [], 'nobody has it')

    say('profile_update', { user_id: 'ada', bio: 'b' })
    say('profile_avatar_update', { user_id: 'ada', avatar_version: 2 })
    assert.deepEqual(s.users.get('ada'),
                     { user_id: 'ada', id: 'ada', bio: 'b', avatar_version: 2 })
    say('friend_request_create', { user_id: 'eve', status: 'pending' })
    say('friend_request_update', { user_id: 'eve', status: 'accepted' })
    assert.equal(s.friends.get('eve').status, 'accepted')
    say('friend_remove', { user_id: 'eve' })
    assert.equal(s.friends.size, 0)
})

test('presence: all, then each', async () => {
    const { s, say, socket } = await stores()
    socket.say({ v: 1, t: 'presence_sync', d: { presence: [
        { id: 'ada', s: 'online' }, { id: 'eve', s: 'offline' }] } })
    say('presence_update', { id: 'ben', s: 'coding', p: 'vim' }, 'presence:ben')
    assert.deepEqual(s.presence.all().map(one => one.id), ['ada', 'ben'])
    assert.equal(s.presence.get('ben').project, 'vim')
    say('presence_update', { id: 'ben', s: 'offline' }, 'presence:ben')
    assert.equal(s.presence.get('ben'), undefined)
})

test('what is taken away is not shown any longer', async () => {
    const { s, say, socket } = await stores()
    const fill = () => {
        say('workspace_update', { guild_id: '1', name: 'W' })
        say('workspace_member_add', { guild_id: '1', user_id: 'ada' })
        say('channel_create', { guild_id: '1', channel_id: '7' })
        say('message_create', { channel_id: '7', message_id: 'm' })
    }
    const sizes = () => [s.guilds, s.members, s.channels, s.messages]
        .map(store => store.size)

    fill()
    say('workspace_member_remove', { guild_id: '1', user_id: 'ada' })
    assert.deepEqual(sizes(), [1, 0, 1, 1])
    say('workspace_member_ban', { guild_id: '1', user_id: 'ben' })
    assert.deepEqual(sizes(), [0, 0, 0, 0], 'oneself')

    fill()
    socket.say({ v: 1, t: 'subscribed', d: { channel: 'channel:7' } })
    socket.say({ v: 1, t: 'unsubscribed',
                 d: { channel: 'channel:7', reason: 'revoked' } })
    assert.deepEqual(sizes(), [1, 1, 0, 0])
})

test('a payload that makes no sense spoils nothing', async t => {
    t.mock.method(console, 'error', () => {})
    const { s, say } = await stores()
    say('message_reaction', {})
    say('patch', { entity_type: 'constructor', entity_id: 'x', diff: {} })
    say('channel_reorder', { channel_ids: 7 })
    say('patch', { entity_type: 'user', entity_id: 'ada', diff: { a: 1 } })
    assert.equal(s.users.get('ada').a, 1)
})

test('row 3.10: refetch, and what came meanwhile is on top',
     async t => {
    t.mock.method(console, 'error', () => {})
    const asked = []
    const { s, say, socket } = await stores({
        setTimeout(f) {
            assert.equal(this, undefined, 'as browsers want it')
            return Promise.resolve().then(f)
        },
        refetch: ({ channel }) => new Promise((resolve, reject) =>
            asked.push({ channel, resolve, reject })),
    })
    const resync = channel => socket.say({
        v: 1, t: 'resync', d: { channel, reason: 'too_many' } })
    const rename = (name, id = '1') => say('patch', {
        entity_type: 'guild', entity_id: id, diff: { name } }, `guild:${id}`)

    resync('guild:1')
    rename('newer')
    rename('other', '2')
    s.guilds.set('1', { id: '1', name: 'from before', size: 1 })
    s.guilds.set('2', { id: '2', name: 'not touched' })
    asked[0].resolve()
    await s.settled()
    assert.deepEqual(s.guilds.get('1'), { id: '1', name: 'newer', size: 1 })
    assert.equal(s.guilds.get('2').name, 'not touched')

    resync(null)
    resync(null)
    resync(null)
    asked[1].reject(new Error('503'))
    await settle()
    asked[2].resolve()
    await settle()
    assert.equal(asked.length, 4, 'one at a time, and once more at the end')
    asked[3].resolve()
    await s.settled()
})

test('hooks see the entity, and the same one until it changes', async () => {
    const { w, s } = await stores()
    let read, told = 0
    const hooks = createHooks({
        useCallback: f => f,
        useSyncExternalStore: (subscribe, get) => {
            read = get
            subscribe(() => told++)
            return get()
        },
    })

    s.patchUser('ada', { name: 'Ada', tags: { a: 1 } })
    assert.equal(hooks.useEntity(s.users, 'ada', u => u?.name), 'Ada')
    assert.equal(hooks.useEntity(s.users, 'ada'), s.users.get('ada'))
    const before = read()
    s.patchUser('ada', { name: 'Ada' })
    assert.equal(told, 0)
    assert.equal(read(), before)
    s.patchUser('ada', { name: 'A.' })
    assert.equal(told, 2)
    assert.notEqual(read(), before)

    assert.equal(hooks.useEntities(s.users), hooks.useEntities(s.users))
    assert.equal(hooks.usePresence(s, 'eve').status, 'offline')
    assert.equal(hooks.useStatus(w.client).state, 'connected')
    told = 0
    w.network.socket.end(4501)
    assert.equal(told, 1)
    assert.equal(read().code, 4501)
})
