/**
 * What the simulation did, kept outside the database so that whatever watches the tables can be
 * checked against it. An entry names keys and columns, never values; a digest of the row before and
 * after makes the net effect of any number of entries exact, also when a row ends as it began.
 */
import { appendFile, mkdir, readFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { SimulatorError } from './database.ts'
import type { TableName } from './schema.ts'

/** Why a row changed. */
export type Kind =
  | 'order'
  | 'late'
  | 'paid'
  | 'design'
  | 'silent'
  | 'department'
  | 'address'
  | 'deleted'
  | 'reinserted'

export interface JournalEntry {
  /** The simulated instant, `yyyy-mm-dd hh:mm:ss.mmm`. */
  readonly at: string
  readonly kind: Kind
  readonly action: 'insert' | 'update' | 'delete'
  readonly table: TableName
  readonly key: number
  /** The columns that an update changed. */
  readonly columns?: readonly string[]
  /** Digest of the whole row before, null when there was none. */
  readonly before: string | null
  /** Digest of the whole row after, null when there is none. */
  readonly after: string | null
}

/** Entries in the order of their commits. */
export type Journal = readonly JournalEntry[]

export interface NetChange {
  readonly table: TableName
  readonly key: number
  readonly change: 'inserted' | 'updated' | 'deleted'
  /** Every reason that had a part in it, first one first. */
  readonly kinds: readonly Kind[]
}

/** What someone sees who looks before the first and after the last entry only, by table and key. */
export function netChanges(entries: Journal): NetChange[] {
  const rows = new Map<string, { first: JournalEntry; last: JournalEntry; kinds: Set<Kind> }>()
  for (const entry of entries) {
    const id = `${entry.table}/${entry.key}`
    const row = rows.get(id)
    if (row === undefined) rows.set(id, { first: entry, last: entry, kinds: new Set([entry.kind]) })
    else {
      row.last = entry
      row.kinds.add(entry.kind)
    }
  }
  const changes = [...rows.values()].flatMap(({ first, last, kinds }): NetChange[] => {
    if (first.before === last.after) return []
    const change = first.before === null ? 'inserted' : last.after === null ? 'deleted' : 'updated'
    return [{ table: first.table, key: first.key, change, kinds: [...kinds] }]
  })
  return changes.sort((a, b) => (a.table === b.table ? a.key - b.key : a.table < b.table ? -1 : 1))
}

/** Appends to a file of JSON Lines, created with its folder when it is missing. */
export async function appendJournal(path: string, entries: Journal): Promise<void> {
  await mkdir(dirname(path), { recursive: true })
  await appendFile(path, entries.map((entry) => `${JSON.stringify(entry)}\n`).join(''))
}

/** All entries of the file; none when it does not exist. Throws SimulatorError for a line that is not one. */
export async function readJournal(path: string): Promise<Journal> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return ''
    throw error
  })
  const lines = text.split('\n')
  if (lines.at(-1) === '') lines.pop()
  return lines.map((line, index) => {
    try {
      return JSON.parse(line) as JournalEntry
    } catch (error) {
      const message = `Line ${index + 1} of the journal "${path}" is not JSON. Remove it, or begin a new journal.`
      throw new SimulatorError(message, { cause: error })
    }
  })
}
