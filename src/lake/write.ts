/** Writing a versioned table's files: they exist only once a manifest names them. */
import { randomBytes } from 'node:crypto'
import type { Engine, EngineValue } from '../columns/engine.ts'
import type { FileFormat } from '../columns/file.ts'
import { readFiles, writeFile } from '../columns/files.ts'
import { longestRow } from '../columns/file-text.ts'
import { OP_COLUMN, quoteName } from '../columns/sql.ts'
import { ToteError } from '../errors.ts'
import { moveFile } from '../storage/temp-folder.ts'
import type { Column, Instant } from '../types.ts'
import { formatDataKey } from './keys.ts'
import type { DataFile } from './manifest.ts'
import type { Zone } from './zone.ts'

export interface RowsToWrite {
  readonly chain: string
  readonly table: string
  /** A relation with `_tote_op` and the columns, each key once. */
  readonly relation: string
  readonly columns: readonly Column[]
  readonly key: readonly string[]
  /** The batch of every row, or the last of them. */
  readonly batch: number
  /** The relation has `_tote_batch`, too: rows of several batches, a key once in each. */
  readonly keepsBatches?: boolean
  readonly instant: Instant
  readonly base: boolean
  /** They are pairs, kept apart from the rows and always as Parquet. */
  readonly pairs?: boolean
  readonly rows: number
  readonly deletes: number
  /** A file in the zone's format that holds these very rows, to be taken instead of writing them. */
  readonly prepared?: string
  /**
   * By key when not given and there are more than a few. `as they come` spares sorting what no reader needs sorted, and mixes them; `as they lie`
   * keeps the order in which the relation yields them, where the format can.
   */
  readonly order?: 'as they come' | 'as they lie' | undefined
}

/**
 * Writes one file in the zone's format, durable on return. What the manifest will say of it is read back from the
 * file: a count that is not the expected one is a Bug, and nothing is committed.
 */
export async function writeRows(zone: Zone, engine: Engine, rows: RowsToWrite): Promise<DataFile> {
  const { chain, table, relation, columns, key, batch, instant, base } = rows
  const format = rows.pairs === true ? 'parquet' : zone.format
  const objectKey = formatDataKey({
    chain,
    table,
    instant,
    part: 0,
    random: randomBytes(6).toString('hex'),
    base,
    format,
    ...(rows.pairs === true ? { pairs: true } : {}),
  })
  const batchOfAll = rows.keepsBatches === true ? null : batch
  const longest = await longestIn(engine, format, rows)
  const edges = [edgeKey(key, 'min'), edgeKey(key, 'max')]
  const look = (path: string): string =>
    `select count(*) as n, count(*) filter (where ${quoteName(OP_COLUMN)} = 'd') as deletes, ${edges.join(', ')}` +
    ` from ${readFiles([{ path, format, longest, carried: {} }], columns)}`
  let seen: Readonly<Record<string, EngineValue>> | undefined
  const stored = await zone.store.writeFile(objectKey, async (path) => {
    if (rows.prepared !== undefined) await moveFile(rows.prepared, path)
    const ordered = rows.order === undefined && isSorted(rows) ? key : []
    const keepsOrder = rows.order === 'as they lie'
    const file = { relation, columns, key: ordered, keepsOrder, batch: batchOfAll, path }
    const write = rows.prepared === undefined ? `${writeFile(format, file)}; ` : ''
    ;[seen] = await engine.rows(`${write}${look(path)}`)
  })
  const found = { rows: Number(seen?.['n']), deletes: Number(seen?.['deletes']) }
  if (found.rows !== rows.rows || found.deletes !== rows.deletes) {
    throw new ToteError(
      'Bug',
      `The file of table "${table}" holds ${found.rows} rows where ${rows.rows} were to be written.`,
      { where: objectKey },
    )
  }
  return {
    key: objectKey,
    batch,
    ...found,
    ...stored,
    least: key.map((_, index) => shortened(seen?.[`min_${index}`])),
    greatest: key.map((_, index) => shortened(seen?.[`max_${index}`])),
    ...(longest > 0 ? { longest } : {}),
  }
}

/**
 * Several writings side by side: the disk makes one file durable while the next is written. Resolves when
 * all are done; throws what went wrong first, when none goes on any more.
 */
export async function allWritten<T>(writing: readonly Promise<T>[]): Promise<T[]> {
  await Promise.allSettled(writing)
  return Promise.all(writing)
}

/** So many are read as one whatever is sought among them, and are not sorted. */
const FEW_ROWS = 2048

/** Whether a file of upserts must lie in the order of the key. */
export function isSorted({ rows }: Pick<DataFile, 'rows'>): boolean {
  return rows > FEW_ROWS
}

/** Manifests stay small whatever a key holds. */
const MAX_KEY_TEXT = 200

function shortened(value: EngineValue | undefined): string {
  const text = String(value ?? '')
  return text.length <= MAX_KEY_TEXT ? text : Array.from(text).slice(0, MAX_KEY_TEXT).join('')
}

/** Shorter rows need not be announced to whoever reads the file. */
const LONG_ROW = 1_000_000

async function longestIn(engine: Engine, format: FileFormat, rows: RowsToWrite): Promise<number> {
  if (format === 'parquet') return 0
  const [row] = await engine.rows(longestRow(format, rows))
  const longest = Number(row?.['longest'])
  return longest > LONG_ROW ? longest : 0
}

/** The first or the last key as columns `min_0`, `min_1`, …; a key of one column is in the file's statistics. */
function edgeKey(key: readonly string[], edge: 'min' | 'max'): string {
  const [first, ...more] = key.map(quoteName)
  if (first === undefined || more.length === 0)
    return `${edge}(${first ?? 'null'})::varchar as ${edge}_0`
  const parts = [first, ...more].map((name, index) => `'k${index}': ${name}`)
  const whole = `${edge}({${parts.join(', ')}})`
  return key.map((_, index) => `(${whole}).k${index}::varchar as ${edge}_${index}`).join(', ')
}
