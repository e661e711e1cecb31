// Copyright (C) Delta contributors

// The state of the application, kept current by the events of a client.

import { reducers } from './reducers.js'
import { Store } from './store.js'

export { merge } from './merge.js'
export { Store } from './store.js'

const RETRY_MS = 1000
const RETRY_MAX = 30000

export const createStores = (client, options) => new Stores(client, options)

class Stores {
    users = new Store()
    guilds = new Store()
    members = new Store()
    channels = new Store()
    presence = new Store()
    friends = new Store()
    #client
    #refetch
    #setTimeout
    #running = new Map()        // channel or null => a refetch under way
    #off

    constructor(client, { refetch, messages = 5000,
                          setTimeout = globalThis.setTimeout } = {}) {
        this.messages = new Store({ limit: messages })
        this.#client = client
        this.#refetch = refetch
        // a browser's refuses to be anybody else's method
        this.#setTimeout = (f, ms) => setTimeout(f, ms)
        this.#off = [
            ...Object.keys(reducers).map(t => client.on(t, (d, message) =>
                this.#event(t, d, message.c ?? null))),
            client.on('resync', resync => this.#resync(resync)),
            client.on('unsubscribed', gone => this.#unsubscribed(gone)),
        ]
    }

    me() {
        return this.#client.session?.user_id
    }

    patchUser(id, diff) {
        this.users.patch(id, diff)
    }

    patchGuild(id, diff) {
        this.guilds.patch(id, diff)
    }

    // The id of a member is <guild>/<user>.

    patchMember(id, diff) {
        this.members.patch(id, diff)
    }

    forgetChannel(id) {
        this.channels.remove(id)
        this.messages.removeIf(message => message.channel_id === id)
    }

    forgetGuild(id) {
        const own = one => one.guild_id === id
        for (const channel of this.channels.all().filter(own)) {
            this.forgetChannel(channel.id)
        }
        this.messages.removeIf(own)
        this.members.removeIf((member, key) => key.startsWith(`${id}/`))
        this.guilds.remove(id)
    }

    // As after a resync, when something is to be known that never was.

    async fetch(channel = null) {
        this.#resync({ channel, reason: 'asked' })
        await this.#running.get(channel)?.done
    }

    // Resolves when no refetch is under way.

    async settled() {
        while (this.#running.size) {
            await Promise.all([...this.#running.values()].map(r => r.done))
        }
    }

    close() {
        this.#off.forEach(off => off())
        this.closed = true
    }

    #event(t, d, channel) {
        for (const [scope, { missed }] of this.#running) {
            if (scope === null || scope === channel) missed.push([t, d])
        }
        this.#reduce(t, d)
    }

    // A payload that is not what the reducer expects spoils nothing else.

    #reduce(t, d) {
        try {
            reducers[t](this, d)
        } catch (error) {
            console.error(error)
        }
    }

    // The answer of a refetch may be older than events that came meanwhile:
    // they are applied again on top of it.

    #resync(resync) {
        const { channel } = resync
        const running = this.#running.get(channel)
        if (!this.#refetch) return
        if (running) {
            running.again = resync
            return
        }
        const one = { missed: [] }
        this.#running.set(channel, one)
        one.done = this.#fetch(one, resync)
    }

    async #fetch(one, resync) {
        for (let delay = RETRY_MS; !this.closed;) {
            try {
                one.missed = []
                await this.#refetch(resync, this)
                one.missed.forEach(([t, d]) => this.#reduce(t, d))
                if (!one.again) break
                resync = one.again
                one.again = undefined
            } catch (error) {
                console.error(error)
                await new Promise(go => this.#setTimeout(go, delay))
                delay = Math.min(delay * 2, RETRY_MAX)
            }
        }
        this.#running.delete(resync.channel)
    }

    // What we may not see any more is not kept to be shown.

    #unsubscribed({ channel }) {
        const [kind, id] = channel.split(/:(.*)/s)
        if (kind === 'guild') this.forgetGuild(id)
        else if (kind === 'channel') this.forgetChannel(id)
    }
}
