// Copyright (C) Delta contributors

// What is visible of a world behind a tick, with its checksum kept beside it:
// the sum over all entities, so that a change costs what it changes.

// FNV-1a of the text, then MurmurHash3's finish: see docs/publishing.md.

function part({ id, type, position: { x, y } }) {
    const text = `${id}:${type}:${Math.round(x * 1000)}:${Math.round(y * 1000)}`
    let h = 0x811c9dc5
    for (let i = 0; i < text.length; i++) {
        h = Math.imul(h ^ text.charCodeAt(i), 0x01000193)
    }
    h = Math.imul(h ^ h >>> 16, 0x85ebca6b)
    h = Math.imul(h ^ h >>> 13, 0xc2b2ae35)
    return h ^ h >>> 16
}

const written = sum => sum.toString(16).padStart(8, '0')

export function checksum(entities) {
    let sum = 0
    for (const entity of entities) sum = sum + part(entity) >>> 0
    return written(sum)
}

export class WorldState {
    entities = new Map()        // id => { id, type, position }
    tick = 0
    #sum = 0

    constructor({ tick, entities }) {
        this.tick = tick
        for (const entity of entities) this.#put(entity)
    }

    get checksum() {
        return written(this.#sum)
    }

    // One tick, which must be the next.  false: it does not fit to what is
    // here, or the sum behind it is another one.

    apply({ tick, changes = {}, checksum: sum }) {
        const { entityMoved = [], entityCreated = [],
                entityRemoved = [] } = changes
        let fits = true

        for (const { id, position } of entityMoved) {
            const before = this.entities.get(id)
            if (before) this.#put({ ...before, position })
            else fits = false
        }
        entityCreated.forEach(entity => this.#put(entity))
        for (const id of entityRemoved) fits = this.#drop(id) && fits

        this.tick = tick
        return fits && (sum === undefined || sum === this.checksum)
    }

    #put({ id, type, position: { x, y }, ...more }) {
        const entity = { ...more, id, type, position: { x, y } }
        this.#drop(id)
        this.entities.set(id, entity)
        this.#sum = this.#sum + part(entity) >>> 0
    }

    #drop(id) {
        const before = this.entities.get(id)
        if (!before) return false
        this.#sum = this.#sum - part(before) >>> 0
        return this.entities.delete(id)
    }
}
