// Copyright (C) Delta contributors

// The token of a connection: fetched once, however many ask at the same time,
// and kept until somebody says that it is stale.

export class UnauthorizedError extends Error {
    name = 'UnauthorizedError'
}

export const isUnauthorized = error =>
    [error, error?.name, error?.code, error?.message].some(
        word => word === 'unauthorized' || word === 'UnauthorizedError')

export class Credentials {
    #getToken
    #token
    #pending

    constructor(getToken, token) {
        this.#getToken = getToken
        this.#token = token
    }

    // Whether another token than the present one can be had.

    get renewable() {
        return Boolean(this.#getToken)
    }

    stale() {
        if (this.#getToken) this.#token = undefined
    }

    async get(reason) {
        if (this.#token !== undefined || !this.#getToken) {
            return { token: this.#token, cached: true }
        }

        this.#pending ??= this.#fetch(reason)
            .finally(() => { this.#pending = undefined })

        return { token: await this.#pending, cached: false }
    }

    async #fetch(reason) {
        const token = await this.#getToken({ reason })
        if (!token) throw new UnauthorizedError('There is no token.')
        return this.#token = String(token)
    }
}

// When the token ends, in ms since 1970, or 0: only to be early with the next.

export function expiry(token) {
    try {
        const claims = token.split('.')[1].replace(/-/g, '+').replace(/_/g, '/')
        return JSON.parse(atob(claims)).exp * 1000 || 0
    } catch {
        return 0
    }
}
