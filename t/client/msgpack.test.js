// Copyright (C) Delta contributors

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { decode } from '../../src/client/msgpack/index.js'

const of = hex => decode(Uint8Array.from(
    hex.match(/../g) ?? [], byte => parseInt(byte, 16)))

const utf8 = text => Buffer.from(text).toString('hex')

test('each form of the format', () => {
    for (const [hex, value] of [
        ['00', 0], ['7f', 127], ['e0', -32], ['ff', -1],
        ['c0', null], ['c2', false], ['c3', true],
        ['cc80', 128], ['cdffff', 65535], ['ceffffffff', 4294967295],
        ['cf001fffffffffffff', Number.MAX_SAFE_INTEGER],
        ['cf0020000000000001', JSON.parse('9007199254740993')],
        ['cfffffffffffffffff', JSON.parse('18446744073709551615')],
        ['d38000000000000000', JSON.parse('-9223372036854775808')],
        ['d080', -128], ['d18000', -32768], ['d280000000', -2147483648],
        ['d3ffe0000000000001', Number.MIN_SAFE_INTEGER],
        ['ca3fc00000', 1.5], ['cb3ff8000000000000', 1.5],
        ['a0', ''], ['a3616263', 'abc'], ['a4' + utf8('😀'), '😀'],
        ['d903616263', 'abc'], ['da0003616263', 'abc'],
        ['db00000003616263', 'abc'],
        ['90', []], ['9201a161', [1, 'a']], ['dc0002c0c0', [null, null]],
        ['dd0000000101', [1]],
        ['80', {}], ['81a16101', { a: 1 }], ['de0001a16190', { a: [] }],
        ['df00000001a161c0', { a: null }],
    ]) assert.deepEqual(of(hex), value, hex)
})

test('a view into a larger buffer', () => {
    const bytes = Uint8Array.from([9, 9, 0xa1, 0x61, 9])
    assert.equal(decode(bytes.subarray(2, 4)), 'a')
})

test('__proto__ is a key like others', () => {
    const value = of('81a9' + utf8('__proto__') + '81a178c3')
    assert.deepEqual(Object.keys(value), ['__proto__'])
    assert.equal(value.x, undefined)
})

test('what is broken throws', () => {
    for (const hex of ['', 'c1', 'a261', '92c0', '81a161', 'cc', 'cd00',
        'dbffffffff61', 'ddffffffff', 'dfffffffff', '0000', 'a1ff', '8101c0',
        'c40100', 'd40001', 'c70000',
        '91'.repeat(80) + 'c0']) assert.throws(() => of(hex), null, hex)
})
