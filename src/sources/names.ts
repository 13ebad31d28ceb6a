/** Names that DuckDB can tell apart: it takes upper and lower case for one. Pure. */

const MARK = '^'

/**
 * What each name is called, in order. A name that differs from others only in case gets `^` before
 * each upper-case letter, so that one in lower case, if there is one, stays as it is; all other names
 * stay, too. A name that still clashes (`Id`, `id` and `^Id`) is undefined.
 */
export function distinctNames(names: readonly string[]): (string | undefined)[] {
  const isAlone = lonely(names)
  const marked = names.map((name) => (isAlone(name) ? name : mark(name)))
  const isDistinct = lonely(marked)
  return marked.map((name) => (isDistinct(name) ? name : undefined))
}

function lonely(names: readonly string[]): (name: string) => boolean {
  const counts = new Map<string, number>()
  for (const name of names) {
    const folded = name.toLowerCase()
    counts.set(folded, (counts.get(folded) ?? 0) + 1)
  }
  return (name) => counts.get(name.toLowerCase()) === 1
}

function mark(name: string): string {
  return Array.from(name, (letter) =>
    letter === letter.toLowerCase() ? letter : MARK + letter,
  ).join('')
}
