// Copyright (C) Delta contributors

// Made of conf/events.json by make contract.

export const privileged = [
    'ip', 'ips', 'ip_address', 'ip_addresses', 'ip_range', 'ip_cidr', 'cidr',
    'client_ip', 'remote_addr', 'email', 'password', 'password_hash', 'token',
    'access_token', 'refresh_token', 'secret', 'session_token', 'user_agent',
    'fullCast',
]

export const defs = {
    id: { type: 'string', pattern: '^[A-Za-z0-9._~@|+-]{1,128}$' },
    entity_id: {
        type: 'string',
        pattern:
            '^[A-Za-z0-9._~@|+-]{1,128}(/[A-Za-z0-9._' +
            '~@|+-]{1,128})?$',
    },
    channel_name: {
        type: 'string',
        maxLength: 256,
        pattern:
            '^[A-Za-z0-9._~@|+-]{1,128}(:[A-Za-z0-9._' +
            '~@|+-]{1,128})*$',
    },
    time: {
        type: 'string',
        pattern:
            '^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-' +
            '9]{2}:[0-9]{2}([.][0-9]{1,9})?Z$',
    },
    cursor: { type: 'string', pattern: '^[0-9]{1,20}[.][0-9]{1,20}$' },
    word: { type: 'string', pattern: '^[a-z0-9_.]{1,64}$' },
    media_type: {
        type: 'string',
        pattern: '^[a-z0-9.+-]{1,64}/[a-z0-9.+-]{1,64}$',
    },
    name: { type: 'string', minLength: 1, maxLength: 128 },
    topic: { type: ['string', 'null'], maxLength: 1024 },
    text: { type: 'string', maxLength: 8192 },
    url: { type: ['string', 'null'], maxLength: 2048 },
    emoji: { type: 'string', minLength: 1, maxLength: 64 },
    count: { type: 'integer', minimum: 0, maximum: 9007199254740991 },
    color: { type: ['integer', 'null'], minimum: 0, maximum: 16777215 },
    permissions: {
        type: 'array',
        maxItems: 64,
        items: { '$ref': '#/$defs/word' },
    },
    role_ids: {
        type: 'array',
        maxItems: 256,
        items: { '$ref': '#/$defs/id' },
    },
    attachment: {
        type: 'object',
        additionalProperties: false,
        required: ['attachment_id', 'filename', 'media_type', 'size'],
        properties: {
            attachment_id: { '$ref': '#/$defs/id' },
            filename: { type: 'string', minLength: 1, maxLength: 255 },
            media_type: { '$ref': '#/$defs/media_type' },
            size: { '$ref': '#/$defs/count' },
            url: { '$ref': '#/$defs/url' },
        },
    },
    presence: {
        type: 'object',
        additionalProperties: false,
        required: ['id', 's'],
        properties: {
            id: { '$ref': '#/$defs/id' },
            s: { type: 'string', minLength: 1, maxLength: 64 },
            p: { type: ['string', 'null'], maxLength: 128 },
        },
    },
    position: {
        type: 'object',
        additionalProperties: false,
        required: ['x', 'y'],
        properties: { x: { type: 'number' }, y: { type: 'number' } },
    },
    space_object: {
        type: 'object',
        required: ['id'],
        properties: { id: { '$ref': '#/$defs/id' } },
    },
    space_objects: {
        type: 'array',
        maxItems: 1000,
        items: { '$ref': '#/$defs/space_object' },
    },
}

export const events = {
    ready: {
        type: 'object',
        additionalProperties: false,
        required: ['user_id', 'session_id', 'heartbeat_ms', 'channels'],
        properties: {
            user_id: { type: 'string', maxLength: 128 },
            session_id: {
                type: 'string',
                minLength: 1,
                maxLength: 128,
            },
            heartbeat_ms: { '$ref': '#/$defs/count' },
            channels: {
                type: 'array',
                maxItems: 100000,
                items: { '$ref': '#/$defs/channel_name' },
            },
            cursor: { '$ref': '#/$defs/cursor' },
            resume_token: {
                type: 'string',
                minLength: 1,
                maxLength: 256,
            },
            resume_window_ms: { '$ref': '#/$defs/count' },
        },
    },
    resumed: {
        type: 'object',
        additionalProperties: false,
        properties: { replayed: { '$ref': '#/$defs/count' } },
    },
    subscribed: {
        type: 'object',
        additionalProperties: false,
        required: ['channel'],
        properties: {
            channel: { '$ref': '#/$defs/channel_name' },
            cursor: { '$ref': '#/$defs/cursor' },
            ref: { type: ['string', 'number'], maxLength: 64 },
        },
    },
    unsubscribed: {
        type: 'object',
        additionalProperties: false,
        required: ['channel', 'reason'],
        properties: {
            channel: { '$ref': '#/$defs/channel_name' },
            reason: {
                type: 'string',
                enum: ['requested', 'revoked', 'membership'],
            },
            ref: { type: ['string', 'number'], maxLength: 64 },
        },
    },
    heartbeat_ack: {
        type: 'object',
        additionalProperties: false,
        properties: {
            cursor: { '$ref': '#/$defs/cursor' },
            ref: { type: ['string', 'number'], maxLength: 64 },
        },
    },
    authenticated: {
        type: 'object',
        additionalProperties: false,
        required: ['expires'],
        properties: {
            expires: { '$ref': '#/$defs/count' },
            ref: { type: ['string', 'number'], maxLength: 64 },
        },
    },
    error: {
        type: 'object',
        additionalProperties: false,
        required: ['code', 'message'],
        properties: {
            code: { '$ref': '#/$defs/word' },
            message: { type: 'string', maxLength: 512 },
            channel: { '$ref': '#/$defs/channel_name' },
            ref: { type: ['string', 'number'], maxLength: 64 },
        },
    },
    reconnect: {
        type: 'object',
        additionalProperties: false,
        required: ['after_ms'],
        properties: { after_ms: { '$ref': '#/$defs/count' } },
    },
    resync: {
        type: 'object',
        additionalProperties: false,
        properties: {
            channel: { type: ['string', 'null'], maxLength: 256 },
            reason: { '$ref': '#/$defs/word' },
            cursor: { '$ref': '#/$defs/cursor' },
            after_ms: { '$ref': '#/$defs/count' },
            tick: { '$ref': '#/$defs/count' },
            from: { '$ref': '#/$defs/count' },
            to: { '$ref': '#/$defs/count' },
        },
    },
    patch: {
        type: 'object',
        additionalProperties: false,
        required: ['entity_type', 'entity_id', 'diff'],
        properties: {
            entity_type: {
                type: 'string',
                enum: ['user', 'guild', 'member'],
            },
            entity_id: { '$ref': '#/$defs/entity_id' },
            guild_id: { '$ref': '#/$defs/id' },
            user_id: { '$ref': '#/$defs/id' },
            diff: {
                type: 'object',
                additionalProperties: false,
                properties: {
                    display_name: {
                        type: ['string', 'null'],
                        maxLength: 128,
                    },
                    avatar_url: { '$ref': '#/$defs/url' },
                    bio: { type: ['string', 'null'], maxLength: 4096 },
                    status_text: {
                        type: ['string', 'null'],
                        maxLength: 256,
                    },
                    status: { type: ['string', 'null'], maxLength: 64 },
                    name: { type: ['string', 'null'], maxLength: 128 },
                    icon_url: { '$ref': '#/$defs/url' },
                    description: {
                        type: ['string', 'null'],
                        maxLength: 4096,
                    },
                    nick: { type: ['string', 'null'], maxLength: 128 },
                },
            },
        },
    },
    message_create: {
        type: 'object',
        additionalProperties: false,
        required: [
            'guild_id', 'channel_id', 'message_id', 'author_id', 'content',
            'created_at',
        ],
        properties: {
            guild_id: { '$ref': '#/$defs/id' },
            channel_id: { '$ref': '#/$defs/id' },
            message_id: { '$ref': '#/$defs/id' },
            author_id: { '$ref': '#/$defs/id' },
            content: { '$ref': '#/$defs/text' },
            created_at: { '$ref': '#/$defs/time' },
            nonce: { type: 'string', maxLength: 64 },
            attachments: {
                type: 'array',
                maxItems: 10,
                items: { '$ref': '#/$defs/attachment' },
            },
        },
    },
    message_update: {
        type: 'object',
        additionalProperties: false,
        required: [
            'guild_id', 'channel_id', 'message_id', 'author_id', 'content',
            'edited_at',
        ],
        properties: {
            guild_id: { '$ref': '#/$defs/id' },
            channel_id: { '$ref': '#/$defs/id' },
            message_id: { '$ref': '#/$defs/id' },
            author_id: { '$ref': '#/$defs/id' },
            content: { '$ref': '#/$defs/text' },
            edited_at: { '$ref': '#/$defs/time' },
        },
    },
    message_delete: {
        type: 'object',
        additionalProperties: false,
        required: ['guild_id', 'channel_id', 'message_id'],
        properties: {
            guild_id: { '$ref': '#/$defs/id' },
            channel_id: { '$ref': '#/$defs/id' },
            message_id: { '$ref': '#/$defs/id' },
        },
    },
    message_reaction: {
        type: 'object',
        additionalProperties: false,
        required: [
            'guild_id', 'channel_id', 'message_id', 'emoji', 'count',
            'actor_user_id',
        ],
        properties: {
            guild_id: { '$ref': '#/$defs/id' },
            channel_id: { '$ref': '#/$defs/id' },
            message_id: { '$ref': '#/$defs/id' },
            emoji: { '$ref': '#/$defs/emoji' },
            count: { '$ref': '#/$defs/count' },
            actor_user_id: { '$ref': '#/$defs/id' },
        },
    },
    attachment_create: {
        type: 'object',
        additionalProperties: false,
        required: [
            'guild_id', 'channel_id', 'message_id', 'attachment_id',
            'filename', 'media_type', 'size', 'actor_user_id',
        ],
        properties: {
            guild_id: { '$ref': '#/$defs/id' },
            channel_id: { '$ref': '#/$defs/id' },
            message_id: { '$ref': '#/$defs/id' },
            attachment_id: { '$ref': '#/$defs/id' },
            filename: { type: 'string', minLength: 1, maxLength: 255 },
            media_type: { '$ref': '#/$defs/media_type' },
            size: { '$ref': '#/$defs/count' },
            url: { '$ref': '#/$defs/url' },
            actor_user_id: { '$ref': '#/$defs/id' },
        },
    },
    attachment_delete: {
        type: 'object',
        additionalProperties: false,
        required: [
            'guild_id', 'channel_id', 'message_id', 'attachment_id',
        ],
        properties: {
            guild_id: { '$ref': '#/$defs/id' },
            channel_id: { '$ref': '#/$defs/id' },
            message_id: { '$ref': '#/$defs/id' },
            attachment_id: { '$ref': '#/$defs/id' },
        },
    },
    channel_create: {
        type: 'object',
        additionalProperties: false,
        required: [
            'guild_id', 'channel_id', 'name', 'kind', 'actor_user_id',
        ],
        properties: {
            guild_id: { '$ref': '#/$defs/id' },
            channel_id: { '$ref': '#/$defs/id' },
            name: { '$ref': '#/$defs/name' },
            kind: { type: 'string', enum: ['text', 'voice'] },
            topic: { '$ref': '#/$defs/topic' },
            position: { '$ref': '#/$defs/count' },
            created_at: { '$ref': '#/$defs/time' },
            actor_user_id: { '$ref': '#/$defs/id' },
        },
    },
    channel_update: {
        type: 'object',
        additionalProperties: false,
        required: ['guild_id', 'channel_id', 'actor_user_id'],
        properties: {
            guild_id: { '$ref': '#/$defs/id' },
            channel_id: { '$ref': '#/$defs/id' },
            name: { '$ref': '#/$defs/name' },
            topic: { '$ref': '#/$defs/topic' },
            actor_user_id: { '$ref': '#/$defs/id' },
        },
    },
    channel_delete: {
        type: 'object',
        additionalProperties: false,
        required: ['guild_id', 'channel_id', 'actor_user_id'],
        properties: {
            guild_id: { '$ref': '#/$defs/id' },
            channel_id: { '$ref': '#/$defs/id' },
            actor_user_id: { '$ref': '#/$defs/id' },
        },
    },
    channel_reorder: {
        type: 'object',
        additionalProperties: false,
        required: ['guild_id', 'channel_ids', 'actor_user_id'],
        properties: {
            guild_id: { '$ref': '#/$defs/id' },
            channel_ids: {
                type: 'array',
                maxItems: 1000,
                items: { '$ref': '#/$defs/id' },
            },
            actor_user_id: { '$ref': '#/$defs/id' },
        },
    },
    workspace_update: {
        type: 'object',
        additionalProperties: false,
        required: ['guild_id', 'actor_user_id'],
        properties: {
            guild_id: { '$ref': '#/$defs/id' },
            name: { '$ref': '#/$defs/name' },
            visibility: { type: 'string', enum: ['private', 'public'] },
            icon_url: { '$ref': '#/$defs/url' },
            description: { type: ['string', 'null'], maxLength: 4096 },
            actor_user_id: { '$ref': '#/$defs/id' },
        },
    },
    workspace_member_add: {
        type: 'object',
        additionalProperties: false,
        required: ['guild_id', 'user_id'],
        properties: {
            guild_id: { '$ref': '#/$defs/id' },
            user_id: { '$ref': '#/$defs/id' },
            role: { '$ref': '#/$defs/word' },
            nick: { type: ['string', 'null'], maxLength: 128 },
            role_ids: { '$ref': '#/$defs/role_ids' },
            joined_at: { '$ref': '#/$defs/time' },
        },
    },
    workspace_member_update: {
        type: 'object',
        additionalProperties: false,
        required: ['guild_id', 'user_id', 'role'],
        properties: {
            guild_id: { '$ref': '#/$defs/id' },
            user_id: { '$ref': '#/$defs/id' },
            role: { '$ref': '#/$defs/word' },
            nick: { type: ['string', 'null'], maxLength: 128 },
        },
    },
    workspace_member_remove: {
        type: 'object',
        additionalProperties: false,
        required: ['guild_id', 'user_id'],
        properties: {
            guild_id: { '$ref': '#/$defs/id' },
            user_id: { '$ref': '#/$defs/id' },
        },
    },
    workspace_member_ban: {
        type: 'object',
        additionalProperties: false,
        required: ['guild_id', 'user_id', 'actor_user_id'],
        properties: {
            guild_id: { '$ref': '#/$defs/id' },
            user_id: { '$ref': '#/$defs/id' },
            reason: { type: ['string', 'null'], maxLength: 512 },
            actor_user_id: { '$ref': '#/$defs/id' },
        },
    },
    workspace_role_create: {
        type: 'object',
        additionalProperties: false,
        required: [
            'guild_id', 'role_id', 'name', 'permissions', 'position',
        ],
        properties: {
            guild_id: { '$ref': '#/$defs/id' },
            role_id: { '$ref': '#/$defs/id' },
            name: { '$ref': '#/$defs/name' },
            color: { '$ref': '#/$defs/color' },
            permissions: { '$ref': '#/$defs/permissions' },
            position: { '$ref': '#/$defs/count' },
        },
    },
    workspace_role_update: {
        type: 'object',
        additionalProperties: false,
        required: ['guild_id', 'role_id'],
        properties: {
            guild_id: { '$ref': '#/$defs/id' },
            role_id: { '$ref': '#/$defs/id' },
            name: { '$ref': '#/$defs/name' },
            color: { '$ref': '#/$defs/color' },
            permissions: { '$ref': '#/$defs/permissions' },
        },
    },
    workspace_role_delete: {
        type: 'object',
        additionalProperties: false,
        required: ['guild_id', 'role_id'],
        properties: {
            guild_id: { '$ref': '#/$defs/id' },
            role_id: { '$ref': '#/$defs/id' },
        },
    },
    workspace_role_reorder: {
        type: 'object',
        additionalProperties: false,
        required: ['guild_id', 'role_ids'],
        properties: {
            guild_id: { '$ref': '#/$defs/id' },
            role_ids: { '$ref': '#/$defs/role_ids' },
        },
    },
    workspace_role_assignment_add: {
        type: 'object',
        additionalProperties: false,
        required: ['guild_id', 'role_id', 'user_id'],
        properties: {
            guild_id: { '$ref': '#/$defs/id' },
            role_id: { '$ref': '#/$defs/id' },
            user_id: { '$ref': '#/$defs/id' },
        },
    },
    workspace_role_assignment_remove: {
        type: 'object',
        additionalProperties: false,
        required: ['guild_id', 'role_id', 'user_id'],
        properties: {
            guild_id: { '$ref': '#/$defs/id' },
            role_id: { '$ref': '#/$defs/id' },
            user_id: { '$ref': '#/$defs/id' },
        },
    },
    workspace_channel_override_update: {
        type: 'object',
        additionalProperties: false,
        required: [
            'guild_id', 'channel_id', 'role_id', 'allow', 'deny',
        ],
        properties: {
            guild_id: { '$ref': '#/$defs/id' },
            channel_id: { '$ref': '#/$defs/id' },
            role_id: { '$ref': '#/$defs/id' },
            allow: { '$ref': '#/$defs/permissions' },
            deny: { '$ref': '#/$defs/permissions' },
        },
    },
    workspace_ip_ban_sync: {
        type: 'object',
        additionalProperties: false,
        required: ['guild_id', 'count', 'action', 'actor_user_id'],
        properties: {
            guild_id: { '$ref': '#/$defs/id' },
            count: { '$ref': '#/$defs/count' },
            action: { type: 'string', enum: ['add', 'remove'] },
            ban_id: { '$ref': '#/$defs/id' },
            actor_user_id: { '$ref': '#/$defs/id' },
        },
    },
    profile_update: {
        type: 'object',
        additionalProperties: false,
        required: ['user_id'],
        properties: {
            user_id: { '$ref': '#/$defs/id' },
            display_name: { '$ref': '#/$defs/name' },
            bio: { type: ['string', 'null'], maxLength: 4096 },
            status_text: { type: ['string', 'null'], maxLength: 256 },
        },
    },
    profile_avatar_update: {
        type: 'object',
        additionalProperties: false,
        required: ['user_id', 'avatar_version'],
        properties: {
            user_id: { '$ref': '#/$defs/id' },
            avatar_url: { '$ref': '#/$defs/url' },
            avatar_version: { '$ref': '#/$defs/count' },
        },
    },
    friend_request_create: {
        type: 'object',
        additionalProperties: false,
        required: ['request_id', 'user_id', 'direction', 'created_at'],
        properties: {
            request_id: { '$ref': '#/$defs/id' },
            user_id: { '$ref': '#/$defs/id' },
            direction: {
                type: 'string',
                enum: ['incoming', 'outgoing'],
            },
            created_at: { '$ref': '#/$defs/time' },
        },
    },
    friend_request_update: {
        type: 'object',
        additionalProperties: false,
        required: ['request_id', 'user_id', 'state'],
        properties: {
            request_id: { '$ref': '#/$defs/id' },
            user_id: { '$ref': '#/$defs/id' },
            state: { type: 'string', enum: ['accepted'] },
        },
    },
    friend_request_delete: {
        type: 'object',
        additionalProperties: false,
        required: ['request_id', 'user_id'],
        properties: {
            request_id: { '$ref': '#/$defs/id' },
            user_id: { '$ref': '#/$defs/id' },
        },
    },
    friend_remove: {
        type: 'object',
        additionalProperties: false,
        required: ['user_id'],
        properties: { user_id: { '$ref': '#/$defs/id' } },
    },
    presence_sync: {
        type: 'object',
        additionalProperties: false,
        required: ['presence'],
        properties: {
            presence: {
                type: 'array',
                maxItems: 100000,
                items: { '$ref': '#/$defs/presence' },
            },
        },
    },
    presence_update: { '$ref': '#/$defs/presence' },
    space_delta: {
        type: 'object',
        additionalProperties: false,
        properties: {
            created: { '$ref': '#/$defs/space_objects' },
            updated: { '$ref': '#/$defs/space_objects' },
            deleted: {
                type: 'array',
                maxItems: 1000,
                items: { '$ref': '#/$defs/id' },
            },
            timestamp: { '$ref': '#/$defs/time' },
        },
    },
    snapshot: {
        type: 'object',
        additionalProperties: false,
        required: ['tick', 'changes'],
        properties: {
            tick: { '$ref': '#/$defs/count' },
            changes: {
                type: 'object',
                additionalProperties: false,
                properties: {
                    entityMoved: {
                        type: 'array',
                        maxItems: 10000,
                        items: {
                            type: 'object',
                            additionalProperties: false,
                            required: ['id', 'position'],
                            properties: {
                                id: { '$ref': '#/$defs/id' },
                                position: {
                                    '$ref': '#/$defs/position',
                                },
                            },
                        },
                    },
                    entityCreated: {
                        type: 'array',
                        maxItems: 10000,
                        items: {
                            type: 'object',
                            additionalProperties: false,
                            required: ['id', 'type', 'position'],
                            properties: {
                                id: { '$ref': '#/$defs/id' },
                                type: {
                                    type: 'string',
                                    minLength: 1,
                                    maxLength: 64,
                                },
                                position: {
                                    '$ref': '#/$defs/position',
                                },
                            },
                        },
                    },
                    entityRemoved: {
                        type: 'array',
                        maxItems: 10000,
                        items: { '$ref': '#/$defs/id' },
                    },
                },
            },
            checksum: {
                type: 'string',
                minLength: 8,
                maxLength: 8,
                description:
                    'Of what is visible behind the tick: eigh' +
                    't hexadecimal digits.',
            },
        },
    },
}
