// Copyright (C) Delta contributors

export { createClient } from './core/client.js'
export { UnauthorizedError } from './core/credentials.js'
export { above } from './core/positions.js'
