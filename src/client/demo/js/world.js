// Copyright (C) Delta contributors

// The world that ticks, drawn.

import { createStateSync } from '/client/world/index.js'
import { h, text } from './dom.js'
import { drawEntity, drawLabel, drawRing, ground, kinds, lookOf }
    from './world-draw.js'

const SIZE = 1000
const TICK_MS = 100
const FRAME_MS = 30
const SMALLEST = .65            // so that things can be told apart on a phone
const NEAR = 30                 // to the pointer
const still = matchMedia('(prefers-reduced-motion: reduce)')

const FACTS = ['state', 'tick', 'visible', 'checksum', 'gaps', 'repaired',
               'diverged', 'loads']
const WORDS = { failed: 'not to be had: load the page again' }

export function worldView(app) {
    const canvas = h('canvas', { class: 'world', role: 'img',
                                 'aria-label': 'A map of the world' })
    const facts = Object.fromEntries(FACTS.map(
        name => [name, h('dd', {}, '–')]))
    const hint = h('output', { class: 'hint' })
    const legend = h('ul', { class: 'legend' })
    const element = h('section', { class: 'view view-world' },
        h('div', { class: 'world-box' }, canvas), legend,
        h('dl', { class: 'facts' }, FACTS.map(name => h('div', {},
            h('dt', {}, name), facts[name]))), hint)
    let sync = null
    let from = new Map()                // id => where it was a tick ago
    let last = new Map()                // id => where it is
    let at = 0
    let pointer = null
    let frame
    let drawn = 0
    let land = null

    for (const kind of kinds) {
        legend.append(h('li', { 'data-kind': kind }, h('i'), kind))
    }
    canvas.addEventListener('pointermove', ({ offsetX: x, offsetY: y }) => {
        pointer = { x: x / canvas.clientWidth * SIZE,
                    y: y / canvas.clientHeight * SIZE }
    })
    canvas.addEventListener('pointerleave', () => { pointer = null })

    function start() {
        sync = createStateSync()
        sync.on('tick', ({ changes }) => {
            from = new Map((changes.entityMoved ?? []).map(
                ({ id, position }) => [id, last.get(id) ?? position]))
            at = performance.now()
            remember(changes)
            tell()
        })
        sync.on('reset', () => {
            from = new Map()
            last = new Map([...sync.entities].map(
                ([id, entity]) => [id, entity.position]))
            tell()
        })
        sync.on('status', tell)
        frame = requestAnimationFrame(draw)
        tell()
    }

    function remember({ entityMoved = [], entityCreated = [],
                        entityRemoved = [] }) {
        for (const { id, position } of [...entityMoved, ...entityCreated]) {
            last.set(id, position)
        }
        entityRemoved.forEach(id => last.delete(id))
    }

    function stop() {
        sync.close()
        sync = null
        cancelAnimationFrame(frame)
    }

    function tell() {
        const { stats, status, tick, entities } = sync
        element.dataset.status = status
        element.dataset.tick = tick ?? ''
        element.dataset.checksum = sync.checksum ?? ''
        for (const [name, value] of Object.entries({
            state: WORDS[status] ?? status, tick: tick ?? '–',
            visible: entities.size, checksum: sync.checksum ?? '–',
            gaps: stats.gaps, repaired: stats.repaired,
            diverged: stats.diverged, loads: stats.loads,
        })) text(facts[name], String(value))
    }

    function draw(now) {
        if (!sync) return
        frame = requestAnimationFrame(draw)
        if (now - drawn < FRAME_MS) return
        drawn = now

        const ratio = devicePixelRatio || 1
        const size = Math.round(canvas.clientWidth * ratio)
        const look = lookOf(canvas)
        if (canvas.width !== size) canvas.width = canvas.height = size
        if (land?.width !== size || land.color !== look.land) {
            land = Object.assign(ground(size, look), { color: look.land })
        }

        const c = canvas.getContext('2d')
        const scale = size / SIZE
        const zoom = Math.max(scale * 1.3, SMALLEST * ratio)
        const part = Math.min(1, (now - at) / TICK_MS)
        const seen = [...sync.entities.values()].map(one => between(one, part))
            .sort((a, b) => a.y - b.y)
        const near = pointer && nearest(seen)

        c.drawImage(land, 0, 0)
        for (const { id, type, x, y, moves } of seen) {
            c.save()
            c.translate(x * scale, y * scale)
            c.scale(zoom, zoom)
            if (near?.id === id) drawRing(c, type, look)
            drawEntity(c, type, look, {
                turn: still.matches ? .4 : now / 1500 % 7,
                step: moves && !still.matches ? now / 90 : 0 })
            c.restore()
        }
        if (near) {
            drawLabel(c, `${near.type} ${near.id}`, near.x * scale,
                      near.y * scale - 42 * zoom, size, look, ratio)
        }
        text(hint, near ? `${near.type} ${near.id} at ${near.x.toFixed(1)}, ${
            near.y.toFixed(1)}` : '')
    }

    function between({ id, type, position }, part) {
        const { x, y } = from.get(id) ?? position
        return { id, type, moves: from.has(id),
                 x: x + (position.x - x) * part,
                 y: y + (position.y - y) * part }
    }

    // Their middles are above their feet.

    const nearest = seen => seen
        .map(one => ({ ...one, away: Math.hypot(one.x - pointer.x,
                                                one.y - 12 - pointer.y) }))
        .filter(one => one.away < NEAR)
        .sort((a, b) => a.away - b.away)[0]

    return {
        element,
        update() {
            const here = app.route.kind === 'world'
            element.hidden = !here
            if (here && !sync) start()
            else if (!here && sync) stop()
        },
    }
}
