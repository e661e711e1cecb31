// Copyright (C) Delta contributors

export { createSpaceSync } from './space-sync.js'
export { createStateSync } from './state-sync.js'
export { checksum } from './state.js'
