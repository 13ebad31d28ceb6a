/** What build.js offers to TypeScript: tests drive the built command line. */
export function buildWhenStale(): boolean
