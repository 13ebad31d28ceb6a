/**
 * Edited models into the warehouse, as one transaction (P4, P5):
 *
 *   lock · read the ledger · send the new histories · alter the tables · change the rows that differ ·
 *   put up again what hung on columns that went · count afresh · ledger · commit
 *
 * Tables keep their identity, and so their grants, policies, triggers and views; rows that are the same
 * are not touched; where no column comes or goes, readers are not held up and older snapshots see what
 * they saw.
 */
import type { Context, WarehouseTableSummary } from '../events.ts'
import { quoteIdentifier, quoteQualified } from '../postgres/identifiers.ts'
import { alterationOf, alterTable, tightenTable, type Alteration } from '../star/alter.ts'
import { readCatalogue, readTypes, type Catalogue } from '../star/catalogue.ts'
import {
  addForeignKeys,
  addPrimaryKey,
  commentTable,
  createIndex,
  createView,
  extendView,
  foreignKeysOf,
} from '../star/ddl.ts'
import {
  findDependents,
  putUp,
  readForeignKeys,
  takeDown,
  type Dependent,
} from '../star/dependents.ts'
import { layoutOf, loadOrder } from '../star/layout.ts'
import { grantReaders, requireRights } from '../star/rights.ts'
import { needsOf, relationNames, unknownTypes, type TablePlan } from '../star/shape.ts'
import type { StarTable } from '../star/star-table.ts'
import { keepsVersions } from '../types.ts'
import {
  countTables,
  createLedgerTable,
  finishTables,
  prepareTable,
  readLedger,
  targetOf,
  type Run,
  type Site,
} from './apply.ts'
import { entryValues, refuseRows } from './ledger.ts'
import { loadTables } from './load.ts'
import { deleteAbsent, putRows, removeAll, stageRows, type Remade } from './remade.ts'
import { beginLoading, lockPipeline } from './session.ts'
import type { LedgerEntry, StarRestatement } from './warehouse.ts'

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
  const types = await readTypes(
    connection,
    unknownTypes(star, await readCatalogue(connection, schema, relationNames(star))),
  )
  const staged = new Map<string, Remade>()
  for (const [index, remade] of restatement.remade.entries())
    staged.set(
      remade.table.name,
      await stageRows(
        site,
        { remade, index, keptAs: ({ type }) => types.get(type) ?? type },
        context,
      ),
    )
  const altered = await alterStar(site, { star, live: restatement.live, types })
  const first = ledger.last === null
  const { rights, plans, empty } = await site.survey(star, 'all')
  requireRights(rights, needsOf(schema, plans), connection.peer.address)
  for (const { layout, action } of plans) {
    const { name } = layout.table
    if (action === 'create' && !staged.has(name)) refuseRows(entry, name, 'a table that is gone')
    const ours = !first && restatement.live.some((table) => table.name === name)
    if (action !== 'create' && !ours && !empty.has(name))
      refuseRows(entry, name, 'rows without a ledger')
  }
  const run = async (doing: string, text: string | undefined): Promise<void> => {
    context.signal.throwIfAborted()
    if (text !== undefined) await connection.query(doing, text)
  }
  if (!ledger.exists) await createLedgerTable(site, rights)
  if (!rights.schemaExists)
    await run(`create schema "${schema}"`, `create schema if not exists ${quoteIdentifier(schema)}`)
  for (const plan of plans) await prepareTable(site, plan, run)
  const kept = await readCatalogue(connection, schema, relationNames(star))

  const loaded = await changeRows(site, { restatement, plans, staged, altered, kept }, context)
  await finishTables(site, { plans, star, run })
  await finishAltered(site, { altered, star, run })
  await grantReaders(connection, {
    schema,
    ledger: site.ledger.schema,
    readers: site.readers,
    relations: relationNames(star),
  })

  const tables = await countTables(
    connection,
    schema,
    restatement.remade.map((remade) => {
      const { upserts = 0, deletes = 0 } = loaded.get(remade.table.name) ?? {}
      return { ...remade, upserts, deletes }
    }),
  )
  await connection.query('write the ledger', site.ledger.insert, entryValues(entry, tables))
  context.signal.throwIfAborted()
  await connection.query('commit', 'commit')
  for (const summary of tables)
    context.emit({ type: 'table.loaded', batch: entry.batch, ms: 0, ...summary })
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

interface Altered {
  readonly alteration: Alteration
  readonly live: StarTable
  readonly dependents: readonly Dependent[]
}

interface StarToAlter {
  readonly star: readonly StarTable[]
  readonly live: readonly StarTable[]
  readonly types: ReadonlyMap<string, string | null>
}

interface AlteredStar {
  readonly tables: ReadonlyMap<string, Altered>
  /** Tables that lost a foreign key to one that was altered, or their own. */
  readonly freed: ReadonlySet<string>
}

/** Gives the tables that are there the columns and keys that the star wants. Throws WarehouseDependents. */
async function alterStar(site: Site, { star, live, types }: StarToAlter): Promise<AlteredStar> {
  const { connection, schema } = site
  const tables = new Map<string, Altered>()
  const freed = new Set<string>()
  const catalogue = await readCatalogue(connection, schema, [
    ...relationNames(star),
    ...relationNames(live),
  ])
  const names = star.map(({ name }) => name)
  for (const table of star) {
    const found = catalogue.get(table.name)
    const before = live.find(({ name }) => name === table.name)
    if (before === undefined || found === undefined || !['r', 'p'].includes(found.kind)) continue
    const alteration = alterationOf(table, before, found, types)
    const lost = await looseKeys(site, { table, star, names, rekey: alteration.rekey })
    for (const key of lost) {
      freed.add(key.table)
      await connection.query(
        `drop a foreign key of "${key.table}"`,
        `alter table ${quoteQualified(schema, key.table)} drop constraint ${quoteIdentifier(key.name)}`,
      )
    }
    const dependents = await takeDownFor(site, { alteration, before, catalogue, names })
    if (alteration.rekey) {
      await removeAll(site, table.name)
      await dropKey(site, table.name)
    }
    const text = alterTable(schema, alteration)
    if (text !== undefined) {
      await connection.query(`alter "${table.name}"`, text)
      freed.add(table.name)
    }
    if (alteration.rekey)
      await connection.query(
        `add the primary key of "${table.name}"`,
        addPrimaryKey(schema, alteration.layout),
      )
    const view = catalogue.get(alteration.layout.view ?? '')
    if (view !== undefined && alteration.add.length > 0 && dependents === null)
      await connection.query(
        `alter view "${view.name}"`,
        extendView(
          schema,
          alteration.layout,
          view.columns.map(({ name }) => name),
        ),
      )
    tables.set(table.name, { alteration, live: before, dependents: dependents ?? [] })
  }
  return { tables, freed }
}

/** Alters, to see whether it can be done; the caller rolls back. Throws WarehouseDependents. */
export async function tryAlterations(
  site: Site,
  star: readonly StarTable[],
  live: readonly StarTable[],
): Promise<void> {
  const { connection, schema } = site
  const catalogue = await readCatalogue(connection, schema, relationNames(star))
  const types = await readTypes(connection, unknownTypes(star, catalogue))
  const { tables } = await alterStar(site, { star, live, types })
  for (const [name, { alteration, dependents }] of tables) {
    const { layout } = alteration
    const text = dependents.length === 0 ? undefined : createView(schema, layout)
    if (text !== undefined && catalogue.has(layout.view ?? ''))
      await connection.query(`create view "${layout.view ?? ''}"`, text)
    await putUp(connection, name, dependents, 'attempt')
  }
}

/** Foreign keys that the star no longer wants, and those that stand on a key that goes. */
async function looseKeys(
  { connection, schema }: Site,
  of: { table: StarTable; star: readonly StarTable[]; names: readonly string[]; rekey: boolean },
): Promise<readonly { readonly name: string; readonly table: string }[]> {
  const { table, star, names, rekey } = of
  const keys = await readForeignKeys(connection, { schema, table: table.name, star: names })
  const wanted = foreignKeysOf(table, star)
  return keys.filter((key) =>
    key.target === table.name && (rekey || table.kind !== 'dimension' || keepsVersions(table))
      ? true
      : key.table === table.name &&
        !wanted.some(({ column, table: target }) => column === key.column && target === key.target),
  )
}

/** Null when no column, key or view goes: then nothing that hangs on the table is touched. */
async function takeDownFor(
  { connection, schema }: Site,
  of: {
    alteration: Alteration
    before: StarTable
    catalogue: Catalogue
    names: readonly string[]
  },
): Promise<readonly Dependent[] | null> {
  const { alteration, before, catalogue, names } = of
  const { layout, drop, rekey } = alteration
  const view = layoutOf(before).view
  if (drop.length === 0 && !rekey && view === layout.view) return null
  const found = await findDependents(connection, {
    schema,
    table: layout.table.name,
    columns: drop,
    view: view !== null && catalogue.has(view) ? view : null,
    viewStays: view === layout.view,
    rekey,
    star: names,
  })
  await takeDown(connection, layout.table.name, found)
  return found
}

async function dropKey({ connection, schema }: Site, table: string): Promise<void> {
  const [key] = await connection.query(
    'read the primary key',
    `select k.conname as name from pg_constraint as k join pg_class as c on c.oid = k.conrelid
     join pg_namespace as n on n.oid = c.relnamespace where n.nspname = $1 and c.relname = $2 and k.contype = 'p'`,
    [schema, table],
  )
  if (key?.['name'] === undefined || key['name'] === null) return
  await connection.query(
    `drop the primary key of "${table}"`,
    `alter table ${quoteQualified(schema, table)} drop constraint ${quoteIdentifier(key['name'])}`,
  )
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

/** Keys, demands, comments, and what was taken down. */
async function finishAltered(
  { connection, schema }: Site,
  of: { readonly altered: AlteredStar; readonly star: readonly StarTable[]; readonly run: Run },
): Promise<void> {
  const { altered, star, run } = of
  for (const [name, { alteration, live }] of altered.tables) {
    const { layout, rekey } = alteration
    await run(`alter "${name}"`, tightenTable(schema, alteration))
    if (rekey || layoutOf(live).table.key.join('\0') !== layout.table.key.join('\0'))
      await run(`index "${name}"`, createIndex(schema, layout))
    if (alteration.comment) {
      const text = commentTable(schema, layout)
      await run(
        `comment on "${name}"`,
        text ?? `comment on table ${quoteQualified(schema, name)} is null`,
      )
    }
  }
  const now = await readCatalogue(connection, schema, relationNames(star))
  for (const table of star) {
    const { name } = table
    const mine = altered.freed.has(name) || altered.tables.has(name)
    const target = table.references.some(({ model }) => altered.tables.has(model))
    if (!mine && !target) continue
    const absent = foreignKeysOf(table, star).filter(
      ({ column }) => now.get(name)?.foreignKeys.includes(column) !== true,
    )
    await run(`add the foreign keys of "${name}"`, addForeignKeys(schema, layoutOf(table), absent))
  }
  for (const [name, { dependents }] of altered.tables)
    await putUp(connection, name, dependents, 'create')
}
