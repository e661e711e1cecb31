// Copyright (C) Delta contributors

// A channel: made, renamed, opened and closed to roles, deleted.

import { confirmed, dialog, h, icon, toast } from './dom.js'
import { rights } from './model.js'
import { field, form, tabbed } from './tabs.js'

export function newChannel(app, g) {
    const kind = h('select', { name: 'kind' },
        h('option', { value: 'text' }, 'Text'),
        h('option', { value: 'voice' }, 'Voice'))
    const close = dialog('New channel', form([
        field('Name', 'name', '', { required: true, maxLength: 128,
                                    autofocus: true }),
        h('label', {}, 'Kind', kind),
    ], 'Create', async ({ name, kind }) => {
        const { api, client, stores } = app.model
        const made = await api.createChannel(g, { name, kind })
        const id = made.channel_id ?? made.id
        await client.seen(made.cursor, { timeout: 3000 })
        close()
        if (stores.channels.get(id)) app.go('w', g, id)
    }))
}

export function channelSettings(app, c) {
    const { api, client, stores } = app.model
    const channel = stores.channels.get(c)
    const g = channel.guild_id
    const ends = []

    const close = tabbed(`#${channel.name}`, [
        ['overview', 'Overview', overview],
        rights(app.model, g).can('manage_roles')
            && ['access', 'Who sees it', access],
    ].filter(Boolean), { onclose: () => ends.forEach(end => end()) })

    function overview() {
        return h('div', { class: 'stack' }, form([
            field('Name', 'name', channel.name,
                  { required: true, maxLength: 128 }),
            field('Topic', 'topic', channel.topic, { maxLength: 1024 }),
        ], 'Save', ({ name, topic }) =>
            api.updateChannel(g, c, { name, topic: topic || null })),
        h('hr'), h('button', { type: 'button', class: 'danger',
            onclick: () => confirmed(`Delete #${channel.name}?`, () => {
                close()
                api.deleteChannel(g, c).catch(
                    error => toast(error.message, 'bad'))
            }) }, icon('bin'), 'Delete the channel'))
    }

    // One word of the override is set here, the others stay.

    function access() {
        const list = h('ul', { class: 'rows' })
        let overrides = []

        const load = async () => {
            const answer = await api.overrides(g, c)
            overrides = answer.overrides ?? []
            fill()
        }

        const change = async (role, how) => {
            const { allow = [], deny = [] } = overrideOf(role)
            const other = words => words.filter(w => w !== 'view_channel')
            await api.override(g, c, role,
                [...other(allow), ...how === 'allow' ? ['view_channel'] : []],
                [...other(deny), ...how === 'deny' ? ['view_channel'] : []])
        }
        const overrideOf = role =>
            overrides.find(one => one.role_id === role) ?? {}

        const fill = () => {
            const roles = Object.values(stores.guilds.get(g)?.roles ?? {})
            list.replaceChildren(...roles
                .sort((a, b) => b.position - a.position).map(role => {
                    const { allow = [], deny = [] } = overrideOf(role.id)
                    const now = allow.includes('view_channel') ? 'allow'
                        : deny.includes('view_channel') ? 'deny' : ''
                    const name = role.id === g ? 'Everyone' : role.name
                    const select = h('select', { 'aria-label': name,
                        'data-role': role.id, onchange: () => change(
                            role.id, select.value).catch(error => {
                            toast(error.message, 'bad')
                            fill()
                        }) },
                        h('option', { value: '' }, 'As elsewhere'),
                        h('option', { value: 'allow' }, 'Sees it'),
                        h('option', { value: 'deny' }, 'Does not see it'))
                    select.value = now
                    return h('li', {}, h('b', {}, name), select)
                }))
        }
        const failed = error => toast(error.message, 'bad')
        ends.push(stores.guilds.subscribe(fill),
                  client.on('workspace_channel_override_update', d => {
                      if (d.channel_id === c) load().catch(failed)
                  }))
        load().catch(failed)
        return list
    }
}
