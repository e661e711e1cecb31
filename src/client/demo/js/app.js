// Copyright (C) Delta contributors

// The page: who is logged in, where they are, and the frame around the views.

import { createApi } from './api.js'
import { channelRail } from './channels.js'
import { connectionPill } from './connection.js'
import { h, icon, iconButton, later, text, toast } from './dom.js'
import { friendsView } from './friends.js'
import { loginView } from './login.js'
import { membersView } from './members.js'
import { messagesView } from './messages.js'
import { createModel } from './model.js'
import { workspaceRail } from './rail.js'
import { worldView } from './world.js'

const KEY = 'delta demo login'
const CLOSED_MS = 400           // between a channel and its workspace

// Why it is over, by close code or status.

const ENDED = {
    401: 'Your login has ended. Please come in again.',
    403: 'You may not connect here.',
    4501: 'Your access was taken away.',
    4502: 'You go on in another window.',
}

const root = document.getElementById('app')
let app = null

// The login is the tab's: two windows can be two people.

function saved() {
    try {
        return JSON.parse(sessionStorage.getItem(KEY))
    } catch {
        return null
    }
}

function save(login) {
    if (login) sessionStorage.setItem(KEY, JSON.stringify(login))
    else sessionStorage.removeItem(KEY)
}

// #/w/<guild>/<channel>, #/friends, #/world

function route() {
    const [, kind, guild, channel] = location.hash.split('/')
        .map(decodeURIComponent)
    if (kind === 'w' && guild) return { kind, guild, channel }
    return { kind: kind === 'world' ? 'world' : 'friends' }
}

const hashOf = parts => `#/${parts.filter(Boolean)
    .map(encodeURIComponent).join('/')}`

export const go = (...parts) => {
    location.hash = hashOf(parts)
}

// Where nobody asked to go: no step of the history, and no pane is closed.

function divert(...parts) {
    history.replaceState(null, '', hashOf(parts))
    app.route = route()
    app.render()
}

function open(login) {
    const model = createModel(login)
    const views = []
    app = { model, route: route(), go, pane: 'main', logout }

    const render = later(() => {
        if (app?.model !== model) return
        settle()
        document.body.dataset.pane = app.pane
        document.body.dataset.view = app.route.kind
        for (const view of views) view.update()
        const words = lost
            ? 'The connection is lost. Trying again; nothing will be missing.'
            : model.fault
                && `Not all of this is new: trying again. ${model.fault}`
        text(banner, words ?? '')
        banner.hidden = !words
    })
    model.changed = render
    app.render = render
    app.show = pane => {
        app.pane = pane
        render()
    }

    // The open channel is the URL's, or the first; it goes when it is gone.

    function settle() {
        const { kind, guild, channel } = app.route
        const { stores } = model
        if (kind !== 'w') return model.watch(null)
        if (!stores.guilds.get(guild)) {
            model.watch(null)
            if (app.ready) {
                if (app.seen === guild) {
                    toast(`You are no longer in ${app.seenName}.`, 'warn')
                }
                app.seen = null
                divert('friends')
            }
            return
        }
        app.seen = guild
        app.seenName = stores.guilds.get(guild).name
        const found = channel && stores.channels.get(channel)
        if (found && found.guild_id === guild) {
            app.channelName = found.name
            return model.watch(channel)
        }
        model.watch(null)
        if (!app.ready) return
        if (channel && app.channelName) closed(guild, app.channelName)
        app.channelName = null
        const [first] = channelsOf(guild)
        if (first) divert('w', guild, first.id)
        else if (channel) divert('w', guild)
    }

    // Not for each of them, if it is the workspace that is closed.

    const closed = (guild, name) => setTimeout(() => {
        if (app?.model === model && model.stores.guilds.get(guild)) {
            toast(`#${name} is not open to you any more.`, 'warn')
        }
    }, CLOSED_MS)

    const channelsOf = guild => model.stores.channels.all()
        .filter(c => c.guild_id === guild)
        .sort((a, b) => (a.position ?? 0) - (b.position ?? 0))
    app.channelsOf = channelsOf

    model.refused = (channel, reason) => {
        if (reason === 'requested') return
        model.stores.forgetChannel(channel)
        render()
    }

    const make = (view, ...args) => {
        const made = view(app, ...args)
        views.push(made)
        return made.element
    }

    const title = h('h1', { class: 'title' })
    const topic = h('span', { class: 'topic' })
    const people = iconButton('people', 'Members',
        () => app.show(app.pane === 'side' ? 'main' : 'side'),
        { class: 'icon-button people-toggle' })

    views.push({ update() {
        const { kind, guild, channel } = app.route
        const c = model.stores.channels.get(channel)
        title.replaceChildren(...kind === 'world'
            ? [icon('globe'), 'World']
            : kind === 'friends' ? [icon('friend'), 'Friends']
            : [icon(c?.kind === 'voice' ? 'voice' : 'hash'),
               c?.name ?? model.stores.guilds.get(guild)?.name ?? '…'])
        topic.textContent = kind === 'w' ? c?.topic ?? '' : ''
        people.hidden = kind !== 'w'
        document.title = `${kind === 'w' ? `#${c?.name ?? '…'}`
            : kind === 'world' ? 'World' : 'Friends'} · Delta`
    } })

    const banner = h('div', { class: 'banner', role: 'alert', hidden: true })
    let lost = false
    root.replaceChildren(h('div', { class: 'frame' },
        make(workspaceRail), make(channelRail),
        h('main', {},
            h('header', { class: 'top' },
                iconButton('menu', 'Workspaces and channels',
                    () => app.show(app.pane === 'nav' ? 'main' : 'nav'),
                    { class: 'icon-button burger' }),
                title, topic, h('span', { class: 'spring' }),
                make(connectionPill), people),
            banner,
            make(messagesView), make(friendsView), make(worldView)),
        make(membersView),
        h('button', { class: 'shade', 'aria-label': 'Close',
                      onclick: () => app.show('main') })))

    for (const store of ['users', 'guilds', 'members', 'channels', 'messages',
                         'presence', 'friends']) {
        model.stores[store].subscribe(render)
    }
    model.client.on('state', state => {
        render()
        if (state.state === 'disconnected') ended(state)
    })
    model.client.on('lost-connection', what => {
        lost = what === 'lost'
        render()
        if (what === 'restored') toast('Connected again.', 'good')
    })

    render()
    model.start().then(() => {
        if (app?.model !== model) return
        app.ready = true
        if (!location.hash) {
            const [first] = model.stores.guilds.all()
            if (first) divert('w', first.id)
        }
        render()
    })
}

function ended({ code, reason }) {
    if (code === 3000) return
    toast(ENDED[code] ?? `You were disconnected: ${reason || code}`, 'warn')
    logout()
}

function logout() {
    const { model } = app ?? {}
    app = null
    save(null)
    model?.close()
    login()
}

function login() {
    document.body.dataset.view = 'login'
    root.replaceChildren(loginView(async user => {
        const { token } = await createApi().login(user)
        const mine = { token, user }
        save(mine)
        open(mine)
    }))
}

addEventListener('hashchange', () => {
    if (!app) return
    app.route = route()
    app.pane = 'main'
    app.render()
})

const before = saved()
if (before?.token) open(before)
else login()
