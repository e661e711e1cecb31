// Copyright (C) Delta contributors

// An event stream read by fetch(), which can send the token and see the
// status; EventSource can do neither.

import { refusal } from './websocket.js'

const BLOCK_MAX = 16 << 20

export function openEventStream(env, { url, token, credentials }, on) {
    const abort = new AbortController()
    let open = true

    const end = close => {
        if (!open) return
        open = false
        abort.abort()
        on.close(close)
    }

    const block = ({ event, id, data }) => {
        if (!open) return
        if (data === undefined) {
            if (id) on.cursor(id)
        } else if (event === 'close') {
            const { code, reason } = parse(data)
            end({ opened: true, code, reason })
        } else {
            on.message(() => JSON.parse(data))
        }
    }

    run()

    return {
        name: 'sse',
        send: () => false,
        close() {
            open = false
            abort.abort()
        },
    }

    async function run() {
        let opened = false
        try {
            const answer = await env.fetch(url, {
                cache: 'no-store', credentials, signal: abort.signal,
                headers: { Accept: 'text/event-stream',
                           ...token && { Authorization: `Bearer ${token}` } },
            })
            const type = answer.headers.get('Content-Type') ?? ''
            if (answer.status !== 200) {
                return end({ opened, ...refusal(env, answer) })
            }
            if (!type.startsWith('text/event-stream')) {
                return end({ opened, reason: 'It is no event stream.' })
            }

            const reader = answer.body.getReader()
            const decoder = new TextDecoder()
            const feed = blocks(block)
            opened = true

            for (;;) {
                const { done, value } = await reader.read()
                if (done || !open) break
                on.alive()
                feed(decoder.decode(value, { stream: true }))
            }
            end({ opened, code: 1006, reason: 'The stream has ended.' })
        } catch (error) {
            end({ opened, code: 1006, reason: String(error?.message ?? error) })
        }
    }
}

function parse(data) {
    try {
        return JSON.parse(data) ?? {}
    } catch {
        return {}
    }
}

// Takes text in any pieces, gives whole blocks.

export function blocks(give) {
    let rest = ''
    let block = {}

    const line = text => {
        if (text === '') {
            give(block)
            block = {}
            return
        }
        const [, name, value] = /^([^:]*)(?:: ?)?(.*)$/s.exec(text)
        if (name === 'data' && block.data !== undefined) {
            block.data += '\n' + value
        } else if (name) {
            block[name] = value
        }
    }

    return text => {
        const lines = (rest + text).split(/\r?\n/)
        rest = lines.pop()
        if (rest.length > BLOCK_MAX) throw new Error('A line has no end.')
        lines.forEach(line)
    }
}
