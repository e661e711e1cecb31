// Copyright (C) Delta contributors

// The package as npm would install it: what is in it, what its entries lead
// to, and its hooks in a React of the system.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { cp, mkdir, mkdtemp, readFile, rm, stat, symlink }
    from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath, pathToFileURL } from 'node:url'

import { world } from './lib/fakes.js'

const SOURCE = fileURLToPath(new URL('../../src/client', import.meta.url))
const SYSTEM = '/usr/share/nodejs'      // where Debian has React
const here = createRequire(import.meta.url)

let top, manifest, require

const load = async name => import(pathToFileURL(require.resolve(name)))

before(async () => {
    top = await mkdtemp(join(tmpdir(), 'delta-package-'))
    const home = join(top, 'node_modules/delta-client')
    manifest = JSON.parse(await readFile(join(SOURCE, 'package.json')))
    for (const name of [...manifest.files, 'package.json']) {
        await mkdir(dirname(join(home, name)), { recursive: true })
        await cp(join(SOURCE, name), join(home, name), { recursive: true })
    }
    require = createRequire(join(top, 'main.js'))
})

after(() => rm(top, { recursive: true, force: true }))

test('nothing is missing in it, and nothing is needed beside it', async () => {
    assert.equal(manifest.dependencies, undefined)
    assert.equal(manifest.type, 'module')
    assert.ok(!manifest.private)

    const loaded = {}
    for (const [entry, { types, default: main }]
         of Object.entries(manifest.exports)) {
        for (const file of [types, main]) {
            const path = join(top, 'node_modules/delta-client', file)
            assert.ok((await stat(path)).isFile(), file)
        }
        if (entry === './react') continue
        loaded[entry] = Object.keys(
            await load(join('delta-client', entry))).sort()
    }
    assert.deepEqual(loaded, {
        '.': ['UnauthorizedError', 'above', 'createClient'],
        './stores': ['Store', 'createStores', 'merge'],
        './world': ['checksum', 'createSpaceSync', 'createStateSync'],
        './msgpack': ['decode'],
        './contract': ['check', 'isEvent', 'types', 'validate'],
    })
})

test('its types, to TypeScript', async t => {
    const tsc = join(SYSTEM, 'typescript/lib/tsc.js')
    if (!existsSync(tsc)) return t.skip('package node-typescript is needed')
    await cp(fileURLToPath(new URL('lib/types.ts', import.meta.url)),
             join(top, 'types.mts'))
    const { status, stdout } = spawnSync(process.execPath, [
        tsc, '--strict', '--noEmit', '--target', 'es2022',
        '--module', 'nodenext', join(top, 'types.mts')])
    assert.equal(String(stdout), '')
    assert.equal(status, 0)
})

test('its hooks in React: what changes is rendered, and only that',
     async t => {
    let React, renderer
    try {
        React = here('react')
        renderer = here('react-test-renderer')
    } catch (error) {
        return t.skip(`there is no React here: ${error.message}`)
    }

    await symlink(join(SYSTEM, 'react'), join(top, 'node_modules/react'))
    const { useEntities, useEntity, usePresence, useStatus }
        = await load('delta-client/react')
    const { createStores } = await load('delta-client/stores')
    const { act } = renderer
    const w = world()
    const socket = await w.up()
    const stores = createStores(w.client)
    const rendered = { name: 0, all: 0 }
    const { subscribe } = stores.users
    let listening = 0
    stores.users.subscribe = f => {
        const stop = subscribe(f)
        listening++
        return () => { listening--; stop() }
    }
    globalThis.IS_REACT_ACT_ENVIRONMENT = true

    const Name = ({ id }) => {
        rendered.name++
        const name = useEntity(stores.users, id, user => user?.name)
        const { status } = usePresence(stores, id)
        return `${name} ${status} ${useStatus(w.client).state}`
    }
    const All = () => {
        rendered.all++
        return ` ${useEntities(stores.users).length} users`
    }
    const page = () => tree.toJSON().join('')
    const change = f => act(async () => f())

    let tree
    stores.patchUser('ada', { name: 'Ada', bio: 'x' })
    await change(() => {
        tree = renderer.create(React.createElement(React.StrictMode, null,
            React.createElement(Name, { id: 'ada' }),
            React.createElement(All)))
    })
    assert.equal(page(), 'Ada offline connected 1 users')

    const { name } = rendered
    await change(() => stores.patchUser('ada', { bio: 'y' }))
    await change(() => stores.patchUser('ben', { name: 'Ben' }))
    assert.equal(page(), 'Ada offline connected 2 users')
    assert.equal(rendered.name, name, 'of a part nothing else is rendered')

    await change(() => socket.say({ v: 1, t: 'presence_sync', d: {
        presence: [{ id: 'ada', s: 'busy' }] } }))
    await change(() => stores.patchUser('ada', { name: 'A.' }))
    await change(() => socket.end(4501, 'why'))
    assert.equal(page(), 'A. busy disconnected 2 users')

    assert.equal(listening, 2)
    await change(() => tree.unmount())
    assert.equal(listening, 0, 'nobody listens any longer')
})
