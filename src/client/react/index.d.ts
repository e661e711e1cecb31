// Copyright (C) Delta contributors

import type { Client, Connection } from '../index.js'
import type { Presence, Store, Stores } from '../stores/index.js'

export function useEntity<E>(store: Store<E>, id: string): E | undefined
/** select gives a part of the entity, or a value: not a new object each time. */
export function useEntity<E, P>(store: Store<E>, id: string,
                                select: (entity: E | undefined) => P): P
export function useEntities<E>(store: Store<E>): readonly E[]
/** Who is not there is offline. */
export function usePresence(stores: Stores, userId: string):
    Pick<Presence, 'status' | 'project'>
export function useStatus(client: Client): Connection
