/**
 * The first half of extraction: all tables of one source, read in one snapshot, as pieces with their
 * digests. The snapshot is over before any difference is computed (P11).
 */
import { randomUUID } from 'node:crypto'
import { openPieceWriter, type Pieces } from '../columns/pieces.ts'
import { ToteError } from '../errors.ts'
import type { Context } from '../events.ts'
import type { CommittedManifest, TableEntry } from '../lake/manifest.ts'
import type { Source, SourceSnapshot, SourceTable } from '../sources/source.ts'

export interface ReadTable {
  readonly table: SourceTable
  /** What the lake holds of it, or null when it is new. */
  readonly entry: TableEntry | null
  /** Equal to what the lake holds, by digest; `pieces` are then gone. */
  readonly unchanged: boolean
  readonly rows: number
  readonly digest: string
  readonly pieces: Pieces | null
  readonly ms: number
}

export interface ReadSource {
  readonly snapshot: Pick<SourceSnapshot, 'identity' | 'position' | 'instant'>
  readonly tables: readonly ReadTable[]
}

export interface ReadOptions {
  readonly acceptSource: boolean
  /** Digests count for nothing: every table is compared in full. */
  readonly fullRefresh: boolean
  readonly tempFolder: string
}

/** Reads every table that may have changed. Throws SourceReplaced, SourceBehind, SourceChanged before it reads any. */
export async function readTables(
  source: Source,
  parent: CommittedManifest | null,
  options: ReadOptions,
  context: Context,
): Promise<ReadSource> {
  const snapshot = await source.snapshot(context)
  const read: ReadTable[] = []
  try {
    if (parent?.source !== undefined)
      mayFollow(source, snapshot, parent.source, options.acceptSource)
    if (parent !== null) refuseChangedShapes(source.name, snapshot.tables, parent)
    const trusted = !options.fullRefresh && sameIdentity(parent, snapshot)
    for (const table of snapshot.tables) {
      read.push(
        await readTable(
          snapshot,
          table,
          parent?.tables[table.name] ?? null,
          { ...options, trusted },
          context,
        ),
      )
    }
    return { snapshot, tables: read }
  } catch (error) {
    await Promise.all(read.map(async ({ pieces }) => pieces?.discard()))
    throw error
  } finally {
    await snapshot.close()
  }
}

async function readTable(
  snapshot: SourceSnapshot,
  table: SourceTable,
  entry: TableEntry | null,
  options: ReadOptions & { readonly trusted: boolean },
  context: Context,
): Promise<ReadTable> {
  const startedAt = context.now().getTime()
  const known =
    options.trusted && entry?.shape === table.shape ? entry.position['digest'] : undefined
  const done = (): number => context.now().getTime() - startedAt
  if (table.fingerprint !== undefined && table.fingerprint === known && entry !== null) {
    return {
      table,
      entry,
      unchanged: true,
      rows: entry.rows,
      digest: table.fingerprint,
      pieces: null,
      ms: done(),
    }
  }
  const writer = openPieceWriter(options.tempFolder, randomUUID())
  try {
    let announced = 0
    await snapshot.copy(table, {
      row: (csv) => {
        writer.row(csv)
        if (writer.rows - announced >= PROGRESS_ROWS) {
          announced = writer.rows
          context.emit({
            type: 'table.progress',
            stage: 'extract',
            table: table.name,
            rows: writer.rows,
            bytes: writer.bytes,
          })
        }
      },
      ready: () => writer.ready(),
    })
    const pieces = await writer.finish()
    const digest = table.fingerprint ?? pieces.digest
    const unchanged = digest === known && entry !== null
    if (!unchanged)
      return { table, entry, unchanged, rows: pieces.rows, digest, pieces, ms: done() }
    await pieces.discard()
    return { table, entry, unchanged, rows: pieces.rows, digest, pieces: null, ms: done() }
  } catch (error) {
    await writer.discard()
    throw error
  }
}

const PROGRESS_ROWS = 20_000

function mayFollow(
  source: Source,
  snapshot: SourceSnapshot,
  memory: NonNullable<CommittedManifest['source']>,
  acceptSource: boolean,
): void {
  try {
    source.follow(snapshot, memory)
  } catch (error) {
    if (!(acceptSource && error instanceof ToteError && error.name === 'SourceReplaced'))
      throw error
  }
}

/** A digest counts only for the very server process that it was taken from. */
function sameIdentity(parent: CommittedManifest | null, snapshot: SourceSnapshot): boolean {
  return JSON.stringify(parent?.source?.identity ?? null) === JSON.stringify(snapshot.identity)
}

function refuseChangedShapes(
  source: string,
  tables: readonly SourceTable[],
  parent: CommittedManifest,
): void {
  const problems: { where: string; message: string }[] = []
  const fresh = new Map<string, string[]>()
  for (const [name, entry] of Object.entries(parent.tables)) {
    const table = tables.find((candidate) => candidate.name === name)
    if (table === undefined) {
      problems.push({ where: name, message: 'is no longer there' })
      continue
    }
    const before = new Map(entry.columns.map((column) => [column.name, column.type]))
    for (const column of table.columns) {
      const type = before.get(column.name)
      if (type === undefined) {
        problems.push({ where: `${name}.${column.name}`, message: `is new (${column.type})` })
        fresh.set(name, [...(fresh.get(name) ?? []), column.name])
      } else if (type !== column.type)
        problems.push({
          where: `${name}.${column.name}`,
          message: `was ${type} and is ${column.type}`,
        })
      before.delete(column.name)
    }
    for (const column of before.keys()) {
      const setting = table.omitted?.get(column)
      problems.push({
        where: `${name}.${column}`,
        message:
          setting === undefined
            ? 'is no longer there'
            : `is in the lake, and left out by ${setting} of the config`,
      })
    }
    if (table.key.join() !== entry.key.join()) {
      problems.push({
        where: name,
        message: `had the key (${entry.key.join(', ')}) and has (${table.key.join(', ')})`,
      })
    }
  }
  if (problems.length === 0) return
  throw new ToteError(
    'SourceChanged',
    `The tables of source "${source}" have another shape than the lake's.`,
    {
      problems,
      why: 'following a changed schema is not supported yet, so the batch was refused before anything was written',
      fix: [
        ...leaveOut(source, fresh),
        'undo the change, or begin a new lake and a new warehouse schema',
      ].join('; or '),
    },
  )
}

/** New columns need not hold the batch up: the config can leave them out. */
function leaveOut(source: string, fresh: ReadonlyMap<string, readonly string[]>): string[] {
  if (fresh.size === 0) return []
  const tables = [...fresh].map(([table, columns]) => {
    const names = columns.map((name) => JSON.stringify(name)).join(', ')
    return `${JSON.stringify(table)}: { columns: { exclude: [${names}] } }`
  })
  return [`leave new columns out for now, in sources.${source}: table: { ${tables.join(', ')} }`]
}
