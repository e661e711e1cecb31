// Copyright (C) Delta contributors

// How the connection is: state, transport, latency.

import { h, menu, text } from './dom.js'

const PING_MS = 5000
const WORDS = { connected: 'Live', connecting: 'Connecting…',
                disconnected: 'Offline' }
const TRANSPORTS = { websocket: 'WebSocket', sse: 'Event stream' }

export function connectionPill(app) {
    const { client } = app.model
    const state = h('b')
    const how = h('span', { class: 'more how' })
    const more = h('span', { class: 'more' })
    const element = h('button', {
        type: 'button', class: 'pill', 'aria-label': 'Connection',
        'aria-haspopup': 'menu', onclick: details,
    }, h('i', { class: 'lamp' }), state, how, more)

    client.on('latency', () => update())
    client.on('ready', () => client.ping())
    const timer = setInterval(() => {
        if (!element.isConnected) return clearInterval(timer)
        if (document.visibilityState === 'visible') client.ping()
    }, PING_MS)

    function details() {
        const { session, stats, connection } = client
        const rows = {
            Session: session?.session_id ?? '–',
            Channels: session?.channels?.length ?? 0,
            'Events received': stats.received,
            'Duplicates dropped': stats.duplicates,
            'Unknown types': stats.unknown_received,
            'Rejected': stats.parse_rejected,
            'Connected': stats.connects === 1 ? 'once'
                : `${stats.connects} times`,
            'Last close': connection.code ?? '–',
        }
        menu(element, [
            { node: h('dl', { class: 'details' },
                Object.entries(rows).map(([name, value]) =>
                    [h('dt', {}, name), h('dd', {}, String(value))])) },
            { label: 'Log out', icon: 'exit', act: () => app.logout() },
        ])
    }

    function update() {
        const { state: now, transport } = client.connection
        const { latency } = client
        element.dataset.state = now
        element.dataset.transport = transport ?? ''
        text(state, WORDS[now])
        text(how, now === 'connected' ? TRANSPORTS[transport] : '')
        text(more, now === 'connected' && transport === 'websocket'
            && latency !== null ? `${Math.max(1, latency)} ms` : '')
        element.title = client.connection.reason ?? ''
    }

    return { element, update }
}
