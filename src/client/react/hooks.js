// Copyright (C) Delta contributors

// The hooks, over any React that has useSyncExternalStore.

const OFFLINE = Object.freeze({ status: 'offline', project: null })

export function createHooks({ useCallback, useSyncExternalStore }) {
    function useStore(store, read) {
        return useSyncExternalStore(store.subscribe, read, read)
    }

    // The entity, or what select makes of it: a part, not a new object.

    function useEntity(store, id, select) {
        const read = () => {
            const entity = store.get(id)
            return select ? select(entity) : entity
        }
        return useStore(store, read)
    }

    const useEntities = store => useStore(store, store.all)

    const usePresence = (stores, userId) =>
        useEntity(stores.presence, userId) ?? OFFLINE

    // state, code, reason, transport

    function useStatus(client) {
        const subscribe = useCallback(f => client.on('state', () => f()),
                                      [client])
        const read = () => client.connection
        return useSyncExternalStore(subscribe, read, read)
    }

    return { useEntity, useEntities, usePresence, useStatus }
}
