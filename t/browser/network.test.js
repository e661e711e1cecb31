// Copyright (C) Delta contributors

import assert from 'node:assert/strict'
import { after, afterEach, before, test } from 'node:test'

import { Wire, base, end, leave, person, start, until }
    from './lib/browser.js'

const nginx = Number(process.env.DELTA_NGINX)
let people = []

const come = async (name, options) => {
    const one = await person(name, options)
    people.push(one)
    await one.channel('general')
    return one
}

before(start)
after(end)
afterEach(async () => {
    for (const { name, faults } of people) {
        assert.deepEqual(faults, [], `no fault in ${name}'s page`)
    }
    people = []
    await leave()
})

const pill = (one, what) => one.page.waitForSelector(`.pill${what}`)

test('the indicator says state, transport and latency', async () => {
    const ada = await come('ada')
    await pill(ada, '[data-transport=websocket]:has-text("Live")')
    await pill(ada, ':has-text(" ms")')
    await ada.page.click('.pill')
    await ada.sees(ada.page.locator('.menu dt', { hasText: 'Session' }))
    await ada.shot('connection')
})

test('a page that is loaded again goes on where it was', async () => {
    const ada = await come('ada')
    const ben = await come('ben')
    await ada.say('Before the reload')
    await ben.seesMessage('Before the reload')
    const before = ben.sockets.length

    await ben.page.reload()
    await ada.say('While it loads')
    await ben.live()
    await ben.page.waitForSelector('.title:has-text("general")')
    await ben.seesMessage('Before the reload')
    await ben.seesMessage('While it loads')
    assert.match(ben.sockets[before], /[?&]resume=.*[?&](?:since|at)=/,
                 'it came with what it had')
    await ada.say('After the reload')
    await ben.seesMessage('After the reload')
})

test('a tab that is duplicated begins a session of its own', async () => {
    const ada = await come('ada')
    const ben = await come('ben')
    await ben.page.reload()             // which had something to remember
    await ben.live()
    await ada.say('To both')
    await ben.seesMessage('To both')
    const before = ben.sockets.length

    // the new window has a copy of the storage of this one
    const [page] = await Promise.all([
        ben.context.waitForEvent('page'),
        ben.page.evaluate(() => { open(location.href) })])
    const [socket] = await Promise.all([
        page.waitForEvent('websocket'),
        page.waitForSelector('.pill[data-state=connected]')])
    assert.doesNotMatch(socket.url(), /[?&](?:resume|since|at)=/)
    await ada.say('To all three')
    await page.waitForSelector('.message:has-text("To all three")')
    await ben.seesMessage('To all three')
    assert.equal(ben.sockets.length, before, 'the first has lost nothing')
})

test('the library in a worker of the browser', async () => {
    const ada = await come('ada')
    await ada.page.evaluate(() => {
        const { token } = JSON.parse(sessionStorage.getItem(
            'delta demo login'))
        const worker = new Worker('/worker.js', { type: 'module' })
        window.told = []
        worker.onmessage = ({ data }) => window.told.push(data)
        worker.onerror = ({ message }) => window.told.push(message)
        worker.postMessage(token)
    })
    const told = () => ada.page.evaluate(() => window.told)
    await until('connected', async () => (await told()).length)
    await ada.page.click('[aria-label="Client settings"]')
    await ada.page.click('#tab-profile')
    await ada.page.fill('dialog [name=bio]', 'said to a worker')
    await ada.page.click('dialog button.solid')
    await until('logged out', async () => (await told()).length === 3)
    assert.deepEqual(await told(), ['connected websocket',
        'heard said to a worker', 'disconnected undefined'])
})

test('ten seconds without a network: said, and nothing is missing',
     async () => {
    const wire = await new Wire().open()
    const ada = await come('ada')
    const ben = await come('ben', { url: wire.url })
    const cut = Date.now()
    wire.cut()
    await ben.context.setOffline(true)
    await pill(ben, '[data-state=connecting]')
    await ada.say('Said to nobody')
    await ben.page.waitForSelector('.banner:visible')
    await ben.shot('offline')
    await ada.say('Said to nobody else')
    await until('ten seconds', () => Date.now() - cut > 10000)
    wire.mend()
    await ben.context.setOffline(false)
    await ben.live()
    await ben.seesMessage('Said to nobody', 2)
    await ben.page.waitForSelector('.banner', { state: 'hidden' })
    await ben.toast('Connected again')
    wire.close()
})

test('where WebSocket is blocked an event stream does', async () => {
    const ada = await come('ada')
    const ben = await come('ben', { cookies: [
        { name: 'websocket', value: 'blocked', url: base }] })
    await pill(ben, '[data-transport=sse]')
    await ada.say('By an event stream')
    await ben.seesMessage('By an event stream')
    await ben.channel('plans')
    await ada.channel('plans')
    await ada.say('In another channel')
    await ben.seesMessage('In another channel')
    await ben.shot('event-stream')
})

test('nginx is reloaded under the page', async () => {
    const ada = await come('ada')
    const ben = await come('ben')
    const before = ben.sockets.length
    await ada.say('Reload: one')
    await ben.seesMessage('Reload: one')
    process.kill(nginx, 'SIGHUP')
    await ada.say('Reload: two')
    await until('it has connected again',
                () => ben.sockets.length > before, 20000)
    await ada.say('Reload: three')
    await ben.live()
    await ada.live()
    await ada.say('Reload: four')
    await ben.seesMessage('Reload: four')
    await ben.seesMessage('Reload:', 4)
    await ada.seesMessage('Reload:', 4)
})

test('a world is the same in two windows, and after a cut', async () => {
    const wire = await new Wire().open()
    const ada = await come('ada')
    const ben = await come('ben', { url: wire.url })
    const world = one => one.page.evaluate(() => {
        const { status, tick, checksum } =
            document.querySelector('.view-world').dataset
        return { status, tick: Number(tick), checksum }
    })
    for (const one of [ada, ben]) {
        await one.page.click('[aria-label=World]')
        await one.page.waitForSelector('.view-world[data-status=live]')
    }
    const same = () => until('the same checksum at the same tick', async () => {
        const [a, b] = await Promise.all([world(ada), world(ben)])
        return a.tick === b.tick && a.status === 'live' && a.checksum
            && a.checksum === b.checksum
    })
    await same()
    const { tick } = await world(ben)
    wire.cut()
    await until('ada goes on', async () => (await world(ada)).tick > tick + 20)
    wire.mend()
    await until('ben follows', async () => (await world(ben)).tick > tick + 20)
    await same()
    await ada.shot('world')
    wire.close()
})
