/** What manifests say wrote them. */
export const SYSTEM_WRITER = 'totedata'
