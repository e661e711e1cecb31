// Copyright (C) Delta contributors

import { avatar } from './avatar.js'
import { h } from './dom.js'

const PEOPLE = [['ada', 'Ada'], ['ben', 'Ben'], ['cleo', 'Cleo'],
                ['dan', 'Dan']]

export function loginView(enter) {
    const fault = h('p', { class: 'fault', role: 'alert' })

    const as = async (event, user) => {
        event.preventDefault()
        fault.textContent = ''
        try {
            await enter(user)
        } catch (error) {
            fault.textContent = error.message
        }
    }

    return h('div', { class: 'login' },
        h('div', { class: 'login-card' },
            h('img', { src: 'icon.svg', alt: '', width: '56', height: '56' }),
            h('h1', {}, 'Delta'),
            h('p', { class: 'quiet' }, 'Who are you? Open a second window as '
              + 'somebody else, and watch them follow each other.'),
            h('div', { class: 'people-list' }, PEOPLE.map(([id, name]) =>
                h('button', { type: 'button', name: id,
                              onclick: event => as(event, id) },
                  avatar({ id, name }, 40), name))),
            h('form', { class: 'row',
                        onsubmit: event => as(event,
                            event.target.elements.user.value.trim()) },
                h('input', { name: 'user', placeholder: 'or another name',
                             'aria-label': 'Name', autocomplete: 'username',
                             required: true, maxLength: 64 }),
                h('button', { class: 'solid' }, 'Enter')),
            fault))
}
