// Copyright (C) Delta contributors

// What survives a reload of the page: written when the page goes, and taken
// out at once when it comes, as a duplicated tab gets a copy of the storage
// and must not continue the same session.

export class Memory {
    constructor(storage, key) {
        Object.assign(this, { storage, key })
    }

    take() {
        try {
            const text = this.storage?.getItem(this.key)
            this.drop()
            const saved = JSON.parse(text)
            return typeof saved === 'object' ? saved : null
        } catch {
            return null
        }
    }

    write(state) {
        try {
            this.storage?.setItem(this.key, JSON.stringify(state))
        } catch {
            // full or forbidden: the next page begins anew
        }
    }

    drop() {
        try {
            this.storage?.removeItem(this.key)
        } catch {
            // as above
        }
    }
}
