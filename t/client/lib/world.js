// Copyright (C) Delta contributors

// A world as docs/publishing.md has it in Redis, and before it what serves
// that to clients; all of it can fail in each way that the test asks for.

import { checksum } from '../../../src/client/world/index.js'

export function generator(seed) {
    return () => {
        seed = seed + 0x6d2b79f5 | 0
        let n = Math.imul(seed ^ seed >>> 15, 1 | seed)
        n = n + Math.imul(n ^ n >>> 7, 61 | n) ^ n
        return ((n ^ n >>> 14) >>> 0) / 2 ** 32
    }
}

const copy = value => JSON.parse(JSON.stringify(value))

export class World {
    tick = 0
    entities = new Map()
    snapshots = new Map()       // tick => as in Redis
    full = null
    log = []                    // { id, event }: what a stream can replay
    streams = new Set()
    requests = []
    delay = () => 0             // of an answer, ms
    fails = () => false         // an answer, 503
    loses = () => false         // an event, on its way to a client
    spoils = () => false        // an event, likewise
    fits = Infinity             // snapshots in one answer
    #next = 0

    constructor(clock, random, { keep = 200, archive = 20, logged = 50 } = {}) {
        Object.assign(this, { clock, random, keep, archive, logged })
    }

    get checksum() {
        return checksum(this.entities.values())
    }

    #place() {
        return { x: Math.round(this.random() * 2e6 - 1e6) / 1000,
                 y: Math.round(this.random() * 2e6 - 1e6) / 1000 }
    }

    // Some move, some come, some go.

    step({ large = false, silent = false } = {}) {
        const changes = { entityMoved: [], entityCreated: [],
                          entityRemoved: [] }
        this.tick++

        for (const entity of [...this.entities.values()]) {
            const chance = this.random()
            if (chance < .05) {
                this.entities.delete(entity.id)
                changes.entityRemoved.push(entity.id)
            } else if (chance < .5) {
                const position = this.#place()
                this.entities.set(entity.id, { ...entity, position })
                changes.entityMoved.push({ id: entity.id, position })
            }
        }
        for (let n = this.random() * 3; n > 1; n--) {
            const entity = { id: `e${++this.#next}`, type: 'npc',
                             position: this.#place() }
            this.entities.set(entity.id, entity)
            changes.entityCreated.push(entity)
        }

        const { tick, checksum: sum } = this
        this.snapshots.set(tick, copy({ tick, checksum: sum,
                                        limitedCast: changes }))
        this.snapshots.delete(tick - this.keep)
        if (!this.full || tick % this.archive === 0) this.#archive()
        if (large) this.publish({ type: 'resync', reason: 'too_large', tick })
        else this.publish({ type: 'snapshot', tick, changes, checksum: sum },
                          silent)
    }

    // The process was killed: an older state, behind a gap of numbers.

    jump(ticks) {
        const from = this.tick + 1
        this.tick += ticks
        for (const id of [...this.entities.keys()]) {
            if (this.random() < .3) this.entities.delete(id)
        }
        const to = this.tick + 1
        this.full = null
        this.publish({ type: 'resync', reason: 'gap', from, to: this.tick })
        this.step()
        return { from, to }
    }

    // It has lost even its numbers.

    restart() {
        this.tick = 0
        this.entities.clear()
        this.snapshots.clear()
        this.full = null
    }

    #archive() {
        this.full = copy({ tick: this.tick, checksum: this.checksum,
                           entities: [...this.entities.values()] })
    }

    publish(event, silent) {
        const id = `7.${this.clock.now()}-${this.log.length}`
        const one = { id, n: (this.log.at(-1)?.n ?? 0) + 1,
                      event: copy(event) }
        this.log.push(one)
        if (this.log.length > this.logged) this.log.shift()
        if (!silent) for (const stream of this.streams) stream.write(one)
    }

    fetch = async (url, { headers, signal }) => {
        const { pathname, searchParams } = new URL(url, 'http://world.test')
        this.requests.push(url)
        const ms = this.delay()
        if (ms) await new Promise(go => this.clock.setTimeout(go, ms))
        if (this.fails()) return new Response('', { status: 503 })
        if (pathname === '/events') {
            return this.#stream(headers['Last-Event-ID'], signal)
        }

        const answer = pathname === '/world/init' ? this.#init()
            : this.#range(Number(searchParams.get('from')),
                          Number(searchParams.get('to')))
        return answer ? Response.json(answer)
            : new Response('', { status: 404 })
    }

    #init() {
        return this.full && copy({
            fullState: this.full, currentTick: this.tick,
            latestSnapshot: this.snapshots.get(this.tick),
        })
    }

    #range(from, to) {
        const snapshots = []
        const missing = []
        to = Math.min(to, this.tick, from + this.fits - 1)
        for (let tick = from; tick <= to; tick++) {
            const one = this.snapshots.get(tick)
            if (one) snapshots.push(copy(one))
            else missing.push(tick)
        }
        return { snapshots, missing, from, to }
    }

    #stream(last, signal) {
        let controller
        const body = new ReadableStream({ start: c => { controller = c } })
        const text = new TextEncoder()
        const say = words => controller.enqueue(text.encode(words))
        const stream = {
            write: ({ id, event }) => {
                if (this.loses()) return
                event = copy(event)
                if (this.spoils()) event.changes?.entityMoved.pop()
                say(`id: ${id}\ndata: ${JSON.stringify(event)}\n\n`)
            },
            cut: () => {
                this.streams.delete(stream)
                try {
                    controller.error(new Error('cut'))
                } catch {
                    // it is closed
                }
            },
        }
        signal.addEventListener('abort', stream.cut)
        say('retry: 2000\n\n')
        if (last) {
            const at = this.log.findIndex(({ id }) => id === last)
            if (at < 0) {
                say('data: {"type":"resync","reason":"history_gap"}\n\n')
            } else {
                this.log.slice(at + 1).forEach(stream.write)
            }
        }
        this.streams.add(stream)
        return new Response(body, { headers: {
            'Content-Type': 'text/event-stream' } })
    }

    cut() {
        for (const stream of [...this.streams]) stream.cut()
    }
}
