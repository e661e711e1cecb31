// Copyright (C) Delta contributors

// Panels of a dialog, chosen by tabs: [id, label, make(): element].

import { dialog, h } from './dom.js'

export function tabbed(title, panels, { onclose, first } = {}) {
    const body = h('div', { class: 'panel', role: 'tabpanel', tabIndex: -1 })
    const tabs = panels.map(([id, label, make]) => h('button', {
        type: 'button', role: 'tab', id: `tab-${id}`, tabIndex: -1,
        'aria-selected': 'false', onclick: () => show(id, make),
    }, label))
    const strip = h('div', { class: 'tabs', role: 'tablist',
                             'aria-orientation': 'vertical', onkeydown: key },
                    tabs)

    function show(id, make) {
        for (const tab of tabs) {
            const own = tab.id === `tab-${id}`
            tab.setAttribute('aria-selected', String(own))
            tab.tabIndex = own ? 0 : -1
        }
        body.setAttribute('aria-labelledby', `tab-${id}`)
        body.replaceChildren(make())
    }

    function key(event) {
        const step = { ArrowDown: 1, ArrowRight: 1,
                       ArrowUp: -1, ArrowLeft: -1 }[event.key]
        if (!step) return
        event.preventDefault()
        const next = tabs.at((tabs.indexOf(event.target) + step)
                             % tabs.length)
        next.focus()
        next.click()
    }

    const close = dialog(title, h('div', { class: 'tabbed' }, strip, body),
                         { wide: true, onclose })
    const [id, , make] = panels.find(([id]) => id === first) ?? panels[0]
    show(id, make)
    tabs.find(tab => tab.tabIndex === 0).focus()
    return close
}

// A form that says how it went.

export function form(fields, label, save, props = {}) {
    const said = h('output', { class: 'said', role: 'status' })
    const element = h('form', { class: 'stack', ...props,
        onsubmit: async event => {
            event.preventDefault()
            said.textContent = ''
            said.className = 'said'
            try {
                await save(Object.fromEntries(new FormData(event.target)))
                said.textContent = 'Saved.'
            } catch (error) {
                said.textContent = error.message
                said.className = 'said bad'
            }
        } }, fields,
        h('div', { class: 'row' }, h('button', { class: 'solid' }, label),
          said))
    return element
}

export const field = (label, name, value, props = {}) =>
    h('label', {}, label, h(props.rows ? 'textarea' : 'input', {
        name, ...props, ...props.rows ? {} : { value: value ?? '' },
    }, ...props.rows ? [value ?? ''] : []))
