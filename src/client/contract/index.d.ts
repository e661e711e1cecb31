// Copyright (C) Delta contributors

// Made of conf/events.json by make contract.

export interface Attachment {
    attachment_id: string
    filename: string
    media_type: string
    size: number
    url?: string | null
}

export interface Presence {
    id: string
    s: string
    p?: string | null
}

export interface Position {
    x: number
    y: number
}

export interface SpaceObject {
    id: string
    [name: string]: unknown
}

/** The session is open. Always first. */
export interface ReadyEvent {
    user_id: string
    session_id: string
    heartbeat_ms: number
    channels: string[]
    cursor?: string
    resume_token?: string
    resume_window_ms?: number
}

/** The session goes on where it was; what was missed follows. */
export interface ResumedEvent {
    replayed?: number
}

/** A subscribe succeeded, or the user's membership grew: fetch the state of that channel. */
export interface SubscribedEvent {
    channel: string
    cursor?: string
    ref?: string | number
}

/** The channel is left: asked for, revoked, or no longer a member. */
export interface UnsubscribedEvent {
    channel: string
    reason: 'requested' | 'revoked' | 'membership'
    ref?: string | number
}

/** Answer to heartbeat. */
export interface HeartbeatAckEvent {
    cursor?: string
    ref?: string | number
}

/** Answer to auth: when the new token expires, in seconds; 0 if never. */
export interface AuthenticatedEvent {
    expires: number
    ref?: string | number
}

/** A command cannot be carried out. */
export interface ErrorEvent {
    code: string
    message: string
    channel?: string
    ref?: string | number
}

/** The worker is leaving: connect anew after so many milliseconds. */
export interface ReconnectEvent {
    after_ms: number
}

/** Something is missing: fetch the state of the channel (null: of all) anew. A backend may publish it as well. */
export interface ResyncEvent {
    channel?: string | null
    reason?: string
    cursor?: string
    after_ms?: number
    tick?: number
    from?: number
    to?: number
}

/** Changed members of a user, guild or member as a merge patch (RFC 7396): null removes. A member's entity_id is <guild>/<user>, with guild_id and user_id beside it. An unknown entity is made of the patch. */
export interface PatchEvent {
    entity_type: 'user' | 'guild' | 'member'
    entity_id: string
    guild_id?: string
    user_id?: string
    diff: {
        display_name?: string | null
        avatar_url?: string | null
        bio?: string | null
        status_text?: string | null
        status?: string | null
        name?: string | null
        icon_url?: string | null
        description?: string | null
        nick?: string | null
    }
}

/** A message was sent. */
export interface MessageCreateEvent {
    guild_id: string
    channel_id: string
    message_id: string
    author_id: string
    content: string
    created_at: string
    nonce?: string
    attachments?: Attachment[]
}

/** A message was edited: its new content. */
export interface MessageUpdateEvent {
    guild_id: string
    channel_id: string
    message_id: string
    author_id: string
    content: string
    edited_at: string
}

/** A message is gone, with its reactions and attachments. */
export interface MessageDeleteEvent {
    guild_id: string
    channel_id: string
    message_id: string
}

/** How often a message now has an emoji; 0 removes it. */
export interface MessageReactionEvent {
    guild_id: string
    channel_id: string
    message_id: string
    emoji: string
    count: number
    actor_user_id: string
}

/** A file was added to a message. */
export interface AttachmentCreateEvent {
    guild_id: string
    channel_id: string
    message_id: string
    attachment_id: string
    filename: string
    media_type: string
    size: number
    url?: string | null
    actor_user_id: string
}

/** A file was removed from a message. */
export interface AttachmentDeleteEvent {
    guild_id: string
    channel_id: string
    message_id: string
    attachment_id: string
}

/** A channel was made. */
export interface ChannelCreateEvent {
    guild_id: string
    channel_id: string
    name: string
    kind: 'text' | 'voice'
    topic?: string | null
    position?: number
    created_at?: string
    actor_user_id: string
}

/** Changed settings of a channel; what is left out stays. */
export interface ChannelUpdateEvent {
    guild_id: string
    channel_id: string
    name?: string
    topic?: string | null
    actor_user_id: string
}

/** A channel is gone, with its messages. Who has it open closes it. */
export interface ChannelDeleteEvent {
    guild_id: string
    channel_id: string
    actor_user_id: string
}

/** The order of the channels, as far as the receiver may view them. */
export interface ChannelReorderEvent {
    guild_id: string
    channel_ids: string[]
    actor_user_id: string
}

/** Changed settings of a workspace; what is left out stays. */
export interface WorkspaceUpdateEvent {
    guild_id: string
    name?: string
    visibility?: 'private' | 'public'
    icon_url?: string | null
    description?: string | null
    actor_user_id: string
}

/** A user became a member. */
export interface WorkspaceMemberAddEvent {
    guild_id: string
    user_id: string
    role?: string
    nick?: string | null
    role_ids?: string[]
    joined_at?: string
}

/** A member's role in the workspace has changed. */
export interface WorkspaceMemberUpdateEvent {
    guild_id: string
    user_id: string
    role: string
    nick?: string | null
}

/** A member is gone: left, kicked or banned, which is not told. The user's own clients close the workspace. */
export interface WorkspaceMemberRemoveEvent {
    guild_id: string
    user_id: string
}

/** A user was banned. workspace_member_remove goes to everybody. */
export interface WorkspaceMemberBanEvent {
    guild_id: string
    user_id: string
    reason?: string | null
    actor_user_id: string
}

/** A role was made. */
export interface WorkspaceRoleCreateEvent {
    guild_id: string
    role_id: string
    name: string
    color?: number | null
    permissions: string[]
    position: number
}

/** Changed settings of a role; what is left out stays. */
export interface WorkspaceRoleUpdateEvent {
    guild_id: string
    role_id: string
    name?: string
    color?: number | null
    permissions?: string[]
}

/** A role is gone; no member has it any more. */
export interface WorkspaceRoleDeleteEvent {
    guild_id: string
    role_id: string
}

/** The order of all roles. */
export interface WorkspaceRoleReorderEvent {
    guild_id: string
    role_ids: string[]
}

/** A member was given a role. */
export interface WorkspaceRoleAssignmentAddEvent {
    guild_id: string
    role_id: string
    user_id: string
}

/** A member lost a role. */
export interface WorkspaceRoleAssignmentRemoveEvent {
    guild_id: string
    role_id: string
    user_id: string
}

/** What a role may do in a channel beyond, or less than, elsewhere; both lists empty: nothing special any more. Clients refetch what they may do. */
export interface WorkspaceChannelOverrideUpdateEvent {
    guild_id: string
    channel_id: string
    role_id: string
    allow: string[]
    deny: string[]
}

/** The list of IP bans has changed: moderation views fetch it. No address, nor anything made of one, travels. */
export interface WorkspaceIpBanSyncEvent {
    guild_id: string
    count: number
    action: 'add' | 'remove'
    ban_id?: string
    actor_user_id: string
}

/** Changed members of a user's profile; what is left out stays, null is empty. */
export interface ProfileUpdateEvent {
    user_id: string
    display_name?: string
    bio?: string | null
    status_text?: string | null
}

/** A user has another avatar; the version tells caches that it is new. */
export interface ProfileAvatarUpdateEvent {
    user_id: string
    avatar_url?: string | null
    avatar_version: number
}

/** A friend request; user_id is the other one of the two. */
export interface FriendRequestCreateEvent {
    request_id: string
    user_id: string
    direction: 'incoming' | 'outgoing'
    created_at: string
}

/** A friend request was accepted: the two are friends. */
export interface FriendRequestUpdateEvent {
    request_id: string
    user_id: string
    state: 'accepted'
}

/** A friend request was taken back or declined, which is not told. */
export interface FriendRequestDeleteEvent {
    request_id: string
    user_id: string
}

/** The two are friends no longer; user_id is the other one. */
export interface FriendRemoveEvent {
    user_id: string
}

/** How the relevant friends are; who is not listed is offline. */
export interface PresenceSyncEvent {
    presence: Presence[]
}

/** A user is online, offline or as they say (s), at a project (p). */
export type PresenceUpdateEvent = Presence

/** What has happened in a space within a window; timestamp is for the next catch-up. The objects are the backend's, each with an id. */
export interface SpaceDeltaEvent {
    created?: SpaceObject[]
    updated?: SpaceObject[]
    deleted?: string[]
    timestamp?: string
}

/** A tick of a world: what its viewers may see of the changes. */
export interface SnapshotEvent {
    tick: number
    changes: {
        entityMoved?: ({
            id: string
            position: Position
        })[]
        entityCreated?: ({
            id: string
            type: string
            position: Position
        })[]
        entityRemoved?: string[]
    }
    checksum?: string
}

/** Payloads by type. */
export interface ContractEvents {
    ready: ReadyEvent
    resumed: ResumedEvent
    subscribed: SubscribedEvent
    unsubscribed: UnsubscribedEvent
    heartbeat_ack: HeartbeatAckEvent
    authenticated: AuthenticatedEvent
    error: ErrorEvent
    reconnect: ReconnectEvent
    resync: ResyncEvent
    patch: PatchEvent
    message_create: MessageCreateEvent
    message_update: MessageUpdateEvent
    message_delete: MessageDeleteEvent
    message_reaction: MessageReactionEvent
    attachment_create: AttachmentCreateEvent
    attachment_delete: AttachmentDeleteEvent
    channel_create: ChannelCreateEvent
    channel_update: ChannelUpdateEvent
    channel_delete: ChannelDeleteEvent
    channel_reorder: ChannelReorderEvent
    workspace_update: WorkspaceUpdateEvent
    workspace_member_add: WorkspaceMemberAddEvent
    workspace_member_update: WorkspaceMemberUpdateEvent
    workspace_member_remove: WorkspaceMemberRemoveEvent
    workspace_member_ban: WorkspaceMemberBanEvent
    workspace_role_create: WorkspaceRoleCreateEvent
    workspace_role_update: WorkspaceRoleUpdateEvent
    workspace_role_delete: WorkspaceRoleDeleteEvent
    workspace_role_reorder: WorkspaceRoleReorderEvent
    workspace_role_assignment_add: WorkspaceRoleAssignmentAddEvent
    workspace_role_assignment_remove: WorkspaceRoleAssignmentRemoveEvent
    workspace_channel_override_update: WorkspaceChannelOverrideUpdateEvent
    workspace_ip_ban_sync: WorkspaceIpBanSyncEvent
    profile_update: ProfileUpdateEvent
    profile_avatar_update: ProfileAvatarUpdateEvent
    friend_request_create: FriendRequestCreateEvent
    friend_request_update: FriendRequestUpdateEvent
    friend_request_delete: FriendRequestDeleteEvent
    friend_remove: FriendRemoveEvent
    presence_sync: PresenceSyncEvent
    presence_update: PresenceUpdateEvent
    space_delta: SpaceDeltaEvent
    snapshot: SnapshotEvent
}

export type EventType = keyof ContractEvents

export interface Fault {
    /** A JSON pointer into d. */
    readonly path: string
    readonly what: string
}

/** All types of the contract. */
export const types: readonly EventType[]

/**
 * null: as the contract says. undefined: it does not know the type. Members
 * that it does not know are allowed, as a newer server may send them, but not
 * if strict.
 */
export function check(t: string, d: unknown, options?: { strict?: boolean }):
    Fault | null | undefined

/** For `validate` of createClient(): false for what is known and broken. */
export function validate(event: { t: string, d: unknown }): boolean

/** Whether d is the payload of such an event. */
export function isEvent<T extends EventType>(t: T, d: unknown):
    d is ContractEvents[T]
