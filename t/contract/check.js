// Copyright (C) Delta contributors

// The same as t/bin/contract-check.c, of the client's validators; then what
// they allow that a server may not send.

import { readFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'

const { check, isEvent, types, validate }
    = await import(pathToFileURL('src/client/contract/index.js'))

for (const line of readFileSync(0, 'utf8').trimEnd().split('\n')) {
    const { t, d } = JSON.parse(line)
    const fault = check(t, d, { strict: true })

    console.log(fault === undefined ? 'unknown'
        : fault === null ? 'ok' : `${fault.path} ${fault.what}`)
}

const without = ({ ...d }, name) => (delete d[name], d)

const { events, $defs } = JSON.parse(readFileSync('conf/events.json', 'utf8'))

for (const [t, { d, example }] of Object.entries(events)) {
    const newer = { ...example, not_yet_known: { ip: 1 } }
    const { required = [] } = d.$ref ? $defs[d.$ref.slice(8)] : d
    const least = Object.fromEntries(required.map(n => [n, example[n]]))

    console.log(validate({ t, d: newer }) && isEvent(t, example)
        && check(t, newer, { strict: true }) !== null
        && !validate({ t, d: null }) && types.includes(t)
        && validate({ t, d: least })
        && required.every(n => !validate({ t, d: without(newer, n) }))
        ? `tolerant ${t}` : `not tolerant ${t}`)
}

console.log(['none', 'constructor', '__proto__'].every(t =>
    validate({ t, d: {} }) && !isEvent(t, {})) ? 'unknown ignored' : 'failed')
