// Copyright (C) Delta contributors

import type { ContractEvents } from './contract/index.js'

export type State = 'connecting' | 'connected' | 'disconnected'

export interface Connection {
    readonly state: State
    /** A close code, or the HTTP status of a refusal. */
    readonly code?: number
    readonly reason?: string
    readonly transport?: 'websocket' | 'sse'
}

/** An event as it came: `id` is its place in the log of its channel `c`. */
export interface Envelope<D = Record<string, unknown>> {
    v: 1
    t: string
    c?: string
    id?: string
    d: D
}

export interface Ready {
    user_id: string
    session_id: string
    heartbeat_ms: number
    channels: string[]
    cursor?: string
    resume_token?: string
    resume_window_ms?: number
}

/** Something is missing, or new: fetch the state anew. null: of all channels. */
export interface Resync {
    channel: string | null
    reason: 'history_gap' | 'too_many' | 'epoch_changed' | 'slow'
        | 'granted' | 'resubscribed' | 'no_cursor' | (string & {})
    cursor?: string
}

export interface CommandError {
    code: string
    message: string
    channel?: string
    ref?: string | number
}

/** Events of the client itself; every other name is a type of the wire. */
export interface ClientEvents {
    state: [Connection]
    ready: [Ready]
    resumed: [{ replayed?: number }]
    resync: [Resync]
    subscribed: [{ channel: string }]
    unsubscribed: [{ channel: string, reason: string }]
    reconnect: [{ after_ms: number }]
    /** A heartbeat was answered after so many ms. */
    latency: [number]
    error: [CommandError]
    event: [Envelope]
    /** lost: for more than `lostAfter`; then restored, or failed for good. */
    'lost-connection': ['lost' | 'restored' | 'failed']
}

/** Payloads by type: the contract's; augment it with others of your backend. */
export interface EventTypes extends ContractEvents {}

type Payload<T> = T extends keyof EventTypes ? EventTypes[T] : any
type Arguments<T> = T extends keyof ClientEvents ? ClientEvents[T]
    : [Payload<T>, Envelope<Payload<T>>]

/** One hold on a channel; the last one let go unsubscribes it. */
export interface Channel {
    readonly channel: string
    readonly state: 'subscribing' | 'subscribed' | 'unsubscribed'
    on(name: 'state', listener: (change: {
        state: Channel['state'], reason?: string
    }) => void): () => void
    on(name: 'resync', listener: (resync: Resync) => void): () => void
    on(name: 'event', listener: (event: Envelope) => void): () => void
    on<T extends string>(type: T, listener: (
        d: Payload<T>, event: Envelope<Payload<T>>) => void): () => void
    onResync(listener: (resync: Resync) => void): () => void
    /** Lets go, with all listeners of this handle; a second call is nothing. */
    unsubscribe(): void
}

export interface Stats {
    received: number
    duplicates: number
    /** Events of a type that nobody here knows. */
    unknown_received: number
    /** Messages that are no events, or that `validate` refused. */
    parse_rejected: number
    connects: number
}

export interface Options {
    /** Asked once at a time, when a token is needed or the last one ended. */
    getToken?: (context: { reason: 'connect' | 'expires' })
        => Promise<string | null> | string | null
    /** One token, for as long as it lasts. */
    token?: string
    /** [websocket, sse]: the second where the first is blocked. */
    transports?: ('websocket' | 'sse')[]
    /** Bounds of the delay between attempts, in ms. [500, 20000] */
    minDelay?: number
    maxDelay?: number
    /** After so long the delay begins anew. [10000] */
    stableAfter?: number
    /** When lost-connection says lost. [5000] */
    lostAfter?: number
    /** From an attempt to `ready`. [10000] */
    timeout?: number
    /** Of fetch(). [include] */
    credentials?: RequestCredentials
    /** Whether to connect at once. [true] */
    connect?: boolean
    /** Types that are known though nobody listens, for `unknown_received`. */
    events?: readonly string[]
    /** false drops an event and counts it. */
    validate?: (event: Envelope) => boolean
    /** `decode` of delta-client/msgpack. */
    msgpack?: (bytes: Uint8Array) => unknown
    /** true: console.debug. */
    debug?: boolean | ((...line: unknown[]) => void)

    WebSocket?: unknown
    fetch?: typeof fetch
    /** For a reload of the page. [sessionStorage]; null: none. */
    storage?: Pick<Storage, 'getItem' | 'setItem' | 'removeItem'> | null
    random?: () => number
    timers?: {
        now?: () => number
        setTimeout?: (f: () => void, ms: number) => unknown
        clearTimeout?: (id: any) => void
    }
    page?: { window?: EventTarget | null, document?: EventTarget | null }
}

export interface Client {
    readonly state: State
    readonly connection: Connection
    /** What the last `ready` said. */
    readonly session: Ready | null
    readonly stats: Stats
    /** Of the last heartbeat, in ms; null: none yet, or an event stream. */
    readonly latency: number | null
    /** A heartbeat now; `latency` tells what it took. */
    ping(): void
    on<T extends string>(name: T, listener: (...args: Arguments<T>) => void):
        () => void
    off(name: string, listener: (...args: any[]) => void): void
    connect(): void
    /** Logs out (3000): friends see it at once, nothing is kept to resume. */
    close(): void
    subscribe(channel: string): Channel
    /** One's own presence; said again to each new session. */
    status(status: string, project?: string): void
    /**
     * Whether the event of this id (the Delta-Cursor of an answer) or all
     * before it has arrived in time. Without an id: true.
     */
    seen(id: string | null | undefined,
         options?: { channel?: string, timeout?: number }): Promise<boolean>
}

export function createClient(url: string, options?: Options): Client

/** To be thrown by getToken: there will be no token, do not try again. */
export class UnauthorizedError extends Error {}

/** Whether the id a is behind the id b in the log of their channel. */
export function above(a: string, b: string): boolean
