// Copyright (C) Delta contributors

// The backend's endpoints.  Each mutation answers with Delta-Cursor, the id
// of its event, for those who wait until they see it.

export class ApiError extends Error {
    constructor(status, message) {
        super(message)
        this.status = status
    }
}

const q = encodeURIComponent
const PAGE = 50                 // messages in one answer

// Where the answer itself says nothing that a person could read.

const WORDS = {
    401: 'Your login has ended. Log out, and come in again.',
    403: 'You may not do that.',
    404: 'That is not there, or not any more.',
    413: 'That is too large.',
    429: 'That was too much at once. Try again in a moment.',
}

const wordsFor = status => WORDS[status] ?? (status >= 500
    ? 'The server cannot answer just now.'
    : `The server did not understand that (${status}).`)

// As the backend says it, for people.

const sentence = text => typeof text === 'string' && text
    && text[0].toUpperCase() + text.slice(1).replace(/[^.!?]$/, '$&.')

export function createApi(token) {
    async function call(method, path, body) {
        const headers = {}
        if (token) headers.Authorization = `Bearer ${token}`
        const raw = body instanceof Blob
        if (body !== undefined) {
            headers['Content-Type'] = raw ? body.type : 'application/json'
        }
        let answer
        try {
            answer = await fetch(`/api/${path}`, {
                method, headers, cache: 'no-store',
                body: raw || body === undefined ? body : JSON.stringify(body),
            })
        } catch {
            throw new ApiError(0, 'The server cannot be reached.')
        }
        const json = await answer.json().catch(() => ({}))
        if (!answer.ok) {
            throw new ApiError(answer.status, sentence(json.error?.message)
                               || wordsFor(answer.status))
        }
        return { ...json, cursor: answer.headers.get('Delta-Cursor') }
    }

    const get = path => call('GET', path)
    const post = (path, body) => call('POST', path, body)
    const patch = (path, body) => call('PATCH', path, body)
    const del = path => call('DELETE', path)

    const guild = g => `guilds/${q(g)}`
    const channel = (g, c) => `${guild(g)}/channels/${q(c)}`
    const message = (g, c, m) => `${channel(g, c)}/messages/${q(m)}`
    const reaction = (g, c, m, e) => `${message(g, c, m)}/reactions/${q(e)}`
    const member = (g, u) => `${guild(g)}/members/${q(u)}`
    const role = (g, r) => `${guild(g)}/roles/${q(r)}`

    return {
        login: user => post('login', { user }),

        me: () => get('users/me'),
        user: id => get(`users/${q(id)}`),
        profile: fields => patch('users/me/profile', fields),
        avatar: file => post('users/me/profile/avatar', file),

        guilds: () => get('users/me/guilds'),
        guild: g => get(guild(g)),
        createGuild: name => post('guilds', { name }),
        settings: (g, fields) => patch(`${guild(g)}/settings`, fields),
        join: g => post(`${guild(g)}/join`),
        leave: g => del(`${guild(g)}/members/me`),

        channels: g => get(`${guild(g)}/channels`),
        createChannel: (g, fields) => post(`${guild(g)}/channels`, fields),
        updateChannel: (g, c, fields) => patch(channel(g, c), fields),
        deleteChannel: (g, c) => del(channel(g, c)),
        reorderChannels: (g, channel_ids) =>
            post(`${guild(g)}/channels/reorder`, { channel_ids }),
        overrides: (g, c) => get(`${channel(g, c)}/overrides`),
        override: (g, c, r, allow, deny) =>
            post(`${channel(g, c)}/overrides/${q(r)}`, { allow, deny }),

        messages: (g, c, before) => get(`${channel(g, c)}/messages?limit=${
            PAGE}${before ? `&before=${q(before)}` : ''}`),
        send: (g, c, content) =>
            post(`${channel(g, c)}/messages`, { content }),
        edit: (g, c, m, content) => patch(message(g, c, m), { content }),
        remove: (g, c, m) => del(message(g, c, m)),
        react: (g, c, m, e) => post(reaction(g, c, m, e)),
        unreact: (g, c, m, e) => del(reaction(g, c, m, e)),

        members: g => get(`${guild(g)}/members`),
        addMember: (g, u) => post(member(g, u)),
        updateMember: (g, u, fields) => patch(member(g, u), fields),
        kick: (g, u) => post(`${member(g, u)}/kick`),
        ban: (g, u, reason) => post(`${member(g, u)}/ban`, { reason }),
        bans: g => get(`${guild(g)}/bans`),
        unban: (g, u) => del(`${guild(g)}/bans/${q(u)}`),
        ipBans: g => get(`${guild(g)}/ip-bans`),
        addIpBan: (g, address) =>
            post(`${guild(g)}/ip-bans`, { address }),
        deleteIpBan: (g, b) => del(`${guild(g)}/ip-bans/${q(b)}`),

        roles: g => get(`${guild(g)}/roles`),
        createRole: (g, fields) => post(`${guild(g)}/roles`, fields),
        updateRole: (g, r, fields) => patch(role(g, r), fields),
        deleteRole: (g, r) => del(role(g, r)),
        reorderRoles: (g, role_ids) =>
            post(`${guild(g)}/roles/reorder`, { role_ids }),
        assign: (g, r, u) => post(`${role(g, r)}/members/${q(u)}`),
        unassign: (g, r, u) => del(`${role(g, r)}/members/${q(u)}`),

        friends: () => get('friends'),
        requests: () => get('friends/requests'),
        picture: async url => {
            const answer = await fetch(url, {
                headers: { Authorization: `Bearer ${token}` } })
            if (!answer.ok) {
                throw new ApiError(answer.status, wordsFor(answer.status))
            }
            return answer.blob()
        },
        requestFriend: user_id => post('friends/requests', { user_id }),
        acceptFriend: request => post(`friends/requests/${q(request)}/accept`),
        deleteRequest: request => del(`friends/requests/${q(request)}`),
        unfriend: user => del(`friends/${q(user)}`),

        follow: user => call('PUT', `users/me/follows/${q(user)}`),
        unfollow: user => del(`users/me/follows/${q(user)}`),
    }
}
