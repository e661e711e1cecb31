// Copyright (C) Delta contributors

// Elements without a framework: made by h(), kept in step by keyed().

export function h(tag, props = {}, ...children) {
    const element = document.createElement(tag)

    for (const [name, value] of Object.entries(props ?? {})) {
        if (value === undefined || value === null || value === false) continue
        if (name.startsWith('on')) {
            element.addEventListener(name.slice(2), value)
        } else if (name === 'class') {
            element.className = value
        } else if (name in element && typeof value !== 'string') {
            element[name] = value
        } else {
            element.setAttribute(name, value === true ? '' : value)
        }
    }
    element.append(...children.flat(9).filter(
        child => child !== null && child !== undefined && child !== false))
    return element
}

// The children of parent are the items, in their order.  One is made anew if
// its signature (a list) has changed; the focus stays where it was.

export function keyed(parent, items, key, sign, make) {
    const old = new Map([...parent.children].map(el => [el.dataset.key, el]))
    let at = parent.firstElementChild

    for (const item of items) {
        const k = String(key(item))
        const signature = sign(item)
        let element = old.get(k)
        old.delete(k)
        if (!element || differs(element.signature, signature)) {
            const fresh = make(item)
            fresh.dataset.key = k
            fresh.signature = signature
            if (element) {
                const focus = element.contains(document.activeElement)
                    && (document.activeElement.dataset.f ?? '')
                if (element === at) at = fresh
                element.replaceWith(fresh)
                if (focus) fresh.querySelector(`[data-f="${focus}"]`)?.focus()
            }
            element = fresh
        }
        if (element === at) at = at.nextElementSibling
        else parent.insertBefore(element, at)
    }
    for (const element of old.values()) element.remove()
}

const differs = (a, b) => !a || a.length !== b.length
    || a.some((value, i) => value !== b[i])

export function text(element, value) {
    if (element.textContent !== value) element.textContent = value
}

// Once, after all that happens now.

export function later(f) {
    let queued = false
    return () => {
        if (queued) return
        queued = true
        queueMicrotask(() => {
            queued = false
            f()
        })
    }
}

const PATHS = {
    gear: 'M12 15.2a3.2 3.2 0 1 0 0-6.4 3.2 3.2 0 0 0 0 6.4ZM19.4 13.6l1.7 '
        + '1.3-2 3.4-2-.7a7.6 7.6 0 0 1-2.2 1.3L14.5 21h-5l-.4-2.1A7.6 7.6 0 '
        + '0 1 6.9 17.6l-2 .7-2-3.4 1.7-1.3a7.5 7.5 0 0 1 0-3.2L2.9 9.1l2-3.4 '
        + '2 .7a7.6 7.6 0 0 1 2.2-1.3L9.5 3h5l.4 2.1c.8.3 1.5.7 2.2 1.3l2-.7 '
        + '2 3.4-1.7 1.3c.2 1 .2 2.1 0 3.2Z',
    hash: 'M9.5 4 7.5 20M16.5 4l-2 16M4.5 9h16M3.5 15h16',
    voice: 'M4 10v4h3.5L12 18V6L7.5 10ZM15.5 9a4 4 0 0 1 0 6M18 6.5a8 8 0 0 1 '
        + '0 11',
    down: 'm6 9.5 6 6 6-6',
    plus: 'M12 5v14M5 12h14',
    close: 'M6 6l12 12M18 6 6 18',
    menu: 'M4 7h16M4 12h16M4 17h16',
    people: 'M9 11.5a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7ZM2.5 20c0-3.6 2.9-6 '
        + '6.5-6s6.5 2.4 6.5 6M16 5a3.4 3.4 0 0 1 0 6.2M18 14.6c2.2.8 3.5 2.8 '
        + '3.5 5.4',
    friend: 'M10 11.5a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7ZM3 20c0-3.6 3-6 7-6 '
        + '1.5 0 2.8.3 3.9.9M18 14v6M15 17h6',
    globe: 'M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18ZM3 12h18M12 3c5 5.5 5 12.5 '
        + '0 18M12 3c-5 5.5-5 12.5 0 18',
    pen: 'M4 20h4L19.5 8.5l-4-4L4 16ZM13.5 6.5l4 4',
    bin: 'M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13M10.5 11v5.5M13.5 11v5.5',
    smile: 'M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18ZM8.5 14.5c1.8 2.6 '
        + '5.2 2.6 7 0M9 9.5v.5M15 9.5v.5',
    send: 'M4 12 20 4.5 15 20l-3.5-6.5ZM11.5 13.5 20 4.5',
    lock: 'M6 11h12v9H6ZM8.5 11V8a3.5 3.5 0 0 1 7 0v3',
    exit: 'M10 4H5v16h5M9 12h11M16 8l4 4-4 4',
    check: 'm5 12.5 4.5 4.5L19 7',
    up: 'm6 14.5 6-6 6 6',
    eye: 'M2.5 12C5 7.5 8.300 5.5 12 5.5s7 2 9.5 6.5c-2.5 4.5-5.800 '
        + '6.5-9.5 6.5S5 16.5 2.5 12ZM12 15a3 3 0 1 0 0-6 3 3 0 0 0 0 6Z',
    eyeoff: 'M4 4l16 16M9.5 6c5.5-1.5 9.800 1 12 6-.8 1.700-1.800 3-3 4M6 '
        + '7.5C4.5 8.700 3.300 10.200 2.5 12c3 6 8.5 7.800 13.5 5.5',
    file: 'M6 3h8l4 4v14H6ZM14 3v4h4M9 12h6M9 16h6',
    mic: 'M12 15a3 3 0 0 0 3-3V6a3 3 0 0 0-6 0v6a3 3 0 0 0 3 3ZM5.5 '
        + '11.5a6.5 6.5 0 0 0 13 0M12 18v3',
}

export function icon(name) {
    const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg')
    const path = document.createElementNS(svg.namespaceURI, 'path')
    svg.setAttribute('viewBox', '0 0 24 24')
    svg.setAttribute('class', 'icon')
    svg.setAttribute('aria-hidden', 'true')
    path.setAttribute('d', PATHS[name])
    svg.append(path)
    return svg
}

// A button that is only an icon has its name as label and as hint.

export const iconButton = (name, label, onclick, props = {}) =>
    h('button', { type: 'button', class: 'icon-button', title: label,
                  'aria-label': label, onclick, ...props }, icon(name))

// In the top layer, where the browser has it open to us: above a dialog, too.

export function toast(message, kind = '') {
    const box = document.getElementById('toasts')
    const one = h('div', { class: `toast ${kind}` }, message)
    box.append(one)
    box.hidePopover?.()
    box.showPopover?.()
    setTimeout(() => {
        one.remove()
        if (!box.children.length) box.hidePopover?.()
    }, 5000)
}

// A menu below a button; Escape and a click elsewhere close it.

export function menu(button, entries) {
    document.querySelector('.menu')?.remove()
    const list = h('div', { class: 'menu', role: 'menu' })
    const box = button.getBoundingClientRect()

    const close = () => {
        list.remove()
        button.setAttribute('aria-expanded', 'false')
        document.removeEventListener('pointerdown', outside, true)
    }
    const outside = event => {
        if (!list.contains(event.target)) close()
    }

    for (const { label, act, danger, icon: name, dot, now, node } of entries) {
        list.append(node ?? h('button', {
            type: 'button', role: 'menuitem', class: danger ? 'danger' : '',
            'aria-current': now && 'true',
            onclick: () => { close(); act() },
        }, name && icon(name), dot && h('i', { class: `lamp ${dot}` }), label,
           now && h('span', { class: 'now' }, icon('check'))))
    }
    list.addEventListener('keydown', event => {
        const items = [...list.querySelectorAll('button')]
        const at = items.indexOf(document.activeElement)
        const step = { ArrowDown: 1, ArrowUp: -1,
                       ArrowRight: 1, ArrowLeft: -1 }[event.key]
        if (step) {
            event.preventDefault()
            items.at((at + step) % items.length).focus()
        } else if (event.key === 'Escape' || event.key === 'Tab') {
            event.preventDefault()
            close()
            button.focus()
        }
    })

    document.body.append(list)
    const size = list.getBoundingClientRect()
    const top = box.bottom + size.height + 8 > innerHeight
        ? box.top - size.height - 6 : box.bottom + 6
    list.style.top = `${Math.max(8, top)}px`
    list.style.left = `${Math.max(8, Math.min(
        box.left, innerWidth - size.width - 8))}px`
    button.setAttribute('aria-expanded', 'true')
    document.addEventListener('pointerdown', outside, true)
    list.querySelector('button')?.focus()
}

// A modal dialog; the browser keeps the focus in it and gives it back.

export function dialog(title, body, { wide = false, onclose } = {}) {
    const close = () => box.close()
    const box = h('dialog', { class: wide ? 'wide' : '', 'aria-label': title,
                              onclose: () => { box.remove(); onclose?.() } },
        h('header', {}, h('h2', {}, title),
          iconButton('close', 'Close', close)),
        body)
    box.addEventListener('pointerdown', event => {
        if (event.target === box) close()
    })
    document.body.append(box)
    box.showModal()
    return close
}

export function confirmed(question, act, label = 'Delete') {
    const close = dialog(question, h('form', { method: 'dialog',
        class: 'choice', onsubmit: event => {
            event.preventDefault()
            close()
            act()
        } },
        h('button', { type: 'button', onclick: () => close() }, 'Cancel'),
        h('button', { class: 'danger solid', autofocus: true }, label)))
}

export function hue(id) {
    let n = 7
    for (const char of String(id)) n = n * 31 + char.codePointAt(0) >>> 0
    return n * 137 % 360            // neighbours are far apart
}

export const initials = name => String(name ?? '?').trim().split(/\s+/)
    .slice(0, 2).map(word => [...word][0]?.toUpperCase() ?? '').join('') || '?'
