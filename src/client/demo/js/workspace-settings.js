// Copyright (C) Delta contributors

// What belongs to a workspace; each panel is for those who may.

import { userAvatar } from './avatar.js'
import { confirmed, h, iconButton, toast } from './dom.js'
import { nameOf, rights } from './model.js'
import { field, form, tabbed } from './tabs.js'

export const SETTINGS = ['manage_workspace', 'manage_roles', 'kick_member',
                         'ban_member', 'add_member']

const WORDS = {
    view_channel: 'See channels', send_message: 'Write messages',
    add_reaction: 'React', attach_file: 'Attach files',
    delete_message: 'Delete others’ messages',
    manage_channels: 'Manage channels',
    manage_workspace: 'Change the workspace',
    manage_roles: 'Manage roles', add_member: 'Add members',
    kick_member: 'Kick members', ban_member: 'Ban members',
}

export function workspaceSettings(app, g, first) {
    const { model } = app
    const { api, stores } = model
    const { can } = rights(model, g)
    const ends = []
    const attempt = promise => promise.catch(
        error => toast(error.message, 'bad'))

    const live = (names, element, fill) => {
        for (const name of names) ends.push(stores[name].subscribe(() => {
            if (element.isConnected) fill()
        }))
        fill()
        return element
    }

    return tabbed('Workspace settings', [
        can('manage_workspace') && ['overview', 'Overview', overview],
        can('manage_roles') && ['roles', 'Roles', roles],
        ['members', 'Members', members],
        can('ban_member') && ['bans', 'Bans', bans],
    ].filter(Boolean), { first, onclose: () => ends.forEach(end => end()) })

    function overview() {
        const guild = stores.guilds.get(g) ?? {}
        const visibility = h('select', { name: 'visibility' },
            h('option', { value: 'private' }, 'Private: by invitation'),
            h('option', { value: 'public' }, 'Public: all may join'))
        visibility.value = guild.visibility ?? 'private'
        return form([
            field('Name', 'name', guild.name,
                  { required: true, maxLength: 128 }),
            h('label', {}, 'Visibility', visibility),
            field('Description', 'description', guild.description,
                  { rows: 3, maxLength: 4096 }),
        ], 'Save', ({ name, visibility, description }) => api.settings(g, {
            name, visibility, description: description || null }))
    }

    function ordered() {
        return Object.values(stores.guilds.get(g)?.roles ?? {})
            .sort((a, b) => b.position - a.position)
    }

    function roles() {
        const list = h('div', { class: 'stack' })
        const box = h('div', { class: 'stack' },
            form([field('New role', 'name', '', { required: true,
                                                  maxLength: 128 })],
                 'Create', ({ name }) => api.createRole(g, {
                     name, permissions: [] }), { class: 'inline' }), list)

        // What is open stays open when a role changes.

        return live(['guilds'], box, () => {
            const open = new Set([...list.querySelectorAll('details[open]')]
                .map(one => one.dataset.role))
            list.replaceChildren(...ordered().map(
                role => roleOf(role, open.has(role.id))))
        })
    }

    function roleOf(role, open) {
        const all = role.id === g
        const color = h('input', { type: 'color', 'aria-label': 'Color',
            value: `#${(role.color ?? 0x888888).toString(16)
                .padStart(6, '0')}`,
            onchange: () => attempt(api.updateRole(g, role.id, {
                color: parseInt(color.value.slice(1), 16) })) })
        const name = h('input', { value: role.name, maxLength: 128,
            'aria-label': 'Name', onchange: () => attempt(
                api.updateRole(g, role.id, { name: name.value })) })
        const words = Object.entries(WORDS).map(([word, label]) =>
            h('label', { class: 'check' }, h('input', {
                type: 'checkbox', name: word,
                checked: role.permissions?.includes(word) ?? false,
                onchange: event => attempt(api.updateRole(g, role.id, {
                    permissions: [
                        ...(role.permissions ?? []).filter(w => w !== word),
                        ...event.target.checked ? [word] : []],
                })) }), label))

        return h('details', { class: 'role', 'data-role': role.id, open },
            h('summary', {}, swatch(role), all ? 'Everyone' : role.name),
            !all && h('div', { class: 'row' }, color, name,
                iconButton('up', 'Higher', () => move(role)),
                iconButton('bin', 'Delete the role',
                           () => attempt(api.deleteRole(g, role.id)))),
            h('div', { class: 'checks' }, words))
    }

    function swatch({ color }) {
        const dot = h('i', { class: 'swatch' })
        if (color) {
            dot.style.background = `#${color.toString(16).padStart(6, '0')}`
        }
        return dot
    }

    function move(role) {
        const ids = ordered().map(one => one.id).filter(id => id !== g)
        const at = ids.indexOf(role.id)
        if (at < 1) return
        ids.splice(at - 1, 0, ...ids.splice(at, 1))
        attempt(api.reorderRoles(g, ids))
    }

    function members() {
        const list = h('ul', { class: 'rows' })
        const box = h('div', { class: 'stack' },
            can('add_member') && form([field('Add a user', 'user', '',
                { required: true, maxLength: 64 })],
                'Add', ({ user }) => api.addMember(g, user.trim()),
                { class: 'inline' }), list)

        return live(['members', 'users', 'guilds'], box, () =>
            list.replaceChildren(...stores.members.all()
                .filter(m => m.guild_id === g).map(memberOf)))
    }

    function memberOf(m) {
        const guild = stores.guilds.get(g)
        const id = m.user_id
        const topmost = guild?.owner_id === id
        const given = new Set(m.role_ids ?? [])
        const chips = can('manage_roles') ? ordered()
            .filter(role => role.id !== g).map(role => h('label', {
                class: `chip ${given.has(role.id) ? 'on' : ''}` },
                h('input', { type: 'checkbox', checked: given.has(role.id),
                    'data-role': role.id, onchange: event => attempt(
                        (event.target.checked ? api.assign : api.unassign)(
                            g, role.id, id)) }), role.name)) : []
        const position = h('select', { 'aria-label': 'Position',
            onchange: () => attempt(api.updateMember(g, id, {
                role: position.value })) },
            h('option', { value: 'member' }, 'Member'),
            h('option', { value: 'moderator' }, 'Moderator'))
        position.value = m.role === 'moderator' ? 'moderator' : 'member'

        return h('li', { 'data-user': id }, userAvatar(model, id, 34),
            h('span', { class: 'who' }, h('b', {}, nameOf(model, id, g)),
              h('small', {}, topmost ? 'Owner' : `@${id}`)),
            h('span', { class: 'chips' }, chips),
            !topmost && can('manage_roles') && position,
            !topmost && can('kick_member') && iconButton('exit', 'Kick',
                () => confirmed(`Kick ${nameOf(model, id, g)}?`,
                    () => attempt(api.kick(g, id)), 'Kick')),
            !topmost && can('ban_member') && iconButton('lock', 'Ban',
                () => confirmed(`Ban ${nameOf(model, id, g)}?`,
                    () => attempt(api.ban(g, id)), 'Ban')))
    }

    function bans() {
        const users = h('ul', { class: 'rows' })
        const addresses = h('ul', { class: 'rows' })

        const load = async () => {
            const [a, b] = await Promise.all([api.bans(g), api.ipBans(g)])
            users.replaceChildren(...(a.bans ?? []).map(ban => h('li', {},
                userAvatar(model, ban.user_id, 34),
                h('span', { class: 'who' },
                  h('b', {}, nameOf(model, ban.user_id)),
                  h('small', {}, ban.reason ?? 'No reason given')),
                iconButton('bin', 'Lift the ban', () => attempt(
                    api.unban(g, ban.user_id).then(load))))))
            addresses.replaceChildren(...(b.ip_bans ?? []).map(
                ban => h('li', {}, h('span', { class: 'who' },
                    h('b', {}, ban.address),
                    h('small', {}, ban.created_at ?? '')),
                    iconButton('bin', 'Lift the ban', () => attempt(
                        api.deleteIpBan(g, ban.ban_id))))))
            for (const [rows, words] of [
                [users, 'Nobody is banned.'],
                [addresses, 'No address is banned.'],
            ]) {
                if (!rows.children.length) {
                    rows.append(h('li', { class: 'quiet' }, words))
                }
            }
        }
        for (const t of ['workspace_member_ban', 'workspace_ip_ban_sync']) {
            ends.push(model.client.on(t, d => {
                if (d.guild_id === g) attempt(load())
            }))
        }
        attempt(load())

        return h('div', { class: 'stack' }, h('h3', {}, 'Users'), users,
            h('h3', {}, 'Addresses'), addresses,
            form([field('Ban an address', 'address', '', {
                required: true, maxLength: 64, placeholder: '192.0.2.7' })],
                'Ban', ({ address }) => api.addIpBan(g, address.trim()),
                { class: 'inline' }))
    }
}
