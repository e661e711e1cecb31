// Copyright (C) Delta contributors

// All that the client takes from its surroundings, so that tests, workers and
// Node can give their own.

const none = () => {}

export function environment(options) {
    const g = globalThis
    const { timers = {}, page = {} } = options
    const { debug } = options

    return {
        WebSocket: 'WebSocket' in options ? options.WebSocket : g.WebSocket,
        fetch: options.fetch ?? g.fetch?.bind(g),
        random: options.random ?? Math.random,
        now: timers.now ?? Date.now,
        setTimeout: timers.setTimeout ?? ((f, ms) => g.setTimeout(f, ms)),
        clearTimeout: timers.clearTimeout ?? (id => g.clearTimeout(id)),
        storage: 'storage' in options ? options.storage : sessionStorage(),
        window: page.window ?? (g.addEventListener ? g : null),
        document: page.document ?? g.document ?? null,
        debug: typeof debug === 'function' ? debug
            : debug ? (...line) => console.debug('[delta]', ...line) : none,
    }
}

function sessionStorage() {
    try {
        return globalThis.document ? globalThis.sessionStorage : null
    } catch {
        return null             // a page without the right to store
    }
}
