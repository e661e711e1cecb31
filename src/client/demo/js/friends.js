// Copyright (C) Delta contributors

// Friends, and those who are or want to be asked.

import { avatarSign, known, statusOf, userAvatar } from './avatar.js'
import { h, icon, iconButton, keyed, text, toast } from './dom.js'
import { nameOf } from './model.js'
import { profileCard } from './profile.js'

export function friendsView(app) {
    const { model } = app
    const { api, stores } = model
    const asked = part('Requests')
    const friends = part('Friends')
    const empty = h('div', { class: 'empty', hidden: true }, icon('friend'),
        h('b', {}, 'No friends here yet'),
        h('p', {}, 'Ask somebody by their name, such as ben: they see it at '
          + 'once, wherever they are.'))

    function part(label) {
        const list = h('ul', { class: 'cards' })
        const head = h('h3', { class: 'label' })
        return { label, list, head, element: h('section', {}, head, list) }
    }

    const attempt = promise => promise.catch(
        error => toast(error.message, 'bad'))

    async function ask(event) {
        event.preventDefault()
        const { user } = event.target.elements
        if (user.value.trim() === model.user) {
            return toast('You are your own friend already.', 'warn')
        }
        try {
            await api.requestFriend(user.value.trim())
            toast('Asked.', 'good')
            user.value = ''
        } catch (error) {
            toast(error.status === 400 ? 'That is nobody’s name.'
                : error.message, 'bad')
        }
    }

    function line(f) {
        const incoming = f.direction === 'incoming'
        const pending = f.state === 'pending'
        const request = f.request_id

        return h('li', { 'data-user': f.id },
            h('button', { type: 'button', class: 'plain', 'data-f': 'who',
                          onclick: () => profileCard(app, f.id) },
              userAvatar(model, f.id, 42, !pending),
              h('span', { class: 'who' }, h('b', {}, nameOf(model, f.id)),
                h('small', {}, pending
                    ? incoming ? 'asks to be friends' : 'was asked by you'
                    : statusOf(model, f.id)))),
            pending && incoming && h('button', { type: 'button',
                class: 'solid', 'data-f': 'accept',
                onclick: () => attempt(api.acceptFriend(request)) }, 'Accept'),
            pending && h('button', { type: 'button', 'data-f': 'decline',
                onclick: () => attempt(api.deleteRequest(request)) },
                incoming ? 'Decline' : 'Take back'),
            !pending && !known(model, f.id) && h('button', {
                type: 'button', 'data-f': 'follow',
                title: 'See when they are here',
                onclick: () => attempt(api.follow(f.id)) }, 'Follow'),
            !pending && iconButton('bin', `Remove ${nameOf(model, f.id)}`,
                () => attempt(api.unfriend(f.id)), { 'data-f': 'remove' }))
    }

    const element = h('section', { class: 'view view-friends scroll' },
        h('form', { class: 'row ask', onsubmit: ask },
            h('input', { name: 'user', required: true, maxLength: 64,
                         placeholder: 'Whom would you like to ask?',
                         'aria-label': 'Name of a user' }),
            h('button', { class: 'solid' }, 'Ask to be friends')),
        asked.element, friends.element, empty)

    return {
        element,
        update() {
            element.hidden = app.route.kind !== 'friends'
            if (element.hidden) return
            const all = stores.friends.all()
            const rest = all.filter(f => f.state === 'accepted')
            const pending = all.filter(f => !rest.includes(f))
            for (const [p, items] of [[asked, pending], [friends, rest]]) {
                text(p.head, `${p.label} — ${items.length}`)
                p.element.hidden = !items.length
                keyed(p.list, items.map(f => ({ state: 'pending', ...f })),
                      f => f.id, f => [...avatarSign(model, f.id),
                                       stores.friends.get(f.id)], line)
            }
            empty.hidden = !app.ready || all.length > 0
        },
    }
}
