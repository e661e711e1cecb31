// Copyright (C) Delta contributors

// People before the page, each in a window of their own.

import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import net from 'node:net'

const { env } = process
const { chromium } = createRequire(`${env.DELTA_PLAYWRIGHT}/`)(
    'playwright-core')

export const base = env.DELTA_URL
export const slow = Number(env.DELTA_SLOW)
const WAIT_MS = 8000 * slow

let browser
const contexts = new Set()

// Root has no sandbox, and there need be no display.

export async function start() {
    browser = await chromium.launch({
        executablePath: env.DELTA_CHROMIUM,
        args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'],
    })
}

export async function leave() {
    await Promise.all([...contexts].map(context => context.close()))
    contexts.clear()
}

export async function end() {
    await leave()
    await browser?.close()
}

class Person {
    faults = []
    sockets = []                // URLs of WebSockets

    constructor(name, context, page) {
        Object.assign(this, { name, context, page })
        page.setDefaultTimeout(WAIT_MS)
        page.on('pageerror', error => this.faults.push(error.stack))
        page.on('console', line => {
            if (env.DELTA_DEBUG && line.type() === 'error') {
                console.error(name, line.text())
            }
        })
        page.on('websocket', socket => this.sockets.push(socket.url()))
    }

    async login() {
        await this.page.click(`button[name=${this.name}]`)
        await this.live()
    }

    live = () => this.page.waitForSelector('.pill[data-state=connected]')

    // #name, by the list of channels

    async channel(name) {
        await this.page.click(`.channels a:has-text("${name}")`)
        await this.page.waitForSelector(`.title:has-text("${name}")`)
        await this.page.waitForSelector('.message, .view-w > .pad')
    }

    message = text => this.page.locator('.message:not(.pending)')
        .filter({ hasText: text })

    async say(text) {
        await this.page.fill('textarea[name=message]', text)
        await this.page.keyboard.press('Enter')
    }

    async tool(text, label) {
        const line = this.message(text).locator('article')
        await line.hover()
        await line.locator(`.tools [aria-label="${label}"]`).click()
    }

    sees = (locator, count = 1) => counts(locator, count, this.name)
    seesMessage = (text, count) => this.sees(this.message(text), count)

    async workspaceSettings(tab) {
        await this.page.click('.workspace-button')
        await this.page.click('.menu >> text=Workspace settings')
        if (tab) await this.page.click(`#tab-${tab}`)
    }

    close = () => this.page.click('dialog [aria-label=Close]')

    toast = text => this.sees(this.page.locator('.toast')
        .filter({ hasText: text }))

    shot(what) {
        return this.page.screenshot({
            path: `${env.DELTA_SCREENSHOTS}/${what}.png` })
    }
}

// So many of them, at last.

export async function counts(locator, count, who = '') {
    const end = Date.now() + WAIT_MS
    let found
    while ((found = await locator.count()) !== count && Date.now() < end) {
        await new Promise(go => setTimeout(go, 40))
    }
    if (found !== count) {
        await locator.page().screenshot({
            path: `${env.DELTA_SCREENSHOTS}/failed.png` })
    }
    assert.equal(found, count, `${who} sees ${locator}`)
}

export async function until(what, f, ms = WAIT_MS) {
    const end = Date.now() + ms
    while (!await f()) {
        assert.ok(Date.now() < end, `${what}, in time`)
        await new Promise(go => setTimeout(go, 40))
    }
}

// without: a type of event that this one's page is too old to know.

export async function person(name, { url = base, cookies, path = '/', without,
                                     ...options } = {}) {
    const context = await browser.newContext({
        viewport: { width: 1200, height: 760 }, reducedMotion: 'reduce',
        ...options })
    contexts.add(context)
    if (without) {
        await context.route('**/*.js', async route => {
            const response = await route.fetch()
            await route.fulfill({ response, body: (await response.text())
                .replaceAll(without, 'not_yet_invented') })
        })
    }
    if (cookies) await context.addCookies(cookies)
    const one = new Person(name, context, await context.newPage())
    await one.page.goto(url + path)
    await one.login()
    return one
}

// A network that can be cut, before nginx.

export class Wire {
    #sockets = new Set()
    #cut = false

    constructor() {
        const { hostname, port } = new URL(base)
        this.server = net.createServer(near => {
            if (this.#cut) return near.destroy()
            const far = net.connect(port, hostname)
            for (const [one, other] of [[near, far], [far, near]]) {
                this.#sockets.add(one)
                one.pipe(other)
                one.on('error', () => other.destroy())
                one.on('close', () => {
                    this.#sockets.delete(one)
                    other.destroy()
                })
            }
        })
    }

    async open() {
        await new Promise(go => this.server.listen(0, '127.0.0.1', go))
        this.url = `http://127.0.0.1:${this.server.address().port}`
        return this
    }

    cut() {
        this.#cut = true
        this.#sockets.forEach(socket => socket.destroy())
    }

    mend() {
        this.#cut = false
    }

    close() {
        this.cut()
        this.server.close()
    }
}
