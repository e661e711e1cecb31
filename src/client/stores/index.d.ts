// Copyright (C) Delta contributors

import type { Client, Resync } from '../index.js'

type Json = Record<string, any>

export interface Entity extends Json { id?: string }
export interface Presence {
    id: string
    status: string
    project: string | null
}

/** Entities by id; a change makes a new object, what is equal stays `===`. */
export class Store<E = Entity> {
    constructor(options?: { limit?: number })
    readonly size: number
    get(id: string): E | undefined
    all(): readonly E[]
    subscribe(listener: () => void): () => void
    /** RFC 7396; an unknown entity is made of the patch, null removes. */
    patch(id: string, diff: Json | null): void
    set(id: string, entity: E): void
    replace(entries: Iterable<[string, E]>): void
    remove(id: string): void
    removeIf(test: (entity: E, id: string) => boolean): void
    clear(): void
}

export interface StoresOptions {
    /**
     * Fetches the state of a channel (null: of all) and puts it into the
     * stores. It is repeated until it succeeds; events that come meanwhile
     * are applied again after it.
     */
    refetch?: (resync: Resync, stores: Stores) => Promise<void> | void
    /** So many messages are kept. [5000] */
    messages?: number
    setTimeout?: (f: () => void, ms: number) => unknown
}

export interface Stores {
    readonly users: Store
    readonly guilds: Store
    /** By `<guild>/<user>`. */
    readonly members: Store
    readonly channels: Store
    readonly messages: Store
    readonly presence: Store<Presence>
    readonly friends: Store
    patchUser(id: string, diff: Json | null): void
    patchGuild(id: string, diff: Json | null): void
    patchMember(id: string, diff: Json | null): void
    /** With all that hangs on it. */
    forgetChannel(id: string): void
    forgetGuild(id: string): void
    /** Calls refetch, as after a resync; null: for everything. */
    fetch(channel?: string | null): Promise<void>
    /** When no refetch is under way. */
    settled(): Promise<void>
    close(): void
}

export function createStores(client: Client, options?: StoresOptions): Stores

/** RFC 7396, leaving its arguments and equal parts as they are. */
export function merge<T>(target: T, patch: unknown): any
