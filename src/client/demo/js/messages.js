// Copyright (C) Delta contributors

// The open channel: its messages, and where one writes.

import { avatarSign, userAvatar } from './avatar.js'
import { confirmed, h, icon, iconButton, keyed, menu, text, toast }
    from './dom.js'
import { nameOf, rights, shown as shownOf } from './model.js'

const EMOJI = ['👍', '❤️', '😂', '🎉', '👀', '🚀', '✅', '🙏']
const NEAR_MS = 5 * 60 * 1000           // so close, one head is enough
const NEAR_TOP = 240                    // so close, older ones are fetched

const time = new Intl.DateTimeFormat([], { hour: '2-digit',
                                           minute: '2-digit',
                                           hourCycle: 'h23' })
const day = new Intl.DateTimeFormat([], { weekday: 'long', day: 'numeric',
                                          month: 'long' })
const LINK = /(https?:\/\/[^\s<>"]{3,})/

const sizeOf = bytes => bytes < 1000 ? `${bytes} bytes`
    : bytes < 1e6 ? `${Math.round(bytes / 1000)} kB`
        : `${(bytes / 1e6).toFixed(1)} MB`

export function messagesView(app) {
    const { model } = app
    const { api, stores } = model
    const list = h('ol', { class: 'messages', 'aria-label': 'Messages' })
    const older = h('button', { type: 'button', onclick: () =>
        model.fetchOlder(model.open) })
    const start = h('div', { class: 'start', role: 'status' })
    const scroll = h('div', { class: 'scroll messages-scroll', tabIndex: 0 },
        h('div', { class: 'older' }, start, older), list)
    const newest = h('button', { type: 'button', class: 'newest',
                                 onclick: toBottom },
                     icon('down'), 'To the newest')
    const hint = h('p', { class: 'quiet pad' })
    const box = h('textarea', { rows: 1, name: 'message', maxLength: 8192,
                                onkeydown: key, oninput: fit })
    const form = h('form', { class: 'composer', onsubmit: send }, box,
        h('button', { class: 'icon-button solid', title: 'Send',
                      'aria-label': 'Send' }, icon('send')))
    const pending = []
    let editing = null
    let shown = null
    let bottom = true

    scroll.addEventListener('scroll', () => {
        bottom = scroll.scrollHeight - scroll.scrollTop
            - scroll.clientHeight < 60
        newest.hidden = bottom
        if (scroll.scrollTop < NEAR_TOP && !bottom
            && !model.pages.get(model.open)?.fault) {
            model.fetchOlder(model.open)
        }
    })

    function toBottom() {
        bottom = true
        scroll.scrollTop = scroll.scrollHeight
    }

    // What is read stays where it is, whatever comes above it.

    function steady(change) {
        const { top } = scroll.getBoundingClientRect()
        const one = bottom ? null : [...list.children].find(
            line => line.getBoundingClientRect().bottom > top)
        const before = one?.getBoundingClientRect().bottom
        change()
        if (bottom) {
            scroll.scrollTop = scroll.scrollHeight
        } else if (one) {
            const now = [...list.children].find(
                line => line.dataset.key === one.dataset.key)
            if (now) {
                scroll.scrollTop += now.getBoundingClientRect().bottom - before
            }
        }
    }

    const tell = error => toast(error.message, 'bad')

    function fit() {
        box.style.height = 'auto'
        box.style.height = `${Math.min(box.scrollHeight, 180)}px`
    }

    function key(event) {
        if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) {
            event.preventDefault()
            form.requestSubmit()
        } else if (event.key === 'ArrowUp' && !box.value) {
            const mine = current().filter(m => m.author_id === model.user)
            if (!mine.length) return
            event.preventDefault()
            edit(mine.at(-1).id)
        }
    }

    // What is written stands there at once, and is the event's when it comes.

    async function send(event) {
        event.preventDefault()
        const content = box.value.trim()
        const { guild, channel } = app.route
        if (!content || !model.open) return
        const one = { content, channel, id: `pending ${Date.now()}` }
        pending.push(one)
        box.value = ''
        fit()
        bottom = true
        app.render()
        try {
            const { cursor } = await api.send(guild, channel, content)
            await model.client.seen(cursor, { channel: `channel:${channel}`,
                                              timeout: 5000 })
        } catch (error) {
            tell(error)
            box.value ||= content
        }
        pending.splice(pending.indexOf(one), 1)
        app.render()
    }

    function edit(id) {
        editing = id
        app.render()
        queueMicrotask(() => queueMicrotask(() => {
            const field = list.querySelector('textarea.edit')
            field?.focus()
            field?.setSelectionRange(field.value.length, field.value.length)
        }))
    }

    function done() {
        editing = null
        app.render()
        box.focus()
    }

    function toggle(m, emoji) {
        const { guild, channel } = app.route
        const mine = model.mine.has(`${m.id} ${emoji}`)
        ;(mine ? api.unreact : api.react)(guild, channel, m.id, emoji)
            .catch(tell)
    }

    function pick(event, m) {
        menu(event.currentTarget, [{ node: h('div', { class: 'emojis' },
            EMOJI.map(emoji => h('button', {
                type: 'button', role: 'menuitem', 'aria-label': emoji,
                onclick: () => {
                    document.querySelector('.menu')?.remove()
                    toggle(m, emoji)
                } }, emoji))) }])
    }

    const remove = m => confirmed('Delete this message?', () =>
        api.remove(app.route.guild, app.route.channel, m.id).catch(tell))

    const current = () => model.open ? shownOf(model, model.open) : []

    function words(content = '') {
        return content.split(LINK).map((part, i) => i % 2
            ? h('a', { href: part, target: '_blank', rel: 'noreferrer' }, part)
            : part)
    }

    function body(m) {
        if (editing !== m.id) {
            return h('div', { class: 'content' }, words(m.content),
                m.edited_at && h('small', { class: 'edited',
                    title: m.edited_at }, ' (edited)'))
        }
        const field = h('textarea', { class: 'edit', rows: 2,
            'aria-label': 'Edit the message', maxLength: 8192,
            onkeydown: event => {
                if (event.key === 'Escape') done()
                if (event.key === 'Enter' && !event.shiftKey) {
                    event.preventDefault()
                    save()
                }
            } })
        field.value = m.content
        const save = async () => {
            const content = field.value.trim()
            if (content && content !== m.content) {
                await api.edit(app.route.guild, app.route.channel, m.id,
                               content).catch(tell)
            }
            done()
        }
        return h('div', { class: 'editing' }, field,
            h('small', { class: 'quiet' }, 'Enter saves, Escape does not'))
    }

    function reactions(m) {
        const all = Object.entries(m.reactions ?? {})
        return all.length ? h('div', { class: 'reactions' },
            all.map(([emoji, count]) => {
                const mine = model.mine.has(`${m.id} ${emoji}`)
                return h('button', {
                    type: 'button', class: mine ? 'mine' : '',
                    'aria-pressed': String(mine), 'data-f': emoji,
                    'aria-label': `${emoji}, ${count}`,
                    onclick: () => toggle(m, emoji),
                }, `${emoji} `, h('b', {}, String(count)))
            })) : null
    }

    function tools(m) {
        const { can } = rights(model, app.route.guild)
        const own = m.author_id === model.user
        const may = own || can('delete_message')
        return h('div', { class: 'tools' },
            iconButton('smile', 'React', event => pick(event, m),
                       { 'data-f': 'react' }),
            own && iconButton('pen', 'Edit', () => edit(m.id),
                              { 'data-f': 'edit' }),
            may && iconButton('bin', 'Delete', () => remove(m),
                              { 'data-f': 'bin' }))
    }

    // A link could not send the token.

    const save = one => model.picture(one.url).then(
        href => h('a', { href, download: one.filename }).click(), tell)

    const attachments = m => Object.values(m.attachments ?? {}).map(one =>
        h('button', { type: 'button', class: 'attachment', disabled: !one.url,
                      'data-f': one.attachment_id, onclick: () => save(one) },
          icon('file'), one.filename, h('small', {}, sizeOf(one.size))))

    function line({ m, before }) {
        const at = new Date(m.created_at ?? Date.now())
        const last = before && new Date(before.created_at)
        const headless = before && before.author_id === m.author_id
            && at - last < NEAR_MS
        const newDay = !before || day.format(at) !== day.format(last)
        const name = nameOf(model, m.author_id, app.route.guild)

        return h('li', { class: `message ${headless && !newDay ? 'on' : ''}` },
            newDay && h('div', { class: 'day' }, h('span', {},
                                                   day.format(at))),
            h('article', { 'aria-label': `${name}: ${m.content}` },
                headless && !newDay
                    ? h('time', { class: 'gutter', datetime: m.created_at },
                        time.format(at))
                    : userAvatar(model, m.author_id, 40),
                h('div', { class: 'bubble' },
                    (!headless || newDay) && h('div', { class: 'head' },
                        h('b', {}, name),
                        h('time', { datetime: m.created_at },
                          time.format(at))),
                    body(m), attachments(m), reactions(m)),
                tools(m)))
    }

    function ghost(one) {
        return h('li', { class: 'message on pending' },
            h('article', {}, h('time', { class: 'gutter' }, '…'),
              h('div', { class: 'bubble' },
                h('div', { class: 'content' }, one.content))))
    }

    const sign = ({ m, before, id }) => id ? [id] : [
        m, before?.id, before?.author_id, editing === m.id,
        nameOf(model, m.author_id, app.route.guild),
        stores.users.get(m.author_id)?.avatar_url,
        stores.users.get(m.author_id)?.avatar_version,
        rights(model, app.route.guild).can('delete_message'),
        Object.keys(m.reactions ?? {}).map(emoji =>
            model.mine.has(`${m.id} ${emoji}`)).join()]

    function further(c, page, some) {
        const loads = page?.busy
        older.hidden = !page?.more || !some
        older.disabled = Boolean(loads)
        text(older, loads ? 'Loading older messages…'
            : page?.fault ? 'Try again' : 'Load older messages')
        text(start, page?.fault ? `Older messages could not be loaded. ${
            page.fault}` : page && !page.more && some
            ? `This is where #${c.name} begins.` : '')
    }

    const element = h('section', { class: 'view view-w' }, scroll,
                      h('div', { class: 'over' }, newest), hint, form)

    return {
        element,
        update() {
            const { kind, channel } = app.route
            element.hidden = kind !== 'w'
            if (kind !== 'w') return
            const c = stores.channels.get(channel)
            form.hidden = !c
            if (shown !== channel) {
                shown = channel
                editing = null
                bottom = true
                if (c && matchMedia('(min-width: 800px)').matches) box.focus()
            }
            box.placeholder = c ? `Message #${c.name}` : ''
            box.setAttribute('aria-label', box.placeholder)

            const page = model.pages.get(channel)
            const messages = c ? current() : []
            const items = messages.map(
                (m, i) => ({ m, before: messages[i - 1] }))
            const waiting = pending.filter(one => one.channel === channel)
            const some = messages.length + waiting.length > 0
            steady(() => {
                further(c, page, some)
                keyed(list, [...items, ...waiting],
                      one => (one.m ?? one).id, sign,
                      one => one.m ? line(one) : ghost(one))
            })
            newest.hidden = bottom
            text(hint, some ? '' : !c
                ? app.ready ? 'There is no channel here for you yet.'
                    : 'Loading…'
                : page ? 'Nothing has been said here yet. Be the first.'
                    : 'Loading…')
            hint.hidden = !hint.textContent
        },
    }
}
