// Copyright (C) Delta contributors

// The world that ticks, drawn.

import { createStateSync } from '/client/world/index.js'
import { h, text } from './dom.js'

const SIZE = 1000
const TICK_MS = 100
const STYLES = {
    npc: ['--npc', 5], tree: ['--tree', 9], stone: ['--stone', 7],
    berries: ['--berries', 6], house: ['--house', 13], mill: ['--mill', 13],
    sack: ['--sack', 5],
}

export function worldView(app) {
    const canvas = h('canvas', { class: 'world', role: 'img',
                                 'aria-label': 'A map of the world' })
    const facts = h('p', { class: 'facts' })
    const hint = h('output', { class: 'facts' })
    const legend = h('ul', { class: 'legend' })
    const element = h('section', { class: 'view view-world' },
        h('div', { class: 'world-box' }, canvas), legend, facts, hint)
    let sync = null
    let from = new Map()                // id => where it was a tick ago
    let last = new Map()                // id => where it is
    let at = 0
    let pointer = null
    let frame

    for (const kind of Object.keys(STYLES)) {
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
        text(facts, `${status} · tick ${tick ?? '–'} · ${entities.size} `
             + `visible · checksum ${sync.checksum ?? '–'} · gaps `
             + `${stats.gaps}, repaired ticks ${stats.repaired}, divergences `
             + `${stats.diverged}, loads ${stats.loads}`)
    }

    function draw(now) {
        if (!sync) return
        frame = requestAnimationFrame(draw)
        const ratio = devicePixelRatio || 1
        const width = canvas.clientWidth * ratio
        if (canvas.width !== Math.round(width)) {
            canvas.width = canvas.height = Math.round(width)
        }
        const c = canvas.getContext('2d')
        const style = getComputedStyle(canvas)
        const scale = canvas.width / SIZE
        const part = Math.min(1, (now - at) / TICK_MS)
        let nearest = null

        c.clearRect(0, 0, canvas.width, canvas.height)
        c.strokeStyle = style.getPropertyValue('--line')
        c.globalAlpha = .5
        c.beginPath()
        for (let n = 100; n < SIZE; n += 100) {
            c.moveTo(n * scale, 0)
            c.lineTo(n * scale, canvas.height)
            c.moveTo(0, n * scale)
            c.lineTo(canvas.width, n * scale)
        }
        c.stroke()
        c.globalAlpha = 1
        for (const { id, type, position } of sync.entities.values()) {
            const [color, r] = STYLES[type] ?? ['--npc', 3]
            const before = from.get(id) ?? position
            const x = before.x + (position.x - before.x) * part
            const y = before.y + (position.y - before.y) * part
            c.fillStyle = style.getPropertyValue(color)
            c.beginPath()
            if (type === 'house' || type === 'mill') {
                c.roundRect((x - r) * scale, (y - r) * scale, 2 * r * scale,
                            2 * r * scale, 4 * scale)
            } else {
                c.arc(x * scale, y * scale, r * scale * 1.2, 0, 7)
            }
            c.fill()
            if (!pointer) continue
            const away = Math.hypot(x - pointer.x, y - pointer.y)
            if (away < 25 && !(nearest?.away < away)) {
                nearest = { away, id, type, x, y }
            }
        }
        text(hint, nearest ? `${nearest.type} ${nearest.id} at `
             + `${nearest.x.toFixed(1)}, ${nearest.y.toFixed(1)}` : '')
    }

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
