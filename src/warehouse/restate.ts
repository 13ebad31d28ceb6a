/**
 * Edited models into the warehouse, and repairs, each as one transaction (P4, P5). Edited models:
 *
 *   lock · read the ledger · send the new histories · alter the tables · change the rows that differ ·
 *   put up again what hung on columns that went · count afresh · ledger · commit
 *
 * Tables keep their identity, and so their grants, policies, triggers and views; rows that are the same
 * are not touched; where no column comes or goes, readers are not held up and older snapshots see what
 * they saw.
 */
import type { Context, WarehouseTableSummary } from '../events.ts'
import { readCatalogue, readTypes, type Catalogue } from '../star/catalogue.ts'
import { loadOrder } from '../star/layout.ts'
import { requireRights } from '../star/rights.ts'
import {
  needsOf,
  relationNames,
  unknownTypes,
  withTypesHere,
  type TablePlan,
} from '../star/shape.ts'
import { alterStar, type AlteredStar } from '../star/alter-star.ts'
import { countTables, finishBatch, makeSchemas, prepareTable, targetOf } from './apply.ts'
import type { Site } from './session.ts'
import { entryValues, readLedger, refuseGone, refuseRows } from './ledger.ts'
import { loadTables } from './load.ts'
import { deleteAbsent, putRows, stageRows, type Remade } from './remade.ts'
import { beginLoading, lockPipeline, runIn } from './session.ts'
import type { LedgerEntry, StarRepair, StarRestatement } from './warehouse.ts'

export interface Restated {
  readonly status: 'applied' | 'already' | 'stale'
  readonly tables: readonly WarehouseTableSummary[]
}

export async function applyRestatement(
  site: Site,
  restatement: StarRestatement,
  context: Context,
): Promise<Restated> {
  const { connection, schema } = site
  const { entry } = restatement
  await connection.query('begin', beginLoading('read write'))
  await connection.query(
    `wait for another loader of "${entry.pipeline}"`,
    lockPipeline(entry.pipeline, site.ledger.schema),
  )
  const ledger = await readLedger(site, entry)
  const moved = movedTo(entry, restatement.after, ledger.last)
  if (moved !== null) {
    await connection.query('roll back', 'rollback')
    return { status: moved, tables: [] }
  }
  const star = loadOrder(restatement.star)
  const catalogue = await readCatalogue(connection, schema, relationNames(star))
  const types = await readTypes(connection, unknownTypes(star, catalogue))
  const staged = new Map<string, Remade>()
  const keptAs = ({ type }: { readonly type: string }): string => types.get(type) ?? type
  for (const [index, { table, ...rows }] of restatement.remade.entries()) {
    const remade = { ...rows, table: withTypesHere(table, { catalogue, types }) }
    staged.set(table.name, await stageRows(site, { remade, index, keptAs }, context))
  }
  const altered = await alterStar(site, {
    star,
    live: restatement.live,
    types,
    refilled: (table) => staged.has(table),
  })
  const first = ledger.last === null
  const { rights, plans, empty } = await site.survey(star, 'all')
  requireRights(rights, needsOf(schema, plans), connection.peer.address)
  for (const { layout, action } of plans) {
    const { name } = layout.table
    if (action === 'create' && !staged.has(name)) refuseGone(entry, name)
    const ours = !first && restatement.live.some((table) => table.name === name)
    if (action !== 'create' && !ours && !empty.has(name))
      refuseRows(entry, name, { ...site, ...ledger })
  }
  const run = runIn(site, context)
  await makeSchemas(site, { ledger, rights }, run)
  for (const plan of plans) await prepareTable(site, plan, run)
  const kept = await readCatalogue(connection, schema, relationNames(star))

  const changed = await changeRows(site, { restatement, plans, staged, altered, kept }, context)
  const loaded = restatement.remade.map((remade) => {
    const { upserts = 0, deletes = 0 } = changed.get(remade.table.name) ?? {}
    return { ...remade, upserts, deletes }
  })
  // Rows bear the number of a batch that was loaded on the way: the ledger says when that was.
  const passed = restatement.passed.map((one) => entryValues(one, []))
  await connection.query('write the ledger', site.ledger.insertMany, [
    schema,
    JSON.stringify(passed),
  ])
  const took = new Map<string, number>()
  const tables = await finishBatch(site, { entry, star, plans, altered, loaded, took }, context)
  return { status: 'applied', tables }
}

/** Whether the ledger has moved on since the restatement was computed; null when it has not. */
function movedTo(
  entry: LedgerEntry,
  after: LedgerEntry | null,
  last: LedgerEntry | null,
): 'already' | 'stale' | null {
  if (last?.manifestSha256 === after?.manifestSha256 && last?.batch === after?.batch) return null
  return last !== null && last.generation >= entry.generation ? 'already' : 'stale'
}

interface RowsToChange {
  readonly restatement: StarRestatement
  readonly plans: readonly TablePlan[]
  readonly staged: ReadonlyMap<string, Remade>
  readonly altered: AlteredStar
  readonly kept: Catalogue
}

/** What is referred to comes first; what is gone goes last. Returns how many rows each table changed. */
async function changeRows(
  site: Site,
  { restatement, plans, staged, altered, kept }: RowsToChange,
  context: Context,
): Promise<ReadonlyMap<string, { readonly upserts: number; readonly deletes: number }>> {
  const { connection, schema } = site
  const counts = new Map<string, { upserts: number; deletes: number }>()
  for (const [index, plan] of plans.entries()) {
    const { name } = plan.layout.table
    const remade = staged.get(name)
    if (remade !== undefined) {
      const empty = plan.action === 'create' || altered.tables.get(name)?.alteration.rekey === true
      counts.set(name, { upserts: await putRows(site, remade, { kept, empty }), deletes: 0 })
      continue
    }
    const target = targetOf(schema, { plan, kept, index })
    let again = false
    for (const { entry, changes } of restatement.batches) {
      const change = changes.find(({ table }) => table.name === name)
      if (change === undefined) continue
      const stamp = { batch: entry.batch, instant: entry.instant }
      const load = { connection, target, changes: change, stamp, isNew: false, staged: again }
      await loadTables(connection, [load], context)
      again = true
    }
  }
  for (const { layout } of plans.toReversed()) {
    const { name } = layout.table
    const remade = staged.get(name)
    const count = counts.get(name)
    if (remade !== undefined && count !== undefined)
      count.deletes += await deleteAbsent(site, remade)
  }
  return counts
}

/**
 * Tables made what the lake says they are, at the batch where the warehouse stands, by the same means. No batch is added, so
 * the ledger stays as it is:
 *
 *   lock · read the ledger · send the rows · write those that differ · take away those that ought not to be
 *   there · count afresh · commit
 */
export async function repairStar(
  site: Site,
  { after, star, remade }: StarRepair,
  context: Context,
): Promise<'repaired' | 'stale'> {
  const { connection, schema } = site
  await connection.query('begin', beginLoading('read write'))
  await connection.query(
    `wait for another loader of "${after.pipeline}"`,
    lockPipeline(after.pipeline, site.ledger.schema),
  )
  const { last } = await readLedger(site, after)
  if (last?.manifestSha256 !== after.manifestSha256 || last.batch !== after.batch) {
    await connection.query('roll back', 'rollback')
    return 'stale'
  }
  const ordered = loadOrder(star)
  const { rights, plans } = await site.survey(ordered, 'incomplete')
  requireRights(rights, needsOf(schema, plans), connection.peer.address)
  const kept = await readCatalogue(connection, schema, relationNames(ordered))
  const tables = plans.map(({ layout }) => layout.table)
  const types = await readTypes(connection, unknownTypes(tables, kept))
  const keptAs = ({ type }: { readonly type: string }): string => types.get(type) ?? type
  const staged: Remade[] = []
  for (const [index, { layout, action }] of plans.entries()) {
    const wanted = remade.find(({ table }) => table.name === layout.table.name)
    if (wanted === undefined) continue
    if (action === 'create') refuseGone(after, layout.table.name)
    const rows = { ...wanted, table: layout.table }
    staged.push(await stageRows(site, { remade: rows, index, keptAs }, context))
  }
  // What is referred to comes first; what ought not to be there goes last.
  for (const rows of staged) await putRows(site, rows, { kept, empty: false })
  for (const rows of staged.toReversed()) await deleteAbsent(site, rows)
  await countTables(
    connection,
    schema,
    remade.map((wanted) => ({ ...wanted, upserts: 0, deletes: 0 })),
  )
  context.signal.throwIfAborted()
  await connection.query('commit', 'commit')
  return 'repaired'
}
