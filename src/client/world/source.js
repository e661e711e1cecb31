// Copyright (C) Delta contributors

// Where live events come from: an event stream of its own, or a channel of a
// client.  Both call open(live), event({ type, … }), lost() and failed(why).

import { Backoff } from '../core/backoff.js'
import { blocks } from '../core/sse.js'

const FINAL = [400, 403, 404, 405, 406]

// The shape of delta_envelope type, or the ordinary one.

function eventOf(text) {
    const { t, d, type = t, ...more } = JSON.parse(text)
    return { ...d ?? more, type: String(type).replace(/-/g, '_') }
}

// url: a string, or a function for each attempt.  Silence of so many ms, when
// even keep-alives fail to come, is a dead connection.

export function streamSource(env, { url, token, credentials, silence = 75000,
                                    minDelay = 500, maxDelay = 20000 }) {
    return { open }

    function open(on) {
        const backoff = new Backoff(env, minDelay, maxDelay)
        let closed = false
        let last, abort, timer, watch

        attempt()

        return () => {
            closed = true
            env.clearTimeout(timer)
            env.clearTimeout(watch)
            abort.abort()
        }

        function heard() {
            env.clearTimeout(watch)
            watch = env.setTimeout(() => abort.abort(), silence)
        }

        function block({ event, id, data }) {
            if (id) last = id
            if (closed || data === undefined) return
            if (event === 'close') {
                const { code, reason } = JSON.parse(data)
                const final = code >= 4500 || code === 1000
                throw Object.assign(new Error(reason), { final })
            }
            on.event(eventOf(data))
        }

        async function attempt() {
            let opened = false
            abort = new AbortController()
            backoff.attempted()
            heard()

            try {
                await read(() => {
                    opened = true
                    backoff.reset()
                    on.open()
                })
            } catch (error) {
                if (error.final && !closed) {
                    closed = true
                    on.failed?.(error)
                }
            }
            env.clearTimeout(watch)
            abort.abort()
            if (closed) return
            if (opened) on.lost?.()
            timer = env.setTimeout(attempt, backoff.guarded(backoff.next()))
        }

        async function read(ready) {
            const bearer = await token?.()
            const answer = await env.fetch(
                typeof url === 'function' ? url() : url, {
                    cache: 'no-store', credentials, signal: abort.signal,
                    headers: {
                        Accept: 'text/event-stream',
                        ...bearer && { Authorization: `Bearer ${bearer}` },
                        ...last && { 'Last-Event-ID': last },
                    },
                })

            if (answer.status !== 200) {
                throw Object.assign(new Error(`HTTP ${answer.status}`), {
                    status: answer.status,
                    final: FINAL.includes(answer.status),
                })
            }

            const reader = answer.body.getReader()
            const decoder = new TextDecoder()
            const feed = blocks(block)
            if (!closed) ready()

            for (;;) {
                const { done, value } = await reader.read()
                if (done || closed) return
                heard()
                feed(decoder.decode(value, { stream: true }))
            }
        }
    }
}

// The client connects again and drops what comes twice by itself.

export const channelSource = (client, channel, type) => ({
    open(on) {
        const handle = client.subscribe(channel)
        handle.on(type, d => on.event({ ...d, type }))
        handle.onResync(resync => on.event({ ...resync, type: 'resync' }))
        handle.on('state', ({ state, reason }) => {
            if (state === 'subscribed') on.open(true)
            else if (state === 'subscribing') on.lost?.()
            else on.failed?.(new Error(reason))
        })
        if (handle.state === 'subscribed') on.open(true)
        return () => handle.unsubscribe()
    },
})
