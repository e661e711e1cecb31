// Copyright (C) Delta contributors

// The workspaces.

import { dialog, h, hue, icon, initials, keyed, toast } from './dom.js'

export function workspaceRail(app) {
    const { model } = app
    const list = h('ul', { class: 'workspaces' })
    const friends = entry('friends', 'Friends', 'friend')
    const world = entry('world', 'World', 'globe')

    function entry(kind, label, name) {
        return h('button', { type: 'button', class: 'tile', title: label,
                             'aria-label': label,
                             onclick: () => app.go(kind) }, icon(name))
    }

    function tile(guild) {
        const here = app.route.guild === guild.id
        const button = h('button', {
            type: 'button', class: `tile ${here ? 'here' : ''}`,
            title: guild.name, 'aria-label': guild.name, 'data-f': 'tile',
            'aria-current': here && 'page',
            onclick: () => app.go('w', guild.id, model.last?.[guild.id]),
        }, initials(guild.name))
        button.style.setProperty('--hue', hue(guild.id))
        return h('li', {}, button)
    }

    function add() {
        const attempt = async (event, act) => {
            event.preventDefault()
            try {
                await act(new FormData(event.target).get('value').trim())
                close()
            } catch (error) {
                toast(error.message, 'bad')
            }
        }
        const field = (label, button, act) => h('form', {
            class: 'stack', onsubmit: event => attempt(event, act) },
            h('label', {}, label,
              h('input', { name: 'value', required: true, maxLength: 128 })),
            h('button', { class: 'solid' }, button))
        const enter = async id => {
            await model.stores.fetch(`guild:${id}`)
            app.go('w', id)
        }
        const close = dialog('Add a workspace', h('div', { class: 'two' },
            field('A new one, called', 'Create', async name => {
                const guild = await model.api.createGuild(name)
                await enter(guild.id)
            }),
            field('The id of a public one', 'Join', async id => {
                await model.api.join(id)
                await enter(id)
            })))
    }

    return {
        element: h('nav', { class: 'rail', 'aria-label': 'Workspaces' },
            friends, h('hr'), list,
            h('button', { type: 'button', class: 'tile add',
                          title: 'Add a workspace',
                          'aria-label': 'Add a workspace', onclick: add },
              icon('plus')),
            h('span', { class: 'spring' }), world),
        update() {
            const { kind } = app.route
            friends.classList.toggle('here', kind === 'friends')
            world.classList.toggle('here', kind === 'world')
            const wishes = model.stores.friends.all().filter(f =>
                f.state !== 'accepted' && f.direction === 'incoming').length
            friends.dataset.count = wishes || ''
            keyed(list, model.stores.guilds.all(), guild => guild.id,
                  guild => [guild.name, app.route.guild === guild.id], tile)
        },
    }
}
