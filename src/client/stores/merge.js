// Copyright (C) Delta contributors

// RFC 7396, without changing what is there: parts that stay the same stay the
// same objects, so that `===` tells what has changed.

const isObject = value =>
    typeof value === 'object' && value !== null && !Array.isArray(value)

export function merge(target, patch) {
    if (!isObject(patch)) return patch

    const result = isObject(target) ? target : {}
    let copy = result === target ? null : result

    for (const [key, value] of Object.entries(patch)) {
        if (key === '__proto__') continue
        const had = Object.hasOwn(result, key)

        if (value === null) {
            if (had) delete (copy ??= { ...result })[key]
            continue
        }
        const before = had ? result[key] : undefined
        const next = merge(before, value)
        if (!had || next !== before) (copy ??= { ...result })[key] = next
    }

    return copy ?? result
}
