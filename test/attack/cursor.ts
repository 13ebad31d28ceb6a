/** What strategy `cursor` must see and what it may miss, said again from docs/strategies.md. */
import type { State } from './oracle.ts'

export interface Cursor {
  readonly table: string
  readonly column: string
  readonly lookBackMs: number
}

interface Caught {
  /** The rows that the batch must hold as they are. */
  readonly expected: State
  /** The batch's own of those keys. */
  readonly found: State
  /** How many others differ: rows further behind than the look-back, and deletions. */
  readonly missed: number
}

interface Reach {
  readonly table: string
  /** Takes the batches in their order: what the snapshot saw, and what the lake holds. */
  caught(expected: State, found: State): Caught
}

export function newReach({ table, column, lookBackMs }: Cursor): Reach {
  // Of what the lake has seen before the batch.
  let greatest = Number.NEGATIVE_INFINITY
  const time = (row: Readonly<Record<string, string | null>>): number =>
    Date.parse(`${row[column]}Z`)
  return {
    table,
    caught: (expected, found) => {
      const from = greatest - lookBackMs
      const must = new Map([...expected].filter(([, row]) => time(row) >= from))
      for (const row of found.values()) greatest = Math.max(greatest, time(row))
      const same = (id: string): boolean => {
        const [one, other] = [expected.get(id), found.get(id)]
        return (
          Object.entries(one ?? {}).every(([name, value]) => other?.[name] === value) &&
          one !== undefined
        )
      }
      const others = new Set([...expected.keys(), ...found.keys()].filter((id) => !must.has(id)))
      return {
        expected: must,
        found: new Map([...found].filter(([id]) => must.has(id))),
        missed: [...others].filter((id) => !same(id)).length,
      }
    },
  }
}
