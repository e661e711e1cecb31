// Copyright (C) Delta contributors

// The client in a worker of the browser: says what it hears.  The server has
// it beside the page.

import { createClient } from '/client/index.js'

onmessage = ({ data: token }) => {
    const client = createClient('/gateway', { token })
    client.on('state', ({ state, transport }) =>
        postMessage(`${state} ${transport}`))
    client.on('profile_update', ({ bio }) => {
        postMessage(`heard ${bio}`)
        client.close()
    })
}
