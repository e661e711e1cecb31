// Copyright (C) Delta contributors

// One user's session: the client, the stores, what fills them, and who may do
// what.

import { createClient } from '/client/index.js'
import { types, validate } from '/client/contract/index.js'
import { createStores } from '/client/stores/index.js'
import { createApi } from './api.js'

const PICTURES = 200
const KEPT = 5000               // messages
const PAGES_MAX = 10            // of them that are fetched anew at once
const SETTLE_MS = 60            // several changes of rights are one refetch

const list = (answer, name) => Array.isArray(answer[name]) ? answer[name] : []
const byId = (items, key) => Object.fromEntries(
    items.map((item, position) => {
        const id = item[key] ?? item.id
        return [id, { position, ...item, id }]
    }))

// The answers' entities, as the events make them.

const asChannel = (g, c) => ({ guild_id: g, ...c, id: c.channel_id ?? c.id })
const asMessage = m => ({
    ...m, id: m.message_id ?? m.id,
    reactions: Array.isArray(m.reactions) ? Object.fromEntries(
        m.reactions.map(one => [one.emoji, one.count])) : m.reactions ?? {},
    own: new Set((Array.isArray(m.reactions) ? m.reactions : [])
        .filter(one => one.me).map(one => one.emoji)),
    attachments: Array.isArray(m.attachments)
        ? byId(m.attachments, 'attachment_id') : m.attachments ?? {},
})

export function createModel({ token, user }) {
    const api = createApi(token)
    const client = createClient('/gateway', {
        token, validate, events: types,
        debug: new URLSearchParams(location.search).has('debug'),
    })
    const stores = createStores(client, {
        messages: KEPT, refetch: resync => attempt(resync.channel) })

    // follows: whose presence we are told; pages: what is here of a channel,
    // { from: the oldest message, more, busy, fault }; fault: why a refetch
    // must be tried again

    const model = { api, client, stores, user, open: null, mine: new Set(),
                    counts: new Map(), loaded: new Set(), follows: new Set(),
                    pages: new Map(), fault: null, changed: () => {} }
    const dirty = new Map()
    let older = null            // the channel that is fetched further back
    const pictures = new Map()  // address => promise of another one

    async function attempt(channel) {
        try {
            await refetch(channel)
            model.fault = null
        } catch (error) {
            model.fault = error.message
            throw error
        } finally {
            model.changed()
        }
    }

    async function refetch(channel) {
        if (channel === null) {
            await Promise.all([loadMe(), loadGuilds(), loadFriends()])
            if (model.open) await loadMessages(model.open)
            return
        }
        const [kind, id, more] = channel.split(':')
        if (kind === 'guild') await loadGuild(id)
        else if (kind === 'channel') await loadMessages(id)
        else if (kind === 'user' && more) {
            await Promise.all([loadFriends(), loadGuilds()])
        } else if (kind === 'user') await loadUser(id)
    }

    async function loadMe() {
        stores.users.set(user, { ...await api.me(), id: user })
    }

    async function loadUser(id) {
        stores.users.set(id, { ...await api.user(id), id })
    }

    async function loadGuilds() {
        const guilds = list(await api.guilds(), 'guilds')
        const ids = new Set(guilds.map(one => one.id ?? one.guild_id))
        for (const { id } of stores.guilds.all()) {
            if (!ids.has(id)) stores.forgetGuild(id)
        }
        await Promise.all([...ids].map(loadGuild))
    }

    async function loadGuild(g) {
        try {
            const [guild, channels, members, roles] = await Promise.all([
                api.guild(g), api.channels(g), api.members(g), api.roles(g)])
            fillGuild(g, guild, list(channels, 'channels'),
                      list(members, 'members'), list(roles, 'roles'))
            await loadNames(g)
        } catch (error) {
            if (error.status !== 403 && error.status !== 404) throw error
            stores.forgetGuild(g)
        }
    }

    function fillGuild(g, guild, channels, members, roles) {
        const ids = new Set(channels.map(c => c.channel_id ?? c.id))
        const users = new Set(members.map(m => m.user_id))

        stores.guilds.set(g, { ...stores.guilds.get(g), ...guild, id: g,
                               roles: byId(roles, 'role_id') })
        for (const one of stores.channels.all()) {
            if (one.guild_id === g && !ids.has(one.id)) {
                stores.forgetChannel(one.id)
            }
        }
        channels.forEach((c, position) => {
            const one = asChannel(g, { position, ...c })
            stores.channels.set(one.id, one)
        })
        stores.members.removeIf(m => m.guild_id === g && !users.has(m.user_id))
        for (const m of members) {
            stores.members.set(`${g}/${m.user_id}`, { ...m, guild_id: g })
        }
    }

    const loadNames = g => Promise.all(stores.members.all()
        .filter(m => m.guild_id === g && !stores.users.get(m.user_id))
        .map(m => loadUser(m.user_id)))

    // As many as there were, from the newest on; or, if only that is asked,
    // those before the oldest.

    async function loadMessages(c) {
        const channel = stores.channels.get(c)
        if (!channel) return
        if (older === c) return loadOlder(channel)

        const here = stores.messages.all().filter(m => m.channel_id === c)
        const messages = []
        let more = true
        for (let n = 0; more && n < PAGES_MAX
             && (!n || messages.length < here.length); n++) {
            const answer = await api.messages(channel.guild_id, c,
                                              messages[0]?.id)
            messages.unshift(...list(answer, 'messages').map(asMessage))
            more = answer.has_more === true
        }

        const ids = new Set(messages.map(m => m.id))
        stores.messages.removeIf(m => m.channel_id === c && !ids.has(m.id))
        model.pages.set(c, { from: messages[0], more })
        await keep(c, messages)
    }

    async function loadOlder({ id: c, guild_id }) {
        const page = model.pages.get(c)
        const [oldest] = shown(model, c)
        older = null
        try {
            const answer = await api.messages(guild_id, c, oldest?.id)
            if (page !== model.pages.get(c)) return
            const messages = list(answer, 'messages').map(asMessage)
            page.from = messages[0] ?? page.from
            page.more = answer.has_more === true
            await keep(c, messages)
        } catch (error) {
            page.fault = error.status === 400
                ? 'Some of them were deleted just now.' : error.message
        } finally {
            page.busy = false
        }
    }

    async function keep(c, messages) {
        for (const { own, ...m } of messages) {
            stores.messages.set(m.id, { ...m, channel_id: c })
            noteReactions(m, own)
        }
        stores.messages.replace(stores.messages.all().slice()
            .sort(byTime).map(m => [m.id, m]))
        await nameAuthors(messages)
    }

    // By way of the stores, which apply again what happens meanwhile.

    function fetchOlder(c) {
        const page = model.pages.get(c)
        if (!page?.more || page.busy) return
        if (stores.messages.size > KEPT - 100) {
            stores.messages.removeIf(m => m.channel_id !== c)
            if (stores.messages.size > KEPT - 100) page.more = false
        }
        if (page.more) {
            page.busy = true
            page.fault = null
            older = c
            stores.fetch(`channel:${c}`)
        }
        model.changed()
    }

    function noteReactions(m, own) {
        for (const [emoji, count] of Object.entries(m.reactions)) {
            const key = `${m.id} ${emoji}`
            model.counts.set(key, count)
            if (own.has(emoji)) model.mine.add(key)
            else model.mine.delete(key)
        }
    }

    const nameAuthors = messages => Promise.all(
        [...new Set(messages.map(m => m.author_id))]
            .filter(id => id && !stores.users.get(id))
            .map(id => loadUser(id).catch(() => {})))

    async function loadFriends() {
        const [friends, requests] = await Promise.all([
            api.friends(), api.requests()])
        const all = [
            ...list(friends, 'friends').map(f => ({ ...f, state: 'accepted' })),
            ...list(requests, 'requests').map(
                r => ({ ...r, state: 'pending' })),
        ].map(f => ({ ...f, user_id: f.user_id ?? f.id }))
        stores.friends.replace(all.map(f => [f.user_id, { ...f,
                                                          id: f.user_id }]))
        await Promise.all(all.filter(f => !stores.users.get(f.user_id))
            .map(f => loadUser(f.user_id).catch(() => {})))
    }

    // A picture behind the backend's login, as an address for an image.

    function picture(url) {
        if (!pictures.has(url)) {
            pictures.set(url, api.picture(url).then(
                blob => URL.createObjectURL(blob)))
            if (pictures.size > PICTURES) {
                const [[old, address]] = pictures
                pictures.delete(old)
                address.then(URL.revokeObjectURL, () => {})
            }
        }
        return pictures.get(url)
    }

    // After a change of rights the lists are fetched anew, as no event says
    // all that follows from it.

    function soon(channel) {
        if (dirty.has(channel)) return
        dirty.set(channel, setTimeout(() => {
            dirty.delete(channel)
            stores.fetch(channel)
        }, SETTLE_MS))
    }

    for (const t of ['workspace_role_update', 'workspace_role_delete',
                     'workspace_role_reorder', 'workspace_role_assignment_add',
                     'workspace_role_assignment_remove',
                     'workspace_member_update', 'workspace_member_add',
                     'workspace_channel_override_update']) {
        client.on(t, d => soon(`guild:${d.guild_id}`))
    }
    client.on('message_reaction', ({ message_id, emoji, count,
                                     actor_user_id }) => {
        const key = `${message_id} ${emoji}`
        const before = model.counts.get(key) ?? 0
        model.counts.set(key, count)
        if (actor_user_id !== user) return
        if (count > before) model.mine.add(key)
        else if (count < before) model.mine.delete(key)
    })
    for (const t of ['friend_request_create', 'friend_request_update']) {
        client.on(t, d => {
            if (!stores.users.get(d.user_id)) {
                loadUser(d.user_id).catch(() => {})
            }
        })
    }
    client.on('message_create', m => nameAuthors([m]))

    // Whose presence comes is what the session is subscribed to.

    const follow = (change, channel) => {
        if (!channel.startsWith('presence:')) return
        model.follows[change](channel.slice('presence:'.length))
        model.changed()
    }
    client.on('ready', ({ channels }) => {
        model.follows.clear()
        channels.forEach(channel => follow('add', channel))
    })
    client.on('subscribed', ({ channel }) => follow('add', channel))
    client.on('unsubscribed', ({ channel }) => follow('delete', channel))

    // The channel that is shown; its events come only while it is.

    function watch(c) {
        if (model.open === c) return
        model.handle?.unsubscribe()
        model.handle = model.open = null
        if (!c) return
        model.open = c
        const handle = model.handle = client.subscribe(`channel:${c}`)
        const opened = () => stores.fetch(`channel:${c}`)
        handle.on('state', ({ state, reason }) => {
            if (state === 'subscribed' && !model.loaded.has(c)) {
                model.loaded.add(c)
                opened()
            }
            if (state === 'unsubscribed') {
                model.loaded.delete(c)
                model.refused?.(c, reason)
            }
        })
        model.loaded.delete(c)
        if (handle.state === 'subscribed') {
            model.loaded.add(c)
            opened()
        }
    }

    Object.assign(model, {
        watch, soon, loadUser, picture, fetchOlder,
        async start() {
            await stores.fetch(null)
        },
        close() {
            client.close()
            stores.close()
        },
    })
    return model
}

export const byTime = (a, b) =>
    (a.created_at ?? '') < (b.created_at ?? '') ? -1
        : (a.created_at ?? '') > (b.created_at ?? '') ? 1
            : String(a.id).length - String(b.id).length
                || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0)

// The messages of a channel that are here without a gap: an event about an
// older one makes a part of it, which stands nowhere.

export const shown = ({ stores, pages }, c) => {
    const { from, more } = pages.get(c) ?? {}
    return stores.messages.all().filter(m => m.channel_id === c
        && m.created_at && !(more && from && byTime(m, from) < 0)).sort(byTime)
}

// As the backend reckons: the owner has all rights; others those of the role
// that all have (its id is the workspace's) and of their own.

const MODERATOR = ['delete_message', 'add_member', 'kick_member', 'ban_member']

export function rights(model, g) {
    const { stores, user } = model
    const guild = stores.guilds.get(g) ?? {}
    const member = stores.members.get(`${g}/${user}`) ?? {}
    const owner = guild.owner_id === user
    const has = new Set(member.role === 'moderator' ? MODERATOR : [])

    for (const id of [g, ...member.role_ids ?? []]) {
        for (const word of guild.roles?.[id]?.permissions ?? []) has.add(word)
    }
    return { owner, can: (...words) => owner || words.some(w => has.has(w)) }
}

export const nameOf = (model, id, g) =>
    g && model.stores.members.get(`${g}/${id}`)?.nick
        || model.stores.users.get(id)?.display_name || id
