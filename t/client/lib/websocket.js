// Copyright (C) Delta contributors

// A WebSocket for the tests, as Node 18 has none: what the client uses of the
// browser's, over node:http.

import { randomBytes } from 'node:crypto'
import http from 'node:http'

export class WebSocket {
    readyState = 0
    protocol = ''
    binaryType = 'arraybuffer'
    #socket
    #rest = Buffer.alloc(0)
    #fragments = []
    #close = { code: 1006, reason: '' }

    constructor(url, protocols = []) {
        if (protocols.some(name => !/^[!#$%&'*+.^_`|~\w-]+$/.test(name))) {
            throw new SyntaxError('A subprotocol is no token.')
        }
        this.request = http.get(url.replace(/^ws/, 'http'), { headers: {
            Connection: 'Upgrade',
            Upgrade: 'websocket',
            'Sec-WebSocket-Version': 13,
            'Sec-WebSocket-Key': randomBytes(16).toString('base64'),
            'Sec-WebSocket-Protocol': protocols.join(', '),
        } })
        this.request.on('upgrade', (answer, socket, head) => {
            this.#socket = socket
            this.protocol = answer.headers['sec-websocket-protocol'] ?? ''
            this.readyState = 1
            socket.on('data', data => this.#read(data))
            socket.on('error', () => {})
            socket.on('close', () => this.#ended())
            this.onopen?.({})
            if (head.length) this.#read(head)
        })
        this.request.on('response', answer => {
            answer.destroy()
            this.#ended()
        })
        this.request.on('error', () => this.#ended())
    }

    send(text) {
        this.#frame(1, Buffer.from(text))
    }

    close(code, reason = '') {
        if (this.readyState > 1) return
        if (this.readyState === 0) {
            this.readyState = 2
            this.request.destroy()
            return this.#ended()
        }
        this.readyState = 2
        this.#frame(8, code ? Buffer.concat([
            Buffer.from([code >> 8, code & 255]), Buffer.from(reason),
        ]) : Buffer.alloc(0))
        this.#socket.end()
    }

    // What no browser does: the network is cut.

    cut() {
        this.#socket?.destroy()
    }

    #frame(opcode, payload) {
        const mask = randomBytes(4)
        const n = payload.length
        const head = n < 126 ? Buffer.from([0x80 | opcode, 0x80 | n])
            : Buffer.from([0x80 | opcode, 0xfe, n >> 8, n & 255])
        this.#socket.write(Buffer.concat([
            head, mask, payload.map((byte, i) => byte ^ mask[i & 3]),
        ]))
    }

    #read(data) {
        this.#rest = Buffer.concat([this.#rest, data])

        for (;;) {
            const b = this.#rest
            if (b.length < 2) return
            let n = b[1] & 127
            let at = 2
            if (n === 126) {
                if (b.length < 4) return
                n = b.readUInt16BE(2)
                at = 4
            } else if (n === 127) {
                if (b.length < 10) return
                n = Number(b.readBigUInt64BE(2))
                at = 10
            }
            if (b.length < at + n) return
            this.#rest = b.subarray(at + n)
            this.#message(b[0], b.subarray(at, at + n))
        }
    }

    #message(first, payload) {
        const opcode = first & 15

        if (opcode === 9) return this.#frame(10, payload)
        if (opcode === 8) {
            this.#close = payload.length < 2 ? { code: 1005, reason: '' }
                : { code: payload.readUInt16BE(0),
                    reason: payload.toString('utf8', 2) }
            if (this.readyState === 1) this.close(this.#close.code)
            return
        }
        if (opcode > 2) return

        this.#fragments.push(payload)
        this.opcode = opcode || this.opcode
        if (first & 0x80) {
            const whole = Buffer.concat(this.#fragments)
            this.#fragments = []
            this.onmessage?.({
                data: this.opcode === 1 ? whole.toString()
                    : whole.buffer.slice(whole.byteOffset,
                                         whole.byteOffset + whole.length),
            })
        }
    }

    #ended() {
        if (this.readyState === 3) return
        this.readyState = 3
        this.onclose?.(this.#close)
    }
}
