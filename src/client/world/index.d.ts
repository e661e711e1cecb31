// Copyright (C) Delta contributors

import type { Client, Options } from '../index.js'

export interface WorldEntity {
    readonly id: string
    readonly type: string
    readonly position: { readonly x: number, readonly y: number }
}

export interface WorldChanges {
    entityMoved?: { id: string, position: { x: number, y: number } }[]
    entityCreated?: WorldEntity[]
    entityRemoved?: string[]
}

/** What a source says; a source of one's own must say it likewise. */
export interface SourceEvents {
    /** live: from here on nothing is missed; else from the first event on. */
    open(live?: boolean): void
    event(event: { type: string, [name: string]: unknown }): void
    lost?(): void
    failed?(error: Error): void
}
export interface Source { open(on: SourceEvents): () => void }

export interface SyncOptions extends Pick<Options,
    'fetch' | 'random' | 'timers' | 'debug' | 'credentials'
    | 'minDelay' | 'maxDelay'> {
    /** For the stream and the requests, where they need one. */
    token?: () => Promise<string | null> | string | null
    /** Take the events from a channel of this client, not from a stream. */
    client?: Client
    source?: Source
    /** An event stream that is silent for so long is dead. [75000] */
    silence?: number
}

export interface StateSyncOptions extends SyncOptions {
    /** [default] */
    world?: string
    /** Addresses. [/events, /world/init, /world/snapshots] */
    events?: string
    init?: string
    snapshots?: string
    /** So many snapshots are asked for at once. [100] */
    range?: number
    /** So many events wait for one that is missing. [512] */
    waiting?: number
}

export interface StateSync {
    readonly status: 'loading' | 'repairing' | 'live' | 'failed' | 'closed'
    readonly tick: number | null
    readonly entities: ReadonlyMap<string, WorldEntity>
    readonly checksum: string | null
    readonly stats: {
        ticks: number, duplicates: number, gaps: number, repaired: number
        diverged: number, loads: number, errors: number
    }
    /** One more tick has been applied. */
    on(name: 'tick', listener: (tick: { tick: number, changes: WorldChanges })
        => void): () => void
    /** All is new. */
    on(name: 'reset', listener: (reset: { tick: number }) => void): () => void
    on(name: 'status', listener: (status: StateSync['status'], error?: Error)
        => void): () => void
    close(): void
}

export interface SpaceObject { id: string, [name: string]: unknown }

export interface SpaceDelta {
    created?: SpaceObject[]
    updated?: SpaceObject[]
    deleted?: string[]
    timestamp?: string
}

export interface SpaceSyncOptions extends SyncOptions {
    space: string
    /** [/api/stream]; `spaceId` and `since` are added. */
    stream?: string
    /** All objects of the space; called at the start and after a resync. */
    refetch: () => Promise<SpaceObject[]>
}

export interface SpaceSync {
    readonly status: 'loading' | 'live' | 'failed' | 'closed'
    readonly items: ReadonlyMap<string, SpaceObject>
    /** Where the next catch-up begins. */
    readonly timestamp: string | null
    readonly stats: { deltas: number, refetched: number, errors: number }
    on(name: 'delta', listener: (delta: SpaceDelta) => void): () => void
    on(name: 'reset', listener: () => void): () => void
    on(name: 'status', listener: (status: SpaceSync['status'], error?: Error)
        => void): () => void
    close(): void
}

export function createStateSync(options?: StateSyncOptions): StateSync
export function createSpaceSync(options: SpaceSyncOptions): SpaceSync

/** Of what is visible, as publishers compute it. */
export function checksum(entities: Iterable<WorldEntity>): string
