// Copyright (C) Delta contributors

// The open channel: its messages, and where one writes.

import { avatarSign, userAvatar } from './avatar.js'
import { confirmed, h, icon, iconButton, keyed, menu, text, toast }
    from './dom.js'
import { byTime, nameOf, rights } from './model.js'

const EMOJI = ['👍', '❤️', '😂', '🎉', '👀', '🚀', '✅', '🙏']
const NEAR_MS = 5 * 60 * 1000           // so close, one head is enough

const time = new Intl.DateTimeFormat([], { hour: '2-digit',
                                           minute: '2-digit',
                                           hourCycle: 'h23' })
const day = new Intl.DateTimeFormat([], { weekday: 'long', day: 'numeric',
                                          month: 'long' })
const LINK = /(https?:\/\/[^\s<>"]{3,})/

export function messagesView(app) {
    const { model } = app
    const { api, stores } = model
    const list = h('ol', { class: 'messages', 'aria-label': 'Messages' })
    const scroll = h('div', { class: 'scroll messages-scroll', tabIndex: 0 },
                     list)
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
    })

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

    const current = () => stores.messages.all()
        .filter(m => m.channel_id === model.open).sort(byTime)

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

    const attachments = m => Object.values(m.attachments ?? {}).map(one =>
        h('div', { class: 'attachment' }, one.url
            ? h('a', { href: one.url, rel: 'noreferrer' }, one.filename)
            : one.filename, h('small', {}, ` ${one.size} bytes`)))

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

    const element = h('section', { class: 'view view-w' }, scroll, hint, form)

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

            const messages = c ? current() : []
            const items = messages.map(
                (m, i) => ({ m, before: messages[i - 1] }))
            const waiting = pending.filter(one => one.channel === channel)
            keyed(list, [...items, ...waiting],
                  one => (one.m ?? one).id,
                  ({ m, before, id }) => id ? [id] : [
                      m, before?.id, before?.author_id, editing === m.id,
                      nameOf(model, m.author_id, app.route.guild),
                      stores.users.get(m.author_id)?.avatar_url,
                      stores.users.get(m.author_id)?.avatar_version,
                      rights(model, app.route.guild).can('delete_message'),
                      Object.keys(m.reactions ?? {}).map(emoji =>
                          model.mine.has(`${m.id} ${emoji}`)).join()],
                  one => one.m ? line(one) : ghost(one))
            text(hint, c ? messages.length || waiting.length ? ''
                : 'Nothing has been said here yet. Be the first.'
                : 'There is no channel here for you yet.')
            hint.hidden = !hint.textContent
            if (bottom) scroll.scrollTop = scroll.scrollHeight
        },
    }
}
