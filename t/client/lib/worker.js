// Copyright (C) Delta contributors

// The client in a worker of Node, without page and storage: says what it hears.

import { parentPort, workerData } from 'node:worker_threads'

import { createClient } from '../../../src/client/index.js'
import { WebSocket } from './websocket.js'

const { url, token } = workerData
const client = createClient(url, { token, WebSocket })
const say = word => parentPort.postMessage(word)

client.on('state', ({ state, transport }) => say(`${state} ${transport}`))
client.on('tick', ({ n }) => say(`tick ${n}`))
parentPort.on('message', () => {
    client.close()
    parentPort.close()
})
