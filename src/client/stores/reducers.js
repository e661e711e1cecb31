// Copyright (C) Delta contributors

// What each event does to the stores.  Every reducer may be run twice with
// the same event, in the order of the channel, and ends in the same state.

// The entity may be the payload itself, or a member of it.

const entity = (d, name) =>
    typeof d[name] === 'object' ? { ...d, ...d[name], [name]: null } : d
const memberId = d => `${d.guild_id}/${d.user_id}`
const messageId = d => d.message_id ?? d.message?.id ?? d.id
const channelId = d => d.channel_id ?? d.channel?.id ?? d.id
const roleId = d => d.role_id ?? d.role?.id ?? d.id
const friendId = d => d.user_id ?? d.friend_id ?? d.user?.id ?? d.id

// Attachments come as a list, and one by one: by id they are the same.

const message = (s, d) => {
    const { attachments, ...more } = entity(d, 'message')
    s.messages.patch(messageId(d), {
        ...more, ...Array.isArray(attachments) && {
            attachments: Object.fromEntries(
                attachments.map(one => [one.attachment_id, one])) },
    })
}
const channel = (s, d) => s.channels.patch(channelId(d), entity(d, 'channel'))
const member = (s, d) => s.members.patch(memberId(d), entity(d, 'member'))
const user = (s, d) => s.users.patch(d.user_id ?? d.id, entity(d, 'user'))
const friend = (s, d) => s.friends.patch(friendId(d), entity(d, 'friend'))
const role = (s, d) => s.guilds.patch(d.guild_id, {
    roles: { [roleId(d)]: { id: roleId(d), ...entity(d, 'role') } },
})

const presence = ({ id, s, p }) => ({ id, status: s, project: p ?? null })

const memberGone = (s, d) => {
    if (d.user_id === s.me()) s.forgetGuild(d.guild_id)
    else s.members.remove(memberId(d))
}

const memberRoles = (s, d, change) => {
    const ids = new Set(s.members.get(memberId(d))?.role_ids)
    change(ids)
    s.members.patch(memberId(d), {
        guild_id: d.guild_id, user_id: d.user_id, role_ids: [...ids],
    })
}

const patchers = { user: 'users', guild: 'guilds', member: 'members' }

export const reducers = {
    patch(s, { entity_type: type, entity_id: id, diff, guild_id, user_id }) {
        const more = type === 'member' && diff ? { guild_id, user_id } : {}
        s[patchers[type]]?.patch(id, diff && { ...diff, ...defined(more) })
    },

    message_create: message,
    message_update: message,
    message_delete: (s, d) => s.messages.remove(messageId(d)),
    message_reaction: (s, d) => s.messages.patch(messageId(d), {
        reactions: { [d.emoji]: d.count || null },
    }),
    attachment_create: (s, d) => s.messages.patch(messageId(d), {
        attachments: { [d.attachment_id ?? d.attachment?.id]:
            entity(d, 'attachment') },
    }),
    attachment_delete: (s, d) => s.messages.patch(messageId(d), {
        attachments: { [d.attachment_id]: null },
    }),

    channel_create: channel,
    channel_update: channel,
    channel_delete: (s, d) => s.forgetChannel(channelId(d)),
    channel_reorder: (s, d) => (d.channel_ids ?? []).forEach(
        (id, position) => s.channels.patch(id, { position })),
    workspace_channel_override_update: (s, d) => s.channels.patch(
        channelId(d), { overrides: {
            [roleId(d)]: d.allow?.length || d.deny?.length
                ? entity(d, 'override') : null,
        } }),

    workspace_update: (s, d) => s.guilds.patch(d.guild_id,
                                               entity(d, 'guild')),
    workspace_ip_ban_sync: (s, d) => s.guilds.patch(d.guild_id,
                                                    { ip_bans: d }),
    workspace_member_add: member,
    workspace_member_update: member,
    workspace_member_remove: memberGone,
    workspace_member_ban: memberGone,

    workspace_role_create: role,
    workspace_role_update: role,
    workspace_role_delete(s, d) {
        s.guilds.patch(d.guild_id, { roles: { [roleId(d)]: null } })
        for (const one of s.members.all()) {
            if (one.guild_id === d.guild_id
                && one.role_ids?.includes(roleId(d))) {
                memberRoles(s, { ...d, user_id: one.user_id },
                            ids => ids.delete(roleId(d)))
            }
        }
    },
    // the highest first
    workspace_role_reorder: (s, { guild_id, role_ids = [] }) =>
        s.guilds.patch(guild_id, { roles: Object.fromEntries(role_ids.map(
            (id, i) => [id, { id, position: role_ids.length - i }])) }),
    workspace_role_assignment_add: (s, d) =>
        memberRoles(s, d, ids => ids.add(roleId(d))),
    workspace_role_assignment_remove: (s, d) =>
        memberRoles(s, d, ids => ids.delete(roleId(d))),

    profile_update: user,
    profile_avatar_update: user,

    friend_request_create: friend,
    friend_request_update: friend,
    friend_request_delete: (s, d) => s.friends.remove(friendId(d)),
    friend_remove: (s, d) => s.friends.remove(friendId(d)),

    presence_sync: (s, d) => s.presence.replace((d.presence ?? [])
        .filter(one => one.s !== 'offline')
        .map(one => [one.id, presence(one)])),
    presence_update: (s, d) => d.s === 'offline' ? s.presence.remove(d.id)
        : s.presence.set(d.id, presence(d)),
}

const defined = object => Object.fromEntries(
    Object.entries(object).filter(([, value]) => value !== undefined))
