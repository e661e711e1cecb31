// Copyright (C) Delta contributors

// Presence with the client, before a real nginx and Redis: status, a lost
// connection that friends do not see, a token that is used up, logout.

import assert from 'node:assert/strict'
import { after, test } from 'node:test'

import { createClient } from '../../src/client/index.js'
import { createStores } from '../../src/client/stores/index.js'
import { Redis } from './lib/redis.js'
import { WebSocket } from './lib/websocket.js'

const { env } = process
const slow = Number(env.DELTA_SLOW)
const redis = new Redis(Number(env.DELTA_REDIS))
const sockets = new Map()       // by user

function open(user) {
    class Watched extends WebSocket {
        constructor(...args) {
            super(...args)
            sockets.set(user, this)
        }
    }
    return createClient(`${env.DELTA_URL}/presence`, {
        token: env[`DELTA_TOKEN_${user.toUpperCase()}`],
        WebSocket: Watched, transports: ['websocket'],
        minDelay: 10, maxDelay: 500 })
}

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

await redis.command('SADD', 'user:eve:follows', 'dan')

const eve = open('eve')
const seen = []
eve.on('presence_update', d => seen.push(`${d.s} ${d.p ?? '-'}`))
const stores = createStores(eve)

after(() => eve.close())

test('status, cuts and logout, as a friend sees them', async () => {
    await next(eve, 'presence_sync')

    const dan = open('dan')
    dan.status('coding', 'vim')
    const coding = () => next(eve, 'presence_update', d => d.s === 'coding')
    let told = coding()
    const ready = await next(dan, 'ready')
    assert.match(ready.resume_token, /^[0-9a-f]{24}\.1$/)
    await told
    assert.equal(stores.presence.get('dan').project, 'vim')

    sockets.get('dan').cut()
    const [again, resumed] = await Promise.all(
        [next(dan, 'ready'), next(dan, 'resumed')])
    assert.equal(again.session_id, ready.session_id)
    assert.deepEqual(resumed, { replayed: 0 })
    assert.match(again.resume_token, /\.2$/)

    // its answer is lost, and with it the token
    const fresh = next(dan, 'ready')
    const [sid, gen] = again.resume_token.split('.')
    await redis.command('FCALL', 'delta_session_resume', '1',
                        'delta:{presence:dan}', 'presence:dan', sid, gen,
                        '30000', '60000')
    told = coding()
    sockets.get('dan').cut()
    assert.notEqual((await fresh).session_id, ready.session_id)
    await told

    const offline = next(eve, 'presence_update', d => d.s === 'offline')
    dan.close()
    await redis.command('FCALL', 'delta_session_leave', '1',
                        'delta:{presence:dan}', 'presence:dan', sid,
                        `${Number(gen) + 1}`, '0')
    await offline
    assert.equal(stores.presence.get('dan'), undefined)

    assert.deepEqual(seen, ['online -', 'coding vim', 'online -', 'coding vim',
                            'offline -'])
})
