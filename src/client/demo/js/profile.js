// Copyright (C) Delta contributors

import { known, presenceOf, statusOf, userAvatar } from './avatar.js'
import { dialog, h, toast } from './dom.js'
import { nameOf } from './model.js'

// For a menu: to be told, or no longer, whether somebody is here.

export function followEntry({ model: { api, follows } }, id) {
    const on = follows.has(id)
    return { label: on ? 'Unfollow' : 'Follow', icon: on ? 'eyeoff' : 'eye',
             act: () => (on ? api.unfollow : api.follow)(id).catch(
                 error => toast(error.message, 'bad')) }
}

export function profileCard(app, id) {
    const { model } = app
    const { follows } = model
    const box = h('div', { class: 'profile-card' })

    const fill = () => {
        const user = model.stores.users.get(id) ?? {}
        const presence = presenceOf(model, id)
        box.replaceChildren(...[
            userAvatar(model, id, 88, true),
            h('h3', {}, nameOf(model, id)),
            h('p', { class: 'quiet' }, `@${id} · `, known(model, id)
                ? presence?.status ?? 'offline' : statusOf(model, id),
              presence?.project ? ` · ${presence.project}` : ''),
            user.status_text ? h('p', { class: 'status' }, user.status_text)
                : '',
            id !== model.user && h('button', { type: 'button',
                class: follows.has(id) ? '' : 'solid',
                onclick: () => followEntry(app, id).act() },
                follows.has(id) ? 'Unfollow' : 'Follow'),
            h('p', { class: user.bio ? 'bio' : 'bio quiet' },
              user.bio || 'They have not said anything about themselves.'),
        ].filter(Boolean))
    }
    const off = ['users', 'presence'].map(
        store => model.stores[store].subscribe(fill))
    fill()
    dialog('Profile', box, { onclose: () => off.forEach(stop => stop()) })
}
