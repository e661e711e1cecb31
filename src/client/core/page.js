// Copyright (C) Delta contributors

// What the page, or the worker, goes through.

export function watchPage({ window, document }, on) {
    const listening = []

    const listen = (target, name, f) => {
        target?.addEventListener?.(name, f)
        listening.push(() => target?.removeEventListener?.(name, f))
    }

    listen(window, 'online', on.wake)
    listen(window, 'offline', on.probe)
    listen(window, 'pagehide', on.hide)
    listen(window, 'pageshow', event => { if (event.persisted) on.show() })
    listen(document, 'visibilitychange', () => {
        if (document.visibilityState === 'visible') on.wake()
    })

    return () => listening.forEach(stop => stop())
}
