// Copyright (C) Delta contributors

// The channels of a workspace, its menu, and one's own line at the bottom.

import { avatarSign, dotOf, presenceOf, userAvatar } from './avatar.js'
import { channelSettings, newChannel } from './channel-settings.js'
import { clientSettings } from './client-settings.js'
import { confirmed, h, icon, iconButton, keyed, menu, text, toast }
    from './dom.js'
import { nameOf, rights } from './model.js'
import { SETTINGS, workspaceSettings } from './workspace-settings.js'

const STATUSES = [['online', 'Online'], ['idle', 'Away'], ['busy', 'Busy'],
                  ['coding', 'Coding']]

export function channelRail(app) {
    const { model } = app
    const name = h('span', { class: 'name' })
    const head = h('button', { type: 'button', class: 'workspace-button',
                               'aria-haspopup': 'menu',
                               'aria-expanded': 'false',
                               onclick: () => open() }, name, icon('down'))
    const list = h('ul', { class: 'channels' })
    const add = iconButton('plus', 'New channel',
                           () => newChannel(app, app.route.guild))
    const label = h('div', { class: 'label' }, h('span', {}, 'Channels'), add)
    const empty = h('p', { class: 'quiet pad' })
    const account = h('div', { class: 'account-user' })

    function open() {
        const g = app.route.guild
        const { owner, can } = rights(model, g)
        menu(head, [
            can(...SETTINGS) && { label: 'Workspace settings', icon: 'gear',
                         act: () => workspaceSettings(app, g) },
            { label: 'Copy the workspace’s id', icon: 'friend',
              act: () => navigator.clipboard?.writeText(g).then(
                  () => toast(`Copied: ${g}`)) },
            !owner && { label: 'Leave workspace', icon: 'exit', danger: true,
                        act: () => confirmed('Leave this workspace?',
                            () => model.api.leave(g).catch(tell), 'Leave') },
        ].filter(Boolean))
    }

    const tell = error => toast(error.message, 'bad')

    function line(c) {
        const here = app.route.channel === c.id
        const { can } = rights(model, c.guild_id)
        return h('li', { class: here ? 'here' : '' },
            h('a', { href: `#/w/${encodeURIComponent(c.guild_id)}/`
                           + encodeURIComponent(c.id),
                     onclick: () => app.show('main'),
                     'data-f': 'channel', 'aria-current': here && 'page' },
              icon(c.kind === 'voice' ? 'voice' : 'hash'),
              h('span', {}, c.name)),
            can('manage_channels') && iconButton('gear',
                `Settings of ${c.name}`, () => channelSettings(app, c.id),
                { 'data-f': 'gear' }))
    }

    function status(event) {
        const note = h('form', { class: 'status-note', onsubmit: e => {
            e.preventDefault()
            say(model.status?.status ?? 'online',
                e.target.elements.project.value.trim())
            document.querySelector('.menu')?.remove()
        } }, h('input', { name: 'project', maxLength: 64,
                          placeholder: 'What are you at?',
                          'aria-label': 'What are you at?',
                          value: model.status?.project ?? '' }))
        menu(event.currentTarget, [
            ...STATUSES.map(([id, label]) => ({
                label, dot: dotOf(id),
                now: (model.status?.status ?? 'online') === id,
                act: () => say(id, model.status?.project) })),
            { node: note },
        ])
    }

    function say(id, project) {
        model.status = { status: id, project: project || undefined }
        model.client.status(id, project || undefined)
        app.render()
    }

    return {
        element: h('nav', { class: 'channel-rail', 'aria-label': 'Channels' },
            head, h('div', { class: 'scroll' }, label, list, empty),
            h('footer', { class: 'account' }, account,
              iconButton('gear', 'Client settings',
                         () => clientSettings(app)))),
        update() {
            const g = app.route.guild
            const guild = model.stores.guilds.get(g)
            const channels = g ? app.channelsOf(g) : []
            const { can } = rights(model, g)

            text(name, guild?.name ?? (app.route.kind === 'world'
                ? 'World' : 'Delta'))
            head.disabled = !guild
            label.hidden = !guild
            add.hidden = !can('manage_channels')
            keyed(list, channels, c => c.id,
                  c => [c, app.route.channel === c.id,
                        can('manage_channels')], line)
            text(empty, guild ? channels.length ? ''
                : 'There is no channel here for you yet.'
                : app.route.kind === 'world'
                    ? 'Everything that moves here comes ten times a second, '
                      + 'as what has changed. Point at something to see '
                      + 'what it is.'
                : !app.ready ? 'Loading…'
                : model.stores.guilds.size
                    ? 'Choose a workspace on the left, or add one.'
                    : 'You are in no workspace yet: add one with the plus '
                      + 'on the left.')

            const me = presenceOf(model, model.user)
            keyed(account, [model.user], id => id,
                  id => [...avatarSign(model, id), nameOf(model, id)],
                  id => h('button', { type: 'button', class: 'account-button',
                                      'aria-label': 'Your status',
                                      'data-f': 'me', onclick: status },
                      userAvatar(model, id, 34, true),
                      h('span', { class: 'who' },
                        h('b', {}, nameOf(model, id)),
                        h('small', {}, me?.project || me?.status
                          || 'offline'))))
            if (guild && app.route.channel) {
                (model.last ??= {})[g] = app.route.channel
            }
        },
    }
}
