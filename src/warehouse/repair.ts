/**
 * Tables made what the lake says they are, at the batch where the warehouse stands: one transaction under the
 * loader's lock, in place, by the means of a restatement (P4, P5). No batch is added, so the ledger stays as it is:
 *
 *   lock · read the ledger · send the rows · write those that differ · take away those that ought not to be
 *   there · count afresh · commit
 */
import type { Context } from '../events.ts'
import { readCatalogue, readTypes } from '../star/catalogue.ts'
import { loadOrder } from '../star/layout.ts'
import { requireRights } from '../star/rights.ts'
import { needsOf, relationNames, unknownTypes } from '../star/shape.ts'
import { countTables } from './apply.ts'
import type { Site } from './session.ts'
import { readLedger, refuseGone } from './ledger.ts'
import { deleteAbsent, putRows, stageRows, type Remade } from './remade.ts'
import { beginLoading, lockPipeline } from './session.ts'
import type { StarRepair } from './warehouse.ts'

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
