// Copyright (C) Delta contributors

// A connection to Redis: commands in order, replies of one level.  It does not
// keep the process alive.

import net from 'node:net'

export class Redis {
    #waiting = []
    #rest = ''
    #list

    constructor(port) {
        this.socket = net.connect(port, '127.0.0.1')
        this.socket.setEncoding('latin1')
        this.socket.on('data', data => this.#read(data))
    }

    command(...words) {
        const sent = words.map(word =>
            `$${Buffer.byteLength(String(word))}\r\n${word}\r\n`)
        this.socket.ref()
        this.socket.write(`*${words.length}\r\n${sent.join('')}`)
        return new Promise((resolve, reject) =>
            this.#waiting.push({ resolve, reject }))
    }

    publish(channel, t, d) {
        return this.command('FCALL', 'delta_publish', 1, channel,
                            JSON.stringify({ t, d }))
    }

    #read(data) {
        this.#rest += data
        for (;;) {
            const line = /^([+:$*-])(.*)\r\n/.exec(this.#rest)
            if (!line) return
            if (line[1] === '*' && line[2] > 0) {
                this.#list = { left: Number(line[2]), values: [] }
                this.#rest = this.#rest.slice(line[0].length)
                continue
            }
            let end = line[0].length
            let value = line[2]
            if (line[1] === '$' && value !== '-1') {
                const n = Number(value)
                if (this.#rest.length < end + n + 2) return
                value = this.#rest.substr(end, n)
                end += n + 2
            }
            this.#rest = this.#rest.slice(end)
            if (this.#list) {
                this.#list.values.push(value)
                if (--this.#list.left) continue
                value = this.#list.values
                this.#list = undefined
            }
            const { resolve, reject } = this.#waiting.shift()
            if (line[1] === '-') reject(new Error(value))
            else resolve(value)
            if (!this.#waiting.length) this.socket.unref()
        }
    }
}
