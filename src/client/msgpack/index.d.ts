// Copyright (C) Delta contributors

/** One value; throws on what is broken, or is not in JSON. */
export function decode(bytes: Uint8Array): unknown
