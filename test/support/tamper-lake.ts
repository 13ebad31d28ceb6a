/** A lake that says other rows than there ought to be, as a fault of ours would leave it. */
import { nextInstant } from '../../src/lake/instant.ts'
import { rowsAsOf } from '../../src/lake/read.ts'
import { writeRows } from '../../src/lake/write.ts'
import type { Zone } from '../../src/lake/zone.ts'
import type { Project } from '../../src/project/project.ts'

/**
 * Commits a batch to the chain "shop" beside the same digests, pairs and positions, so that runs see nothing: to
 * them the table is unchanged. `change` yields changes, `_tote_op` and the columns, of `rows`; as many go as come.
 */
export async function tamperLake(
  { engine: open }: Pick<Project, 'engine'>,
  zone: Zone,
  table: string,
  change: (rows: string) => string,
): Promise<void> {
  const chain = zone.chain('shop')
  const parent = await chain.newest()
  const entry = parent?.tables[table]
  if (parent === null || entry === undefined) throw new Error('nothing to tamper with')
  const engine = await open()
  try {
    const changes = change(`(${await rowsAsOf(zone, parent, table, parent.batch)})`)
    const [counted] = await engine.rows(
      `select count(*) as n, count(*) filter (where _tote_op = 'd') as d from (${changes})`,
    )
    const place = { batch: parent.batch + 1, instant: nextInstant(parent.instant, parent.instant) }
    const file = await writeRows(zone, engine, {
      ...place,
      chain: 'shop',
      table,
      relation: `(${changes})`,
      columns: entry.columns,
      key: entry.key,
      base: false,
      rows: Number(counted?.['n']),
      deletes: Number(counted?.['d']),
    })
    const { format: _f, name: _n, number: _m, parent: _p, sha256: _s, ...draft } = parent
    const tables = { ...parent.tables, [table]: { ...entry, files: [...entry.files, file] } }
    await chain.commit({ ...draft, ...place, tables }, parent)
  } finally {
    engine.close()
  }
}
