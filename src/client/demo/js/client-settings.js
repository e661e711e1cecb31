// Copyright (C) Delta contributors

// What belongs to oneself, wherever one is: voice and profile.

import { userAvatar } from './avatar.js'
import { h, icon, toast } from './dom.js'
import { field, form, tabbed } from './tabs.js'

const KEY = 'delta demo voice'
const PICTURES = ['image/png', 'image/jpeg', 'image/webp', 'image/gif']
const SIDE = 256                // of an avatar, in pixels

export function clientSettings(app, first) {
    const ends = []
    return tabbed('Client settings', [
        ['voice', 'Voice', () => voice(ends)],
        ['profile', 'Profile', () => profile(app, ends)],
    ], { first, onclose: () => ends.forEach(end => end()) })
}

function stored() {
    try {
        return JSON.parse(localStorage.getItem(KEY)) ?? {}
    } catch {
        return {}
    }
}

function voice(ends) {
    const settings = { volume: 80, noise: true, echo: true, ...stored() }
    const keep = () => localStorage.setItem(KEY, JSON.stringify(settings))
    const level = h('meter', { min: 0, max: 1, value: 0,
                               'aria-label': 'Level of the microphone' })
    const test = h('button', { type: 'button', onclick: listen },
                   icon('mic'), 'Test the microphone')
    const input = device('Microphone', 'input')
    const output = device('Loudspeaker', 'output')
    let stop = null

    ends.push(() => stop?.())
    fill()

    function device(label, name) {
        const select = h('select', { name, onchange: () => {
            settings[name] = select.value
            keep()
        } }, h('option', { value: '' }, 'The system’s'))
        return { select, element: h('label', {}, label, select) }
    }

    async function fill() {
        const all = await navigator.mediaDevices?.enumerateDevices?.()
            .catch(() => []) ?? []
        for (const [part, kind, name] of [
            [input, 'audioinput', 'input'], [output, 'audiooutput', 'output'],
        ]) {
            part.select.append(...all
                .filter(one => one.kind === kind && one.deviceId
                    && one.deviceId !== 'default')
                .map((one, i) => h('option', { value: one.deviceId },
                                   one.label || `Device ${i + 1}`)))
            part.select.value = settings[name] ?? ''
        }
    }

    async function listen() {
        if (stop) return stop()
        try {
            const media = await navigator.mediaDevices.getUserMedia({ audio: {
                deviceId: settings.input || undefined,
                noiseSuppression: settings.noise,
                echoCancellation: settings.echo,
            } })
            const audio = new AudioContext()
            const analyser = audio.createAnalyser()
            const data = new Float32Array(analyser.fftSize)
            audio.createMediaStreamSource(media).connect(analyser)
            const timer = setInterval(() => {
                analyser.getFloatTimeDomainData(data)
                level.value = Math.min(1, 4 * Math.sqrt(
                    data.reduce((sum, one) => sum + one * one, 0)
                    / data.length))
            }, 60)
            stop = () => {
                clearInterval(timer)
                media.getTracks().forEach(track => track.stop())
                audio.close()
                level.value = 0
                stop = null
            }
            fill()
        } catch (error) {
            toast(`No microphone: ${error.message}`, 'warn')
        }
    }

    const check = (label, name) => h('label', { class: 'check' },
        h('input', { type: 'checkbox', checked: settings[name],
                     onchange: event => {
                         settings[name] = event.target.checked
                         keep()
                     } }), label)

    return h('div', { class: 'stack' }, input.element, output.element,
        h('label', {}, 'Volume', h('input', {
            type: 'range', min: '0', max: '100', value: String(settings.volume),
            oninput: event => {
                settings.volume = Number(event.target.value)
                keep()
            } })),
        check('Suppress noise', 'noise'), check('Cancel echo', 'echo'),
        h('div', { class: 'row' }, test, level))
}

function profile(app, ends) {
    const { model } = app
    const { api, stores } = model
    const me = stores.users.get(model.user) ?? {}
    const face = h('div', { class: 'row face-row' })
    const file = h('input', { type: 'file', accept: PICTURES.join(),
                              name: 'avatar', 'aria-label': 'Picture',
                              onchange: upload })

    const show = () => face.replaceChildren(
        userAvatar(model, model.user, 88), h('div', { class: 'stack' },
            h('b', {}, 'Picture'), file,
            h('small', { class: 'quiet' }, 'PNG, JPEG, WebP or GIF')))
    ends.push(stores.users.subscribe(show))
    show()

    async function upload() {
        const [picture] = file.files
        if (!picture) return
        try {
            await api.avatar(await square(picture))
            toast('Your picture has changed.', 'good')
        } catch (error) {
            toast(error.message, 'bad')
        }
        file.value = ''
    }

    return h('div', { class: 'stack' }, face, form([
        field('Name', 'display_name', me.display_name,
              { required: true, maxLength: 128 }),
        field('Status', 'status_text', me.status_text, { maxLength: 256 }),
        field('About', 'bio', me.bio, { rows: 4, maxLength: 4096 }),
    ], 'Save', async ({ display_name, status_text, bio }) => {
        const { cursor } = await api.profile({
            display_name, status_text: status_text || null, bio: bio || null })
        await model.client.seen(cursor)
    }))
}

// The middle of a picture, small enough for every list.

async function square(file) {
    const picture = await createImageBitmap(file)
    const side = Math.min(picture.width, picture.height)
    const canvas = h('canvas', { width: SIDE, height: SIDE })
    canvas.getContext('2d').drawImage(picture,
        (picture.width - side) / 2, (picture.height - side) / 2, side, side,
        0, 0, SIDE, SIDE)
    return new Promise(done => canvas.toBlob(done, 'image/png'))
}
