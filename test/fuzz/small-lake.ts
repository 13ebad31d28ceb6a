/** A small lake through the lake's own functions: batches, deletes, a base, merged files and history. */
import { mkdtemp } from 'node:fs/promises'
import { join } from 'node:path'
import { openEngine, type Engine } from '../../src/columns/engine.ts'
import type { FileFormat } from '../../src/columns/file.ts'
import { writeDueBases } from '../../src/lake/base.ts'
import { goOnWith } from '../../src/lake/carried.ts'
import { fromMicros } from '../../src/lake/instant.ts'
import type { CommittedManifest } from '../../src/lake/manifest.ts'
import { writeRows } from '../../src/lake/write.ts'
import { openZone, type Zone } from '../../src/lake/zone.ts'
import { openFolderStore } from '../../src/storage/store-folder.ts'
import type { Column } from '../../src/types.ts'

const COLUMNS: readonly Column[] = [
  { id: 1, name: 'id', type: 'integer', carried: 'INTEGER', notNull: true },
  { id: 2, name: 'note', type: 'text', carried: 'VARCHAR', notNull: false },
  { id: 3, name: 'at', type: 'date', carried: 'DATE', notNull: false },
]

export interface SmallLake {
  readonly folder: string
  readonly newest: CommittedManifest
  /** Rows of table `t` now. */
  readonly rows: number
}

/** A zone over the folder that has seen nothing yet. */
export function reopen(folder: string): Zone {
  return openZone(openFolderStore(folder))
}

export async function openFuzzEngine(folder: string): Promise<Engine> {
  return openEngine({ tempFolder: join(folder, 'tmp'), threads: 1 })
}

const FIRST = 300

/** Eight manifests of the chain `shop`: six batches, merged files, and a base with history before the last. */
export async function buildLake(
  engine: Engine,
  parent: string,
  format: FileFormat = 'parquet',
): Promise<SmallLake> {
  const folder = await mkdtemp(join(parent, 'lake-'))
  const zone = openZone(openFolderStore(folder), format)
  let newest: CommittedManifest | null = null
  let rows = 0
  for (let batch = 1; batch <= 6; batch++) {
    newest = await commitBatch(engine, zone, newest, batch)
    rows = newest.tables['t']?.rows ?? 0
    if (batch !== 3 && batch !== 5) continue
    const policy = batch === 3 ? { files: 1, fewRows: 0, share: 0 } : { files: 0 }
    newest = await writeDueBases(zone, engine, newest, policy, {
      run: 'r',
      signal: new AbortController().signal,
      now: () => new Date(0),
      emit: () => undefined,
    })
  }
  if (newest === null) throw new Error('nothing was committed')
  return { folder, newest, rows }
}

/** The first writes `FIRST` rows; each later one changes ten of them, and takes one away. */
async function commitBatch(
  engine: Engine,
  zone: Zone,
  parent: CommittedManifest | null,
  batch: number,
): Promise<CommittedManifest> {
  const instant = fromMicros(BigInt(batch))
  const entry = parent?.tables['t'] ?? null
  const relation =
    batch === 1
      ? `(select 'u' as _tote_op, i::integer as id, 'note, "' || i as note, date '2026-01-01' + i::integer as at from range(${FIRST}) r(i))`
      : `(select case when i = 0 then 'd' else 'u' end as _tote_op, (${20 * batch} + i)::integer as id, 'changed ${batch}' as note, null::date as at from range(11) r(i))`
  const file = await writeRows(zone, engine, {
    chain: 'shop',
    table: 't',
    relation,
    columns: COLUMNS,
    key: ['id'],
    batch,
    instant,
    base: false,
    rows: batch === 1 ? FIRST : 11,
    deletes: batch === 1 ? 0 : 1,
  })
  const before = goOnWith(entry, COLUMNS)
  const t = {
    ...before,
    columns: COLUMNS,
    key: ['id'],
    shape: 's',
    position: { digest: 'd' },
    rows: FIRST - (batch - 1),
    files: [...before.files, file],
  }
  const draft = {
    chain: 'c',
    batch,
    instant,
    run: 'r',
    writer: 'test',
    source: { identity: { system: '1' }, position: '1:1:' },
    tables: { t },
  }
  return zone.chain('shop').commit(draft, parent)
}
