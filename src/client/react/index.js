// Copyright (C) Delta contributors

import { useCallback, useSyncExternalStore } from 'react'

import { createHooks } from './hooks.js'

export const { useEntity, useEntities, usePresence, useStatus } =
    createHooks({ useCallback, useSyncExternalStore })
