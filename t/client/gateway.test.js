// Copyright (C) Delta contributors

// The client before a real nginx and Redis, which t/65-client.t has started.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { createClient } from '../../src/client/index.js'
import { Redis } from './lib/redis.js'
import { WebSocket } from './lib/websocket.js'

const { DELTA_URL, DELTA_REDIS, DELTA_NGINX } = process.env
const url = DELTA_URL + '/gateway'
test('connects', async () => {
    const c = createClient(url, { token: process.env.DELTA_TOKEN_BEN, WebSocket, debug: (...a) => console.log('#', ...a) })
    await new Promise(r => c.on('ready', r))
    const r = new Redis(DELTA_REDIS)
    await r.command('SADD', 'user:ben:channels', '7')
    const ch = c.subscribe('channel:7')
    await new Promise(f => ch.on('state', f))
    await new Promise(async f => { c.on('patch', f); await r.publish('channel:7', 'patch', {n: 1}) })
    process.kill(Number(DELTA_NGINX), 'SIGHUP')
    await new Promise(f => ch.onResync(f))
    r.close()
    c.close()
})
