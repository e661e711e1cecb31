// Copyright (C) Delta contributors

// Who is in the workspace, and how they are.

import { avatarSign, dotOf, known, presenceOf, userAvatar } from './avatar.js'
import { confirmed, h, keyed, menu, text, toast } from './dom.js'
import { nameOf, rights } from './model.js'
import { followEntry, profileCard } from './profile.js'

export function membersView(app) {
    const { model } = app
    const { api, stores } = model
    const here = group('Here')
    const away = group('Away')
    const others = group('Not followed', 'Whether they are here you see once '
                         + 'you follow them.')

    function group(label, note) {
        const list = h('ul', { class: 'people' })
        const head = h('h3', { class: 'label' })
        return { label, list, head, element: h('section', {}, head,
            note && h('p', { class: 'note' }, note), list) }
    }

    const tell = error => toast(error.message, 'bad')

    function open(event, m) {
        const { can } = rights(model, m.guild_id)
        const name = nameOf(model, m.user_id, m.guild_id)
        const self = m.user_id === model.user
        const topmost = stores.guilds.get(m.guild_id)?.owner_id === m.user_id
        const may = word => !self && !topmost && can(word)
        const friend = stores.friends.get(m.user_id)

        menu(event.currentTarget, [
            { label: 'Profile', icon: 'people',
              act: () => profileCard(app, m.user_id) },
            !self && followEntry(app, m.user_id),
            !self && !friend && {
                label: 'Ask to be friends', icon: 'friend',
                act: () => api.requestFriend(m.user_id).then(
                    () => toast('Asked.', 'good'), tell) },
            may('kick_member') && {
                label: 'Kick', icon: 'exit', danger: true,
                act: () => confirmed(`Kick ${name}?`, () =>
                    api.kick(m.guild_id, m.user_id).catch(tell), 'Kick') },
            may('ban_member') && {
                label: 'Ban', icon: 'lock', danger: true,
                act: () => confirmed(`Ban ${name}?`, () =>
                    api.ban(m.guild_id, m.user_id).catch(tell), 'Ban') },
        ].filter(Boolean))
    }

    function line(m) {
        const presence = presenceOf(model, m.user_id)
        const guild = stores.guilds.get(m.guild_id)
        const user = stores.users.get(m.user_id)
        const roles = (m.role_ids ?? []).map(id => guild?.roles?.[id])
            .filter(Boolean).sort((a, b) => a.position - b.position)
        const name = h('b', {}, nameOf(model, m.user_id, m.guild_id))
        if (roles[0]?.color) {
            name.style.setProperty('--role',
                `#${roles[0].color.toString(16).padStart(6, '0')}`)
            name.className = 'colored'
        }

        return h('li', {}, h('button', {
            type: 'button', 'data-f': 'member', 'data-user': m.user_id,
            'data-status': known(model, m.user_id)
                ? dotOf(presence?.status) : 'unknown',
            onclick: event => open(event, m) },
            userAvatar(model, m.user_id, 34, true),
            h('span', { class: 'who' }, h('span', {}, name,
                guild?.owner_id === m.user_id
                    && h('small', { class: 'tag' }, 'owner')),
              h('small', {}, presence?.project || user?.status_text
                || (presence && presence.status !== 'online'
                    ? presence.status : '')))))
    }

    const element = h('aside', { class: 'side', 'aria-label': 'Members' },
        h('div', { class: 'scroll' }, here.element, away.element,
          others.element))

    return {
        element,
        update() {
            const g = app.route.guild
            element.hidden = app.route.kind !== 'w'
            if (!g) return
            const all = stores.members.all().filter(m => m.guild_id === g)
                .map(m => ({ ...m, name: nameOf(model, m.user_id, g) }))
                .sort((a, b) => a.name.localeCompare(b.name))
            const part = m => !known(model, m.user_id) ? others
                : dotOf(presenceOf(model, m.user_id)?.status) !== 'offline'
                    ? here : away
            for (const one of [here, away, others]) {
                const members = all.filter(m => part(m) === one)
                text(one.head, `${one.label} — ${members.length}`)
                one.element.hidden = !members.length
                keyed(one.list, members, m => m.user_id, m => [
                    ...avatarSign(model, m.user_id),
                    stores.members.get(`${g}/${m.user_id}`),
                    stores.guilds.get(g)], line)
            }
        },
    }
}
