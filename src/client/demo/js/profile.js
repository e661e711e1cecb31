// Copyright (C) Delta contributors

import { presenceOf, userAvatar } from './avatar.js'
import { dialog, h } from './dom.js'
import { nameOf } from './model.js'

export function profileCard(app, id) {
    const { model } = app
    const box = h('div', { class: 'profile-card' })

    const fill = () => {
        const user = model.stores.users.get(id) ?? {}
        const presence = presenceOf(model, id)
        box.replaceChildren(
            userAvatar(model, id, 88, true),
            h('h3', {}, nameOf(model, id)),
            h('p', { class: 'quiet' }, `@${id} · `,
              presence?.status ?? 'offline',
              presence?.project ? ` · ${presence.project}` : ''),
            user.status_text ? h('p', { class: 'status' }, user.status_text)
                : '',
            h('p', { class: 'bio' }, user.bio || 'Nothing is said here yet.'))
    }
    const off = ['users', 'presence'].map(
        store => model.stores[store].subscribe(fill))
    fill()
    dialog('Profile', box, { onclose: () => off.forEach(stop => stop()) })
}
