// Copyright (C) Delta contributors

// Entities of one kind by id.  Each is frozen in time: a change makes a new
// object, and tells those who listen.

import { merge } from './merge.js'

export class Store {
    #entities = new Map()
    #listeners = new Set()
    #list = null
    #limit

    // limit: so many entities, then those that came first are let go

    constructor({ limit = Infinity } = {}) {
        this.#limit = limit
    }

    get size() {
        return this.#entities.size
    }

    get = id => this.#entities.get(id)

    // The same array until something changes.

    all = () => this.#list ??= [...this.#entities.values()]

    // Both for React's useSyncExternalStore, too.

    subscribe = listener => {
        const own = () => listener()
        this.#listeners.add(own)
        return () => this.#listeners.delete(own)
    }

    // A merge patch; an unknown entity is made of it.  null removes.

    patch(id, diff) {
        if (diff === null) return this.remove(id)
        const before = this.get(id)
        this.#put(id, before, merge(before ?? { id }, diff))
    }

    set(id, entity) {
        this.#put(id, this.get(id), entity)
    }

    // All of them anew, as [id, entity].

    replace(entries) {
        this.#entities = new Map(entries)
        this.#changed()
    }

    remove(id) {
        if (this.#entities.delete(id)) this.#changed()
    }

    removeIf(test) {
        for (const [id, entity] of this.#entities) {
            if (test(entity, id)) this.remove(id)
        }
    }

    clear() {
        this.replace([])
    }

    #put(id, before, entity) {
        if (entity === before) return
        this.#entities.set(id, entity)
        if (this.#entities.size > this.#limit) {
            this.#entities.delete(this.#entities.keys().next().value)
        }
        this.#changed()
    }

    #changed() {
        this.#list = null
        for (const listener of [...this.#listeners]) listener()
    }
}
