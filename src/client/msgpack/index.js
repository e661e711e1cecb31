// Copyright (C) Delta contributors

// Reads MessagePack: https://github.com/msgpack/msgpack/blob/master/spec.md
// What is not in JSON (binary, extensions, keys that are no strings) is
// refused, as no event has it.  Integers that JavaScript does not know exactly
// are rounded, as JSON.parse does.

const DEPTH = 64
const text = new TextDecoder('utf-8', { fatal: true })

export function decode(bytes) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    let at = 0
    const value = read(0)
    if (at !== bytes.length) throw new Error('There is something behind it.')
    return value

    // DataView throws beyond the end

    function number(method, size) {
        at += size
        return view[method](at - size)
    }

    function string(length) {
        if (length > bytes.length - at) throw new Error('It ends too soon.')
        at += length
        return text.decode(bytes.subarray(at - length, at))
    }

    function array(length, depth) {
        if (length > bytes.length - at) throw new Error('It ends too soon.')
        const list = []
        while (length--) list.push(read(depth))
        return list
    }

    function map(length, depth) {
        const pairs = []
        if (length * 2 > bytes.length - at) throw new Error('It ends too soon.')
        while (length--) {
            const key = read(depth)
            if (typeof key !== 'string') throw new Error('A key is no string.')
            pairs.push([key, read(depth)])
        }
        return Object.fromEntries(pairs)    // __proto__ is a key like others
    }

    function read(depth) {
        if (depth > DEPTH) throw new Error('It is too deep.')
        const b = number('getUint8', 1)

        if (b < 0x80) return b
        if (b < 0x90) return map(b & 15, depth + 1)
        if (b < 0xa0) return array(b & 15, depth + 1)
        if (b < 0xc0) return string(b & 31)
        if (b >= 0xe0) return b - 256

        switch (b) {
        case 0xc0: return null
        case 0xc2: return false
        case 0xc3: return true
        case 0xca: return number('getFloat32', 4)
        case 0xcb: return number('getFloat64', 8)
        case 0xcc: return number('getUint8', 1)
        case 0xcd: return number('getUint16', 2)
        case 0xce: return number('getUint32', 4)
        case 0xcf: return Number(number('getBigUint64', 8))
        case 0xd0: return number('getInt8', 1)
        case 0xd1: return number('getInt16', 2)
        case 0xd2: return number('getInt32', 4)
        case 0xd3: return Number(number('getBigInt64', 8))
        case 0xd9: return string(number('getUint8', 1))
        case 0xda: return string(number('getUint16', 2))
        case 0xdb: return string(number('getUint32', 4))
        case 0xdc: return array(number('getUint16', 2), depth + 1)
        case 0xdd: return array(number('getUint32', 4), depth + 1)
        case 0xde: return map(number('getUint16', 2), depth + 1)
        case 0xdf: return map(number('getUint32', 4), depth + 1)
        default: throw new Error(`0x${b.toString(16)} is not used.`)
        }
    }
}
