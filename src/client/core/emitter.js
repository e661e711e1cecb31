// Copyright (C) Delta contributors

// Listeners by name.  One that throws is reported and stops nobody else.

export class Emitter {
    #listeners = new Map()

    on(name, listener) {
        const set = this.#listeners.get(name) ?? new Set()
        this.#listeners.set(name, set.add(listener))
        return () => this.off(name, listener)
    }

    off(name, listener) {
        const set = this.#listeners.get(name)
        set?.delete(listener)
        if (!set?.size) this.#listeners.delete(name)
    }

    has(name) {
        return this.#listeners.has(name)
    }

    emit(name, ...args) {
        for (const listener of [...this.#listeners.get(name) ?? []]) {
            try {
                listener(...args)
            } catch (error) {
                console.error(error)
            }
        }
    }

    clear() {
        this.#listeners.clear()
    }
}
