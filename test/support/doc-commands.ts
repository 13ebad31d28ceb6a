/** Every `tote …` command line of a page, fenced or in a line of code, in order. */
export function commandLines(page: string): string[] {
  const fenced = [...page.matchAll(/^(?:.*&& )?npx (tote [^#\n>]*)/gm)].map(
    (match) => match[1] ?? '',
  )
  const inline = [...page.matchAll(/`(tote [^`]+)`/g)].map((match) => match[1] ?? '')
  return [...fenced, ...inline].map((command) => command.trim())
}
