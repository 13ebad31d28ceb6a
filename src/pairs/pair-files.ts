/**
 * The pairs of a table in the lake: a base and the changes since, as of rows, but numbered by manifests
 * and without a history, because only the current ones are ever asked for; and beside them the digests of
 * their blocks. Files exist when a manifest names them.
 */
import { randomBytes } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { currentRows, newestChanges } from '../columns/current.ts'
import type { Engine } from '../columns/engine.ts'
import { OP_COLUMN, quoteName, quoteNames } from '../columns/sql.ts'
import { dueCompaction, type BasePolicy } from '../lake/base.ts'
import { mergeRuns } from '../lake/history.ts'
import { formatBlocksKey } from '../lake/keys.ts'
import type { BlocksFile, DataFile, PairsEntry } from '../lake/manifest.ts'
import { localFiles } from '../lake/read.ts'
import { writeRows } from '../lake/write.ts'
import type { Zone } from '../lake/zone.ts'
import type { Instant } from '../types.ts'
import { formatBlocks, parseBlocks, type Blocks } from './pair-blocks.ts'

/** Which commit pairs are written for. */
export interface PairsPlace {
  readonly zone: Zone
  readonly chain: string
  readonly table: string
  readonly key: readonly string[]
  /** The manifest that is to name them. */
  readonly manifest: number
  readonly instant: Instant
}

/** A `select` of the pairs. Throws LakeCorrupt. */
export async function knownPairs(
  zone: Zone,
  { columns, base, files }: Pick<PairsEntry, 'columns' | 'base' | 'files'>,
  key: readonly string[],
): Promise<string> {
  const [bulk, since] = await Promise.all([localFiles(zone, base), localFiles(zone, files)])
  return currentRows({ columns, key, bulk, since })
}

/** Writes all pairs anew; `relation` has a table's `rows` pairs. */
export async function writePairsBase(
  place: PairsPlace,
  engine: Engine,
  pairs: {
    readonly relation: string
    readonly columns: PairsEntry['columns']
    readonly rows: number
  },
): Promise<Pick<PairsEntry, 'base' | 'files'>> {
  const { relation, columns, rows } = pairs
  if (rows === 0) return { base: [], files: [] }
  const file = await writeRows(place.zone, engine, {
    ...dataPlace(place),
    relation: `(select 'u' as ${quoteName(OP_COLUMN)}, * from (${relation}))`,
    columns,
    base: true,
    rows,
    deletes: 0,
  })
  return { base: [file], files: [] }
}

export interface PairChanges {
  /** Has OP_COLUMN and the columns of `before`. */
  readonly relation: string
  readonly rows: number
  readonly deletes: number
  /** Pairs there are afterwards. */
  readonly pairs: number
}

/** Writes what has changed since `before`; many small files become few large ones on the way. */
export async function writePairChanges(
  place: PairsPlace,
  engine: Engine,
  before: PairsEntry,
  { relation, rows, deletes, pairs, policy }: PairChanges & { readonly policy: BasePolicy },
): Promise<Pick<PairsEntry, 'base' | 'files'>> {
  const { columns, base } = before
  if (rows === 0) return { base, files: before.files }
  // Of most pairs, as when a table was written anew: two files would hold each of them.
  if (2 * rows > pairs) {
    const all = await knownPairs(place.zone, before, place.key)
    return writePairsBase(place, engine, {
      relation: withChanges(all, relation, { columns, key: place.key }),
      columns,
      rows: pairs,
    })
  }
  const file = await writeRows(place.zone, engine, {
    ...dataPlace(place),
    relation,
    columns,
    base: false,
    rows,
    deletes,
  })
  const after = { ...before, files: [...before.files, file] }
  const due = dueCompaction({ ...after, rows: pairs }, policy)
  if (due === 'base') {
    const all = await knownPairs(place.zone, after, place.key)
    return writePairsBase(place, engine, { relation: all, columns, rows: pairs })
  }
  return { base, files: due === null ? after.files : await merge(place, engine, after) }
}

/** A `select` of what `changes`, with OP_COLUMN, make of `pairs`. */
function withChanges(
  pairs: string,
  changes: string,
  { columns, key }: Pick<PairsEntry, 'columns'> & { readonly key: readonly string[] },
): string {
  const names = quoteNames(columns.map(({ name }) => name))
  const same = key.map((name) => `c.${quoteName(name)} = p.${quoteName(name)}`).join(' and ')
  return (
    `select ${names} from (${pairs}) p where not exists (select 1 from ${changes} c where ${same})` +
    ` union all select ${names} from ${changes} where ${quoteName(OP_COLUMN)} = 'u'`
  )
}

/** Of several files only the newest change of each key counts. */
async function merge(
  place: PairsPlace,
  engine: Engine,
  { columns, files }: Pick<PairsEntry, 'columns' | 'files'>,
): Promise<DataFile[]> {
  const merged: DataFile[] = []
  for (const run of mergeRuns(files)) {
    const [first] = run
    if (run.length < 2) {
      merged.push(...(first === undefined ? [] : [first]))
      continue
    }
    const newest = newestChanges(columns, place.key, await localFiles(place.zone, run), false)
    const [counted] = await engine.rows(
      `select count(*) as n, count(*) filter (where ${quoteName(OP_COLUMN)} = 'd') as deletes from (${newest})`,
    )
    merged.push(
      await writeRows(place.zone, engine, {
        ...dataPlace(place),
        // All that comes after has a higher number still.
        batch: Math.max(...run.map(({ batch }) => batch)),
        relation: `(${newest})`,
        columns,
        base: false,
        rows: Number(counted?.['n']),
        deletes: Number(counted?.['deletes']),
      }),
    )
  }
  return merged
}

function dataPlace({ chain, table, key, manifest, instant }: PairsPlace) {
  return {
    chain,
    table,
    key,
    batch: manifest,
    instant,
    pairs: true,
    order: 'as they come',
  } as const
}

/** The digests that an entry names; null when it names none. Throws LakeCorrupt. */
export async function readBlocks(zone: Zone, file: BlocksFile | null): Promise<Blocks | null> {
  if (file === null) return null
  return parseBlocks(await readFile(await zone.store.localPath(file.key, file)), file.pages)
}

/** Writes digests, durable on return. */
export async function writeBlocks(
  place: PairsPlace,
  blocks: Blocks,
  files: BlocksFile['files'],
): Promise<BlocksFile> {
  const { chain, table, manifest } = place
  const random = randomBytes(6).toString('hex')
  const key = formatBlocksKey({ chain, table, manifest, random })
  const body = formatBlocks(blocks)
  const stored = await place.zone.store.writeFile(key, async (path) => writeFile(path, body))
  return { key, ...stored, pages: blocks.pages, ...(files === undefined ? {} : { files }) }
}
