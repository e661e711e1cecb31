// Copyright (C) Delta contributors

// One WebSocket.  on.close comes once, with opened: false if the handshake
// failed, and never after close() of ours.

export function openWebSocket(env, { url, token, decode }, on) {
    const protocols = [...decode ? ['delta.v1.msgpack'] : [], 'delta.v1.json',
                       ...token ? [`bearer.${token}`] : []]
    const ws = new env.WebSocket(url.replace(/^http/, 'ws'), protocols)
    let opened = false

    ws.binaryType = 'arraybuffer'
    ws.onopen = () => { opened = true }
    ws.onmessage = ({ data }) => on.message(() =>
        typeof data === 'string' ? JSON.parse(data)
                                 : decode(new Uint8Array(data)))
    ws.onerror = () => {}
    ws.onclose = ({ code, reason }) => on.close({ opened, code, reason })

    return {
        name: 'websocket',
        send: text => ws.readyState === 1 && (ws.send(text), true),
        close(code, reason) {
            ws.onmessage = ws.onclose = null
            if (code && ws.readyState === 1) ws.close(code, reason)
            else ws.close()
        },
    }
}

// Scripts cannot read the status of a failed handshake; HEAD passes the same
// checks.  0 is a network that does not answer.

export async function probe(env, { url, token, credentials }) {
    try {
        const answer = await env.fetch(url, {
            method: 'HEAD', cache: 'no-store', credentials,
            headers: token ? { Authorization: `Bearer ${token}` } : {},
        })
        return refusal(env, answer)
    } catch {
        return { status: 0 }
    }
}

export function refusal(env, { status, headers }) {
    const after = headers?.get('Retry-After')
    const ms = /^\d+$/.test(after) ? after * 1000
        : Date.parse(after) - env.now()
    return { status, retryAfter: Math.max(0, ms || 0) }
}
