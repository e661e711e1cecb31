// Copyright (C) Delta contributors

import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { after, afterEach, before, test } from 'node:test'

import { counts, end, leave, person, start, until } from './lib/browser.js'

let people = []

const come = async (...names) => {
    people = await Promise.all(names.map(name => person(name)))
    return people
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

// First, as whoever was here is held to be for a minute.

test('members are seen to come, to be busy, and to go',
     { skip: !process.env.DELTA_PRESENCE && 'the conf keeps no presence' },
     async () => {
    const [ben] = await come('ben')
    const line = status => ben.page.locator(
        `.side [data-user=ada][data-status=${status}]`)
    await ben.sees(line('offline'))

    const [ada] = await come('ada')
    await ben.sees(line('online'))
    await ada.page.click('.account-button')
    await ada.page.fill('.status-note input', 'the engine')
    await ada.page.keyboard.press('Enter')
    await ben.sees(line('online').filter({ hasText: 'the engine' }))
    await ada.page.click('.account-button')
    await ada.page.click('.menu >> text=Busy')
    await ben.sees(line('busy'))
    await ben.shot('presence')
    await ada.page.reload()
    await ada.live()
    await ben.sees(line('busy'))
    await ada.page.click('.pill')
    await ada.page.click('.menu >> text=Log out')
    await ben.sees(line('offline'))
})

// Whatever the page shows: each word that a friend's gateway says of ada.

test('row 4.8: a reload is not seen by a friend',
     { skip: !process.env.DELTA_PRESENCE && 'the conf keeps no presence' },
     async () => {
    const [ada, ben] = await come('ada', 'ben')
    const told = []
    ben.page.on('websocket', socket => socket.on('framereceived', frame => {
        const { t, d } = JSON.parse(frame.payload)
        if (t === 'presence_sync') {
            told.push(d.presence.some(({ id }) => id === 'ada'))
        } else if (t === 'presence_update' && d.id === 'ada') {
            told.push(d.s)
        }
    }))
    await ben.page.reload()
    await ben.live()
    await until('ben knows of ada', () => told.length)
    assert.deepEqual(told, [true], 'she is there')

    for (let n = 0; n < 3; n++) {
        const before = ada.sockets.length
        await ada.page.reload()
        await ada.live()
        await until('ada has come back',
                    () => ada.sockets.length > before)
        assert.match(ada.sockets[before], /[?&]resume=/, 'by her token')
    }
    await ada.page.click('.account-button')
    await ada.page.click('.menu >> text=Busy')
    await until('ben is told', () => told.includes('busy'))
    assert.deepEqual(told, [true, 'busy'], 'and of nothing before')
    await ada.page.click('.pill')
    await ada.page.click('.menu >> text=Log out')
    await until('she is gone, with all her sessions',
                () => told.includes('offline'))
    assert.deepEqual(told, [true, 'busy', 'offline'])
})

test('row 3.8: a message sent, edited, reacted to, deleted, in each window',
     async () => {
    const [ada, ben] = await come('ada', 'ben')
    await ada.channel('general')
    await ben.channel('general')
    await ada.say('A first word')
    await ben.seesMessage('A first word')
    await ada.seesMessage('A first word')

    await ada.tool('A first word', 'Edit')
    await ada.page.fill('textarea.edit', 'A second thought')
    await ada.page.keyboard.press('Enter')
    await ben.seesMessage('A second thought (edited)')
    await ben.seesMessage('A first word', 0)

    await ben.tool('A second thought', 'React')
    await ben.page.click('.menu [aria-label="🎉"]')
    const reaction = one => one.message('A second thought')
        .locator('.reactions button')
    await ada.sees(reaction(ada).filter({ hasText: '1' }))
    await ben.sees(reaction(ben).and(ben.page.locator('[aria-pressed=true]')))
    await reaction(ada).click()
    await ben.sees(reaction(ben).filter({ hasText: '2' }))
    await ben.shot('messages')
    await reaction(ben).click()
    await reaction(ada).click()
    await ben.sees(reaction(ben), 0)

    await ada.tool('A second thought', 'Delete')
    await ada.page.click('dialog button.danger')
    await ben.seesMessage('A second thought', 0)
    await ada.seesMessage('A second thought', 0)
})

test('row 3.8: an older page beside a newer one', async () => {
    const [ada] = await come('ada')
    const ben = await person('ben', { without: 'message_reaction' })
    people.push(ben)
    for (const one of [ada, ben]) await one.channel('general')
    await ada.say('For old and new')
    await ben.seesMessage('For old and new')

    await ada.tool('For old and new', 'React')
    await ada.page.click('.menu [aria-label="🎉"]')
    await ada.sees(ada.message('For old and new').locator('.reactions button'))
    await ada.tool('For old and new', 'Edit')
    await ada.page.fill('textarea.edit', 'For new and old')
    await ada.page.keyboard.press('Enter')
    await ben.seesMessage('For new and old (edited)')
    await ben.sees(ben.message('new and old').locator('.reactions'), 0)
    await ben.page.click('.pill')
    await ben.sees(ben.page.locator('dt:has-text("Unknown types") + dd')
        .filter({ hasText: /^1$/ }))
    await ada.tool('For new and old', 'Delete')
    await ada.page.click('dialog button.danger')
    await ben.seesMessage('For new and old', 0)
})

// Requests below /api/guilds/g1/channels, as who is logged in there.

const backend = one => (path, method = 'GET', body) => one.page.evaluate(
    async ([path, method, body]) => {
        const { token } = JSON.parse(sessionStorage.getItem(
            'delta demo login'))
        const file = typeof body === 'string'
        const answer = await fetch(`/api/guilds/g1/channels${path}`, {
            method, body: file ? body : body && JSON.stringify(body),
            headers: { Authorization: `Bearer ${token}`, 'Content-Type':
                file ? 'text/plain' : 'application/json' } })
        return answer.status === 204 ? null : answer.json()
    }, [path, method, body])

test('a file of a message can be had', async () => {
    const [ada, ben] = await come('ada', 'ben')
    const api = backend(ada)
    await ben.channel('general')
    const { message_id: id } = await api('/c1/messages', 'POST',
                                         { content: 'With a file' })
    await api(`/c1/messages/${id}/attachments?filename=plan.txt`, 'POST',
              'First we make a plan.')
    const [download] = await Promise.all([
        ben.page.waitForEvent('download'),
        ben.message('With a file').locator('.attachment').click()])
    assert.equal(download.suggestedFilename(), 'plan.txt')
    assert.equal(await readFile(await download.path(), 'utf8'),
                 'First we make a plan.')
    await api(`/c1/messages/${id}`, 'DELETE')
    await ben.seesMessage('With a file', 0)
})

test('older messages come as one scrolls up, and nothing jumps', async () => {
    const [ada, ben] = await come('ada', 'ben')
    const api = backend(ada)
    const { channel_id: id } = await api('', 'POST', { name: 'archive' })
    const ids = []
    for (let n = 1; n <= 120; n++) {
        ids.push((await api(`/${id}/messages`, 'POST',
                            { content: `Entry ${n}.` })).message_id)
    }
    await ben.channel('archive')
    await ben.seesMessage('Entry 120.')
    await api(`/${id}/messages/${ids[4]}`, 'PATCH', { content: 'Changed.' })
    await api(`/${id}/messages/${ids[119]}`, 'PATCH', { content: 'The last.' })
    await ben.seesMessage('The last.')
    await ben.seesMessage('Changed.', 0)

    const scroll = ben.page.locator('.messages-scroll')
    const top = (text, to) => ben.message(text).evaluate((line, to) => {
        if (to) line.closest('.scroll').scrollTop = to
        return line.querySelector('.content').getBoundingClientRect().top
    }, to)
    for (const [here, next] of [['Entry 71.', 'Entry 70.'],
                                ['Entry 21.', 'Entry 20.']]) {
        await ben.seesMessage(here)
        await ben.seesMessage(next, 0)
        const before = await top(here, 150)
        await ben.seesMessage(next)
        const after = await top(here)
        assert.ok(Math.abs(after - before) < 3, `${here} ${before} ${after}`)
    }
    await scroll.evaluate(one => { one.scrollTop = 0 })
    await ben.sees(ben.page.locator('.start')
        .filter({ hasText: 'This is where #archive begins.' }))
    await ben.seesMessage('Changed.')
    await ben.shot('older')
    await ada.channel('archive')
    await ada.say('Far below')
    await ben.seesMessage('Far below')
    await ben.page.click('text=To the newest')
    await ben.sees(ben.page.locator('.newest:visible'), 0)
    await api(`/${id}`, 'DELETE')
    await ben.sees(ben.page.locator('.channels li')
        .filter({ hasText: 'archive' }), 0)
})

test('older messages that do not come: said in words, tried again',
     async () => {
    const [ada] = await come('ada')
    await ada.channel('general')
    let fails = true
    await ada.page.route('**/messages?*', async route => {
        const before = route.request().url().includes('before=')
        if (!before) {
            const response = await route.fetch()
            const json = await response.json()
            return route.fulfill({ response, json: { ...json,
                                                     has_more: true } })
        }
        if (fails) return route.fulfill({ status: 503, body: 'oops' })
        return route.fulfill({ json: { messages: [], has_more: false } })
    })
    await ada.channel('plans')
    await ada.page.click('text=Load older messages')
    await ada.sees(ada.page.locator('.start').filter({ hasText:
        'Older messages could not be loaded. The server cannot answer' }))
    await ada.shot('older-failed')
    fails = false
    await ada.page.click('.older button')
    await ada.sees(ada.page.locator('.start')
        .filter({ hasText: 'This is where #plans begins.' }))
})

test('who is not followed is not said to be away', async () => {
    const [ben, cleo] = await come('ben', 'cleo')
    const line = status => ben.page.locator(
        `.side [data-user=cleo][data-status=${status}]`)
    await ben.sees(line('unknown'))
    await ben.sees(line('unknown').locator('.dot'), 0)
    await ben.sees(ben.page.locator('.side .label')
        .filter({ hasText: 'Not followed — 1' }))
    await ben.shot('not-followed')
    await line('unknown').click()
    await ben.page.click('.menu >> text=Follow')
    await ben.sees(line('online'))
    await cleo.page.click('.pill')
    await cleo.page.click('.menu >> text=Log out')
    await ben.sees(line('offline'))
    await line('offline').click()
    await ben.page.click('.menu >> text=Unfollow')
    await ben.sees(line('unknown'))
})

test('by the keyboard alone: write, edit the last, leave it', async () => {
    const [ada] = await come('ada')
    await ada.channel('plans')
    const { keyboard } = ada.page
    await ada.page.focus('textarea[name=message]')
    await keyboard.type('Typed')
    await keyboard.press('Enter')
    await ada.seesMessage('Typed')
    await keyboard.press('ArrowUp')
    await ada.page.waitForSelector('textarea.edit:focus')
    await keyboard.type(' again')
    await keyboard.press('Enter')
    await ada.seesMessage('Typed again')
    await keyboard.press('ArrowUp')
    await ada.page.waitForSelector('textarea.edit:focus')
    await keyboard.press('Escape')
    await ada.page.waitForSelector('textarea[name=message]:focus')
})

test('Tab reaches all of it, with a name and a ring that is seen', async () => {
    const [ada] = await come('ada')
    await ada.channel('general')
    const reached = new Set()
    for (let n = 0; n < 40; n++) {
        await ada.page.keyboard.press('Tab')
        const { what, name, ring } = await ada.page.evaluate(() => {
            const one = document.activeElement
            const style = getComputedStyle(one)
            return {
                what: one.dataset.f || one.name || one.className,
                name: one.ariaLabel || one.textContent.trim(),
                ring: style.outlineStyle !== 'none'
                    && parseFloat(style.outlineWidth) >= 2
                    || one.closest('.composer') !== null,
            }
        })
        if (!what) continue             // the document itself
        assert.ok(name, what)
        assert.ok(ring, `${what}: ${name}`)
        reached.add(what).add(name)
    }
    for (const one of ['Friends', 'tile', 'Add a workspace', 'World',
                       'New channel', 'channel', 'gear', 'me', 'message',
                       'Client settings', 'Connection', 'react', 'member']) {
        assert.ok(reached.has(one), `${one}: ${[...reached].join(', ')}`)
    }
})

test('row 3.8: a workspace is renamed in three windows', async () => {
    const [ada, ben, cleo] = await come('ada', 'ben', 'cleo')
    await ada.workspaceSettings('overview')
    await ada.page.fill('dialog [name=name]', 'The Workshop')
    await ada.page.selectOption('dialog [name=visibility]', 'private')
    await ada.shot('workspace-settings')
    await ada.page.click('dialog button.solid')
    for (const one of [ada, ben, cleo]) {
        await one.sees(one.page.locator('.workspace-button .name')
            .filter({ hasText: 'The Workshop' }))
        await one.sees(one.page.locator(
            '.workspaces [aria-label="The Workshop"]'))
    }
    await ada.page.selectOption('dialog [name=visibility]', 'public')
    await ada.page.fill('dialog [name=name]', 'Guild One')
    await ada.page.click('dialog button.solid')
    await ben.sees(ben.page.locator('.workspaces [aria-label="Guild One"]'))
})

test('row 3.8: a role taken away hides its channel, open or not', async () => {
    const [ada, ben, cleo] = await come('ada', 'ben', 'cleo')
    const office = one => one.page.locator('.channels li')
        .filter({ hasText: 'back-office' })
    await ben.channel('back-office')
    await ben.seesMessage('Only helpers read this.')
    await cleo.sees(office(cleo), 0)

    await ada.workspaceSettings('members')
    const role = user => ada.page.locator(
        `dialog [data-user=${user}] [data-role=r1]`)
    await role('ben').uncheck()
    await ben.sees(office(ben), 0)
    await ben.toast('back-office is not open to you any more')
    await ben.seesMessage('Only helpers read this.', 0)
    await ben.sees(ben.page.locator('.title').filter({ hasText: 'general' }))
    await ben.shot('channel-hidden')

    await role('cleo').check()
    await cleo.sees(office(cleo))
    await cleo.channel('back-office')
    await cleo.seesMessage('Only helpers read this.')
    await role('cleo').uncheck()
    await role('ben').check()
    await cleo.sees(office(cleo), 0)
    await ben.sees(office(ben))
})

test('a channel is made, closed to a role, and deleted', async () => {
    const [ada, cleo] = await come('ada', 'cleo')
    const line = one => one.page.locator('.channels li')
        .filter({ hasText: 'ideas' })
    await ada.page.click('[aria-label="New channel"]')
    await ada.page.fill('dialog [name=name]', 'ideas')
    await ada.page.click('dialog button.solid')
    await cleo.sees(line(cleo))
    await cleo.channel('ideas')

    await line(ada).locator('.icon-button').click()
    await ada.page.click('#tab-access')
    await ada.page.selectOption('dialog [data-role=g1]', 'deny')
    await cleo.sees(line(cleo), 0)
    await ada.page.selectOption('dialog [data-role=g1]', '')
    await cleo.sees(line(cleo))
    await ada.page.click('#tab-overview')
    await ada.page.click('dialog button.danger')
    await ada.page.click('dialog button.danger.solid')
    await cleo.sees(line(cleo), 0)
    await ada.sees(line(ada), 0)
})

test('row 3.8: profile and picture change before all eyes', async () => {
    const [ben, ada] = await come('ben', 'ada')
    await ben.page.click('[aria-label="Client settings"]')
    await ben.page.click('#tab-profile')
    await ben.page.fill('dialog [name=display_name]', 'Benjamin')
    await ben.page.fill('dialog [name=status_text]', 'On a train')
    await ben.page.click('dialog button.solid')
    const line = one => one.page.locator('.side [data-user=ben]')
    await ada.sees(line(ada).filter({ hasText: 'Benjamin' }))

    const png = await ben.page.evaluate(() => {
        const canvas = document.createElement('canvas')
        canvas.width = canvas.height = 64
        const c = canvas.getContext('2d')
        c.fillStyle = '#e11d48'
        c.fillRect(0, 0, 64, 64)
        return canvas.toDataURL('image/png').split(',')[1]
    })
    await ben.page.setInputFiles('dialog [name=avatar]', {
        name: 'me.png', mimeType: 'image/png',
        buffer: Buffer.from(png, 'base64') })
    await ben.toast('Your picture has changed')
    await until('ada has the picture', () => line(ada).locator('img').evaluate(
        img => img.complete && img.naturalWidth === 256).catch(() => false))
    await ben.shot('profile')
    await ben.page.fill('dialog [name=display_name]', 'Ben')
    await ben.page.click('dialog button.solid')
    await ada.sees(line(ada).filter({ hasText: 'Benjamin' }), 0)
})

test('a friend is asked, accepts, and is let go', async () => {
    const [ada, dan] = await come('ada', 'dan')
    for (const one of [ada, dan]) await one.page.click('[aria-label=Friends]')
    await ada.page.fill('.ask input', 'nobody')
    await ada.page.click('.ask button')
    await ada.toast('There is no user nobody.')
    await ada.page.fill('.ask input', 'dan')
    await ada.page.click('.ask button')
    await dan.sees(dan.page.locator('.rail [data-count="1"]'))
    await dan.shot('friend-request')
    await dan.page.click('[data-user=ada] >> text=Accept')
    for (const one of [ada, dan]) {
        await one.sees(one.page.locator('.label')
            .filter({ hasText: 'Friends — 1' }).and(
                one.page.locator(':visible')))
    }
    await ada.page.click('.cards [data-user=dan] [aria-label^=Remove]')
    await dan.sees(dan.page.locator('.cards [data-user=ada]'), 0)
    await ada.sees(ada.page.locator('.cards [data-user=dan]'), 0)
})

test('row 3.2: a kick closes the channel that is open', async () => {
    const [ada, cleo, ben] = await come('ada', 'cleo', 'ben')
    await cleo.channel('general')
    await ada.page.click('.side [data-user=cleo]')
    await ada.page.click('.menu >> text=Kick')
    await ada.page.click('dialog button.danger')

    await cleo.toast('You are no longer in Guild One')
    await cleo.sees(cleo.page.locator('.workspaces .tile'), 0)
    await cleo.sees(cleo.page.locator('.message:visible'), 0)
    await cleo.sees(cleo.page.locator('.title')
        .filter({ hasText: 'Friends' }))
    await cleo.shot('kicked')
    await ben.sees(ben.page.locator('.side [data-user=cleo]'), 0)
    await ada.say('Nothing that cleo hears')
    await ben.seesMessage('Nothing that cleo hears')
    await cleo.seesMessage('Nothing that cleo hears', 0)

    await cleo.page.click('[aria-label="Add a workspace"]')
    await cleo.page.fill('dialog form:nth-of-type(2) input', 'g1')
    await cleo.page.click('dialog form:nth-of-type(2) button')
    await ben.sees(ben.page.locator('.side [data-user=cleo]'))
    await cleo.seesMessage('Nothing that cleo hears')
})

test('row 3.7: the gear opens client settings, the menu the workspace’s',
     async () => {
    const [ada, cleo] = await come('ada', 'cleo')
    const tabs = one => one.page.locator('[role=tab]').allTextContents()
    const title = one => one.page.locator('dialog h2').textContent()

    for (const one of [ada, cleo]) {
        await one.page.click('.channel-rail footer >> .icon-button')
        assert.equal(await title(one), 'Client settings')
        assert.deepEqual(await tabs(one), ['Voice', 'Profile'])
        await one.page.keyboard.press('ArrowDown')
        await one.shot(`client-settings-${one.name}`)
        await one.page.keyboard.press('Escape')
        await one.sees(one.page.locator('dialog'), 0)
    }

    await ada.workspaceSettings()
    assert.equal(await title(ada), 'Workspace settings')
    assert.deepEqual(await tabs(ada), ['Overview', 'Roles', 'Members', 'Bans'])
    await ada.page.click('#tab-roles')
    await ada.page.click('dialog summary')
    await ada.shot('workspace-roles')
    await ada.close()

    await cleo.page.click('.workspace-button')
    await cleo.sees(cleo.page.locator('.menu >> text=Leave workspace'))
    await cleo.sees(cleo.page.locator('.menu >> text=Workspace settings'), 0)
    await cleo.page.keyboard.press('Escape')

    await ada.workspaceSettings('members')
    await ada.page.selectOption('dialog [data-user=cleo] select', 'moderator')
    await until('cleo has got the right', async () => {
        await cleo.page.click('.workspace-button')
        const has = await cleo.page.locator(
            '.menu >> text=Workspace settings').count()
        await cleo.page.keyboard.press('Escape')
        return has
    })
    await cleo.workspaceSettings()
    assert.deepEqual(await tabs(cleo), ['Members', 'Bans'])
    await ada.page.selectOption('dialog [data-user=cleo] select', 'member')
})

// What cannot be read well: the contrast as WCAG reckons it, 4.5 for text, 3
// for what is bold.

const faint = one => one.page.evaluate(() => {
    const rgb = color => {
        const c = document.createElement('canvas').getContext('2d')
        c.fillStyle = color
        c.fillRect(0, 0, 1, 1)
        return [...c.getImageData(0, 0, 1, 1).data]
    }
    const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
        .map(v => v > .04045 ? ((v + .055) / 1.055) ** 2.4 : v / 12.92)
        .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0)
    const behind = element => {
        for (; element; element = element.parentElement) {
            const color = rgb(getComputedStyle(element).backgroundColor)
            if (color[3] === 255) return color
        }
        return [255, 255, 255]
    }
    return [...document.querySelectorAll('.frame *')].filter(one =>
        one.checkVisibility() && [...one.childNodes].some(
            node => node.nodeType === 3 && node.data.trim()))
        .map(one => {
            const { color, fontWeight } = getComputedStyle(one)
            const [a, b] = [light(rgb(color)), light(behind(one))]
            return { text: one.textContent, color, least:
                Number(fontWeight) > 550 ? 3 : 4.5, ratio:
                (Math.max(a, b) + .05) / (Math.min(a, b) + .05) }
        }).filter(({ ratio, least }) => ratio < least)
})

test('by day and by night, all that is written can be read', async () => {
    for (const colorScheme of ['light', 'dark']) {
        const ada = await person('ada', { colorScheme })
        people.push(ada)
        await ada.channel('general')
        assert.deepEqual(await faint(ada), [], `${colorScheme}, a channel`)
        await ada.shot(`desk-${colorScheme}`)
        await ada.page.click('[aria-label=Friends]')
        assert.deepEqual(await faint(ada), [], `${colorScheme}, friends`)
        await ada.page.click('[aria-label=World]')
        await ada.page.waitForSelector('.view-world[data-status=live]')
        assert.deepEqual(await faint(ada), [], `${colorScheme}, the world`)
        await ada.shot(`desk-${colorScheme}-world`)
    }
})

test('on a phone, light and dark, nothing is wider than the screen',
     async () => {
    for (const colorScheme of ['light', 'dark']) {
        const ada = await person('ada', {
            colorScheme, viewport: { width: 360, height: 700 },
            isMobile: true, hasTouch: true })
        people.push(ada)
        const fits = async what => {
            await ada.shot(`phone-${colorScheme}-${what}`)
            assert.ok(await ada.page.evaluate(() =>
                ['html', 'main', 'dialog .panel'].every(name => {
                    const one = document.querySelector(name)
                    return !one || one.scrollWidth <= one.clientWidth
                })), what)
        }
        await ada.page.click('.burger')
        await ada.page.waitForSelector('.title:has-text("general")')
        await counts(ada.page.locator('.channel-rail:visible'), 1)
        await ada.channel('general')
        await fits('channel')
        await counts(ada.page.locator('.channel-rail:visible'), 0)
        await ada.page.click('.people-toggle')
        await ada.page.click('.side [data-user=ben]')
        await ada.page.keyboard.press('Escape')
        await ada.page.click('.shade', { position: { x: 5, y: 300 } })
        await ada.page.click('.burger')
        await ada.page.click('[aria-label="Client settings"]')
        await ada.page.click('#tab-profile')
        await fits('profile')
        await ada.close()
        await ada.page.click('[aria-label=World]')
        await fits('world')
    }
})
