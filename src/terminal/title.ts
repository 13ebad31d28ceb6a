/** How a project is called in headings. */

/** `shop`, or `shop (dev)` in an environment. */
export function projectTitle(of: {
  readonly project: string
  readonly environment?: string | undefined
}): string {
  return of.environment === undefined ? of.project : `${of.project} (${of.environment})`
}
