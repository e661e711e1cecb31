// Copyright (C) Delta contributors

// Holds events against the contract: see docs/GATEWAY_EVENTS.md.

import { defs, events, privileged } from './events.js'

const has = (object, name) => Object.hasOwn(object, name)
const secrets = new Set(privileged)
const patterns = new Map()

export const types = Object.keys(events)

export function check(t, d, { strict = false } = {}) {
    return has(events, t) ? value(events[t], d, strict) : undefined
}

export const validate = ({ t, d }) => !check(t, d)
export const isEvent = (t, d) => check(t, d) === null

const fault = what => ({ path: '', what })
const under = (name, { path, what }) => ({
    path: `/${String(name).replace(/~/g, '~0').replace(/\//g, '~1')}${path}`,
    what,
})

function value(schema, d, strict) {
    while (schema.$ref) schema = defs[schema.$ref.slice('#/$defs/'.length)]

    const kinds = schema.type === undefined ? null : [schema.type].flat()
    const kind = kindOf(d)

    if (kinds && !kinds.includes(kind)
        && !(kind === 'number' && kinds.includes('integer')))
        return fault('has the wrong type')

    if (kind === 'object') return object(schema, d, strict)
    if (kind === 'array') return array(schema, d, strict)
    if (kind === 'string') return string(schema, d)
    if (kind === 'number' && kinds?.includes('integer'))
        return integer(schema, d)

    return null
}

const kindOf = d => d === null ? 'null' : Array.isArray(d) ? 'array' : typeof d

function object(schema, d, strict) {
    const properties = schema.properties ?? {}

    for (const [name, one] of Object.entries(d)) {
        const wrong = has(properties, name)
            ? value(properties[name], one, strict)
            : strict && unknown(schema, name, one)

        if (wrong) return under(name, wrong)
    }

    // the first of them in the order of properties
    for (const name of Object.keys(properties))
        if (schema.required?.includes(name) && !has(d, name))
            return under(name, fault('is missing'))

    return null
}

function unknown(schema, name, one) {
    if (schema.additionalProperties === false)
        return fault('is not in the contract')

    return secrets.has(name) ? fault('is privileged') : open(one)
}

function open(d) {
    if (typeof d !== 'object' || d === null) return null

    for (const [name, one] of Object.entries(d)) {
        const wrong = !Array.isArray(d) && secrets.has(name)
            ? fault('is privileged') : open(one)

        if (wrong) return under(name, wrong)
    }

    return null
}

function array(schema, d, strict) {
    for (let i = 0; i < d.length; i++) {
        if (i === schema.maxItems) return fault('has too many items')

        const wrong = schema.items ? value(schema.items, d[i], strict)
            : strict && open(d[i])

        if (wrong) return under(i, wrong)
    }

    return null
}

function string(schema, d) {
    const { minLength = 0, maxLength = Infinity, pattern } = schema

    if (d.length > maxLength || minLength > 0) {
        const length = [...d].length

        if (length > maxLength) return fault('is too long')
        if (length < minLength) return fault('is too short')
    }

    if (pattern !== undefined && !regexp(pattern).test(d))
        return fault('does not match the pattern')

    return schema.enum && !schema.enum.includes(d)
        ? fault('is not one of the values') : null
}

function regexp(pattern) {
    if (!patterns.has(pattern)) patterns.set(pattern, new RegExp(pattern, 'u'))

    return patterns.get(pattern)
}

function integer({ minimum = -Infinity, maximum = Infinity }, d) {
    if (!Number.isInteger(d)) return fault('is not a whole number')
    if (d < minimum || d < -Number.MAX_SAFE_INTEGER)
        return fault('is too small')
    if (d > maximum || d > Number.MAX_SAFE_INTEGER)
        return fault('is too large')

    return null
}
