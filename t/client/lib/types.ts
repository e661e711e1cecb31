// Copyright (C) Delta contributors

// What the types promise to who uses the library in TypeScript; never run.

import { UnauthorizedError, above, createClient, type Client }
    from 'delta-client'
import { types, validate } from 'delta-client/contract'
import { decode } from 'delta-client/msgpack'
import { useEntity, usePresence, useStatus } from 'delta-client/react'
import { createStores } from 'delta-client/stores'
import { createSpaceSync, createStateSync } from 'delta-client/world'

declare module 'delta-client' {
    interface EventTypes {
        our_own: { size: number }
    }
}

const d: Client = createClient('/gateway', {
    getToken: async ({ reason }) => reason === 'expires' ? null : 'token',
    msgpack: decode, validate, events: types,
})

d.on('state', ({ state, code, reason }) => {
    const words: string = `${state} ${code ?? 0} ${reason ?? ''}`
    return words
})
d.on('message_create', (message, event) => {
    const content: string = message.content
    // @ts-expect-error: it is a string
    const size: number = message.content
    return [content, size, event.id]
})
d.on('our_own', ({ size }) => size + 1)
d.on('of_somebody_else', data => data.whatever)
d.on('lost-connection', what => what === 'restored')

const channel = d.subscribe('channel:7')
channel.on('message_delete', ({ message_id }) => message_id.length)
channel.onResync(({ reason, channel }) => [reason, channel])
// @ts-expect-error: there is no such state
channel.state === 'closed'

const stores = createStores(d, {
    async refetch({ channel }, s) {
        if (channel === null) s.users.set('ada', { name: 'Ada' })
    },
})
const name: string | undefined =
    useEntity(stores.users, 'ada', user => user?.name as string)
export const words: string[] = [
    usePresence(stores, 'ada').status, useStatus(d).state]
const seen: boolean = await d.seen('1-0', { timeout: 1000 })

createStateSync({ client: d, world: 'default' })
    .on('tick', ({ tick }) => tick + 1)
createSpaceSync({ space: '7', refetch: async () => [] })
if (!seen) throw new UnauthorizedError(`${name} ${above('2-0', '1-0')}`)
