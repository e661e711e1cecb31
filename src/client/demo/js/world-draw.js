// Copyright (C) Delta contributors

// How a world looks: its ground, and what stands and walks on it.  Lengths are
// those of the world, around a foot that is at 0, 0.

const TURN = Math.PI * 2

const disc = (c, x, y, r, fill) => {
    c.fillStyle = fill
    c.beginPath()
    c.arc(x, y, r, 0, TURN)
    c.fill()
}

const shape = (c, fill, ...points) => {
    c.fillStyle = fill
    c.beginPath()
    points.forEach(([x, y]) => c.lineTo(x, y))
    c.closePath()
    c.fill()
}

const box = (c, x, y, width, height, r, fill) => {
    c.fillStyle = fill
    c.beginPath()
    c.roundRect(x, y, width, height, r)
    c.fill()
}

const shadow = (c, width, color) => {
    c.fillStyle = color
    c.beginPath()
    c.ellipse(0, 0, width, width * .38, 0, 0, TURN)
    c.fill()
}

// Each with the width of its shadow; look has the colors of the page, turn
// and step move what moves.

const KINDS = {
    tree: [13, (c, look) => {
        box(c, -2.5, -12, 5, 12, 2, look.wood)
        disc(c, -7, -17, 9, look.tree)
        disc(c, 7, -17, 9, look.tree)
        disc(c, 0, -25, 11, look.tree)
        disc(c, -3, -28, 4, look.shine)
    }],
    stone: [11, (c, look) => {
        shape(c, look.stone, [-10, 0], [-8, -8], [-1, -12], [7, -9], [10, 0])
        shape(c, look.shine, [-8, -8], [-1, -12], [1, -7], [-5, -4])
    }],
    berries: [9, (c, look) => {
        disc(c, -4, -5, 6, look.tree)
        disc(c, 4, -5, 6, look.tree)
        disc(c, 0, -9, 6, look.tree)
        for (const [x, y] of [[-5, -5], [0, -10], [5, -6], [0, -3]]) {
            disc(c, x, y, 2.2, look.berries)
        }
    }],
    house: [17, (c, look) => {
        box(c, -13, -16, 26, 16, 1.5, look.wall)
        shape(c, look.house, [-17, -15], [0, -31], [17, -15])
        box(c, -3, -9, 6, 9, 1, look.wood)
        box(c, 6, -12, 4, 4, 1, look.window)
        box(c, -10, -12, 4, 4, 1, look.window)
    }],
    mill: [13, (c, look, { turn }) => {
        shape(c, look.wall, [-9, 0], [-6, -27], [6, -27], [9, 0])
        shape(c, look.mill, [-8, -26], [0, -37], [8, -26])
        box(c, -2.5, -8, 5, 8, 1, look.wood)
        c.save()
        c.translate(0, -27)
        c.rotate(turn)
        for (let n = 0; n < 4; n++) {
            c.rotate(TURN / 4)
            box(c, 1, -.8, 20, 1.6, 0, look.wood)
            box(c, 6, -.8, 14, 5.5, 1, look.sail)
        }
        c.restore()
        disc(c, 0, -27, 2, look.wood)
    }],
    sack: [7, (c, look) => {
        box(c, -6, -11, 12, 11, 4, look.sack)
        shape(c, look.sack, [-4, -14], [4, -14], [2, -10], [-2, -10])
        box(c, -3, -11.5, 6, 1.6, .8, look.wood)
    }],
    npc: [6, (c, look, { step }) => {
        const lift = Math.abs(Math.sin(step)) * 2
        box(c, -3.5, -5, 3, 5 - lift / 2, 1, look.wood)
        box(c, .5, -5, 3, 5 - (2 - lift) / 2, 1, look.wood)
        box(c, -5, -14 - lift / 2, 10, 11, 4, look.npc)
        disc(c, 0, -18 - lift / 2, 4.6, look.skin)
    }],
}

export const kinds = ['npc', 'tree', 'stone', 'berries', 'house', 'mill',
                      'sack']
const COLORS = [...kinds, 'wood', 'wall', 'window', 'sail', 'skin', 'shine',
                'shade', 'land', 'meadow', 'accent', 'raised', 'ink']

export function lookOf(element) {
    const style = getComputedStyle(element)
    return Object.fromEntries(COLORS.map(
        name => [name, style.getPropertyValue(`--${name}`).trim()]))
}

export function drawEntity(c, type, look, motion) {
    const [width, draw] = KINDS[type] ?? KINDS.npc
    shadow(c, width, look.shade)
    draw(c, look, motion)
}

export function drawRing(c, type, look) {
    const [width] = KINDS[type] ?? KINDS.npc
    c.strokeStyle = look.accent
    c.lineWidth = 2.5
    c.beginPath()
    c.ellipse(0, 0, width + 7, (width + 7) * .45, 0, 0, TURN)
    c.stroke()
}

// What it is, beside the pointer, within the canvas.

export function drawLabel(c, text, x, y, size, look, ratio) {
    c.font = `600 ${12 * ratio}px system-ui, sans-serif`
    const width = c.measureText(text).width + 16 * ratio
    const height = 26 * ratio
    const left = Math.max(4, Math.min(x - width / 2, size - width - 4))
    const top = Math.max(4, y - height)
    box(c, left, top, width, height, 8 * ratio, look.ink)
    c.fillStyle = look.raised
    c.textBaseline = 'middle'
    c.fillText(text, left + 8 * ratio, top + height / 2)
}

// Meadows, the same each time: a few soft patches, and grass.

export function ground(size, look) {
    const canvas = Object.assign(document.createElement('canvas'),
                                 { width: size, height: size })
    const c = canvas.getContext('2d')
    let seed = 7
    const random = () => {
        seed = Math.imul(seed ^ seed >>> 15, 0x2c1b3c6d) + 0x9e3779b9 | 0
        return (seed >>> 0) / 2 ** 32
    }

    c.fillStyle = look.land
    c.fillRect(0, 0, size, size)
    for (let n = 0; n < 26; n++) {
        const [x, y] = [random() * size, random() * size]
        const r = size * (.08 + random() * .2)
        const soft = c.createRadialGradient(x, y, 0, x, y, r)
        soft.addColorStop(0, look.meadow)
        soft.addColorStop(1, `${look.meadow}00`)
        c.fillStyle = soft
        c.fillRect(x - r, y - r, 2 * r, 2 * r)
    }
    c.strokeStyle = look.meadow
    c.lineWidth = size / 500
    for (let n = 0; n < 240; n++) {
        const [x, y] = [random() * size, random() * size]
        const blade = size / 130
        c.beginPath()
        c.moveTo(x - blade / 3, y - blade)
        c.lineTo(x, y)
        c.lineTo(x + blade / 3, y - blade)
        c.stroke()
    }
    return canvas
}
