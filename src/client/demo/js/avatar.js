// Copyright (C) Delta contributors

import { h, hue, initials } from './dom.js'

// Only addresses that are pictures of this site or the web's.

function picture(url, version) {
    try {
        const found = new URL(url, location.href)
        if (!['http:', 'https:'].includes(found.protocol)) return null
        if (version) found.searchParams.set('v', version)
        return found
    } catch {
        return null
    }
}

export function avatar({ id, name, url, version, status, fetch },
                       size = 36) {
    const src = url && picture(url, version)
    const face = h('span', { class: 'face', 'aria-hidden': 'true' },
                   initials(name ?? id))
    const box = h('span', { class: 'avatar' }, face)

    box.style.setProperty('--size', `${size}px`)
    box.style.setProperty('--hue', hue(id))
    if (src) {
        const own = src.origin === location.origin && fetch
        const img = h('img', { src: own ? null : src.href, alt: '',
                               onerror: event => event.target.remove() })
        if (own) {
            fetch(src.pathname + src.search).then(
                address => { img.src = address }, () => img.remove())
        }
        box.append(img)
    }
    if (status) {
        box.append(h('span', { class: `dot ${status}`, title: status }))
    }
    return box
}

const DOTS = { online: 'online', offline: 'offline', idle: 'idle',
               away: 'idle', busy: 'busy' }

export const dotOf = status => DOTS[status] ?? (status ? 'online' : 'offline')

export function userAvatar(model, id, size, withStatus = false) {
    const user = model.stores.users.get(id)
    return avatar({
        id, name: user?.display_name, url: user?.avatar_url,
        version: user?.avatar_version, fetch: model.picture,
        status: withStatus && known(model, id)
            && dotOf(presenceOf(model, id)?.status),
    }, size)
}

// Of those whom we do not follow the server says nothing, which is not that
// they are offline.

export const known = (model, id) => id === model.user || model.follows.has(id)

// Their status and what they are at, in words.

export function statusOf(model, id) {
    const presence = presenceOf(model, id)
    return !known(model, id) ? 'not followed'
        : presence?.project || presence?.status || 'offline'
}

// The server need not tell us our own.

export function presenceOf(model, id) {
    if (id === model.user) {
        return model.client.state === 'connected'
            ? { status: 'online', ...model.status } : undefined
    }
    return model.stores.presence.get(id)
}

export const avatarSign = (model, id) => [
    model.stores.users.get(id), presenceOf(model, id)?.status,
    presenceOf(model, id)?.project, known(model, id),
]
