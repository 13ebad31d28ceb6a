/**
 * One batch into the warehouse, as one transaction (P4, P5):
 *
 *   lock · read the ledger · alter what has other columns now · create what is missing · dimensions, then facts · keys of new tables ·
 *   count afresh · ledger · commit
 *
 * Whatever stops it, on either side, leaves the warehouse at the batch before.
 */
import { ToteError } from '../errors.ts'
import type { Context, WarehouseTableSummary } from '../events.ts'
import type { Connection } from '../postgres/connection.ts'
import { quoteIdentifier, quoteQualified } from '../postgres/identifiers.ts'
import { readCatalogue, type Catalogue } from '../star/catalogue.ts'
import {
  addForeignKeys,
  addPrimaryKey,
  adoptTable,
  commentColumns,
  commentTable,
  commentView,
  createIndex,
  createTable,
  createView,
  foreignKeysOf,
} from '../star/ddl.ts'
import { allColumns, layoutOf, loadOrder } from '../star/layout.ts'
import {
  createLedger,
  entryValues,
  placeInLedger,
  readLedger,
  refuseGone,
  refuseRows,
  sayOthers,
  type LedgerState,
} from './ledger.ts'
import { loadTables, needsStage, type TableLoad } from './load.ts'
import { finishAltered, followStar, type AlteredStar, type Run } from '../star/alter-star.ts'
import { carriedColumn, countCurrent, type Target } from '../star/merge.ts'
import { grantReaders, requireRights, type Rights } from '../star/rights.ts'
import type { Site } from './session.ts'
import { beginLoading, lockPipeline, moreMemoryForKeys, runIn } from './session.ts'
import { needsOf, relationNames, type TablePlan } from '../star/shape.ts'
import type { StarTable } from '../star/star-table.ts'
import type { LedgerEntry, StarBatch, StarChanges } from './warehouse.ts'

export interface Applied {
  readonly status: 'applied' | 'already'
  readonly tables: readonly WarehouseTableSummary[]
}

export async function applyBatch(site: Site, batch: StarBatch, context: Context): Promise<Applied> {
  const { connection, schema } = site
  const { entry } = batch
  await connection.query('begin', beginLoading('read write'))
  await connection.query(
    `wait for another loader of "${entry.pipeline}"`,
    lockPipeline(entry.pipeline, site.ledger.schema),
  )
  const ledger = await readLedger(site, entry)
  if (placeInLedger(entry, ledger.last, ledger.recorded) === 'already') {
    await connection.query('roll back', 'rollback')
    return { status: 'already', tables: [] }
  }
  const star = loadOrder(batch.changes.map(({ table }) => table))
  const altered = await followStar(site, { star, live: batch.live })
  const { rights, plans, empty } = await site.survey(
    star,
    ledger.last === null ? 'all' : 'incomplete',
  )
  requireRights(rights, needsOf(schema, plans), connection.peer.address)
  const changes = new Map(batch.changes.map((change) => [change.table.name, change]))
  await refuseStrangeRows(site, entry, { plans, empty, changes, ledger })
  sayOthers(site, ledger, context)

  const run = runIn(site, context)
  await makeSchemas(site, { ledger, rights }, run)
  for (const plan of plans) await prepareTable(site, plan, run)
  const kept = plans.some(({ action }) => action === 'create')
    ? await readCatalogue(connection, schema, relationNames(star))
    : catalogueOf(plans)

  const targets = plans.map((plan, index) => targetOf(schema, { plan, kept, index }))
  const freeze = mayFreeze(plans, targets)
  const loads = targets.flatMap((target, index): TableLoad[] => {
    const change = changes.get(target.layout.table.name)
    const isNew = plans[index]?.action === 'create'
    if (change === undefined || (change.upserts === 0 && change.deletes === 0 && !isNew)) return []
    const stamp = { batch: entry.batch, instant: entry.instant }
    return [{ connection, target, changes: change, stamp, isNew, freeze }]
  })
  const took = await loadTables(connection, loads, context)
  const loaded = loads.map(({ changes: one }) => one)
  const tables = await finishBatch(site, { entry, star, plans, altered, loaded, took }, context)
  return { status: 'applied', tables }
}

/** The schemas, and the ledger. */
export async function makeSchemas(
  site: Site,
  { ledger, rights }: { readonly ledger: Pick<LedgerState, 'exists'>; readonly rights: Rights },
  run: Run,
): Promise<void> {
  const { schema } = site
  if (!ledger.exists) await createLedger(site, { alone: rights.ledgerSchemaExists })
  if (!rights.schemaExists)
    await run(`create schema "${schema}"`, `create schema if not exists ${quoteIdentifier(schema)}`)
}

export interface BatchToFinish {
  readonly entry: LedgerEntry
  readonly star: readonly StarTable[]
  readonly plans: readonly TablePlan[]
  readonly altered: AlteredStar
  readonly loaded: readonly Loaded[]
  /** Milliseconds that loading each table took, by name. */
  readonly took: ReadonlyMap<string, number>
}

/** After the rows: keys, rights, counts, ledger, commit. Throws CountMismatch, and with it goes the whole batch. */
export async function finishBatch(
  site: Site,
  { entry, star, plans, altered, loaded, took }: BatchToFinish,
  context: Context,
): Promise<readonly WarehouseTableSummary[]> {
  const { connection, schema, ledger, readers } = site
  const run = runIn(site, context)
  await finishTables(site, { plans, star, run })
  await finishAltered(site, { altered, star, run })
  const relations = relationNames(star)
  await grantReaders(connection, { schema, ledger: ledger.schema, readers, relations })
  const tables = await countTables(connection, schema, loaded)
  await connection.query('write the ledger', ledger.insert, [schema, ...entryValues(entry, tables)])
  context.signal.throwIfAborted()
  await connection.query('commit', 'commit')
  for (const summary of tables) {
    const ms = Math.round(took.get(summary.table) ?? 0)
    context.emit({ type: 'table.loaded', batch: entry.batch, ms, ...summary })
  }
  return tables
}

/** Rows that no ledger knows of, or a ledger whose rows are gone: someone else's tables, or a dropped one. */
async function refuseStrangeRows(
  site: Site,
  entry: LedgerEntry,
  seen: {
    readonly plans: readonly TablePlan[]
    readonly empty: ReadonlySet<string>
    readonly changes: ReadonlyMap<string, StarChanges>
    readonly ledger: LedgerState
  },
): Promise<void> {
  const first = seen.ledger.last === null
  for (const { layout, action } of seen.plans) {
    const { name } = layout.table
    const change = seen.changes.get(name)
    if (
      action === 'create' &&
      !first &&
      change !== undefined &&
      (change.rowsInLake !== change.upserts || (await change.hasHistory?.()) === true)
    )
      refuseGone(entry, name)
    if (action !== 'create' && first && !seen.empty.has(name))
      refuseRows(entry, name, { ...site, ...seen.ledger })
  }
}

/** Before the rows: a new table without keys, or a user's empty one with our columns. */
export async function prepareTable(
  { schema }: Site,
  { layout, action, missing, nullable, found }: TablePlan,
  run: Run,
): Promise<void> {
  const { name } = layout.table
  if (action === 'create') await run(`create table "${name}"`, createTable(schema, layout))
  if (action !== 'adopt') return
  await run(`add Tote's columns to "${name}"`, adoptTable(schema, layout, missing, nullable))
  await run(`index "${name}"`, createIndex(schema, layout))
  if (found?.comment === null) await run(`comment on "${name}"`, commentTable(schema, layout))
  for (const comment of commentColumns(schema, layout, missing))
    await run(`comment on "${name}"`, comment)
}

/** After the rows: primary keys of all new tables, then foreign keys, indexes, statistics, comments, views. */
export async function finishTables(
  { schema }: Site,
  {
    plans,
    star,
    run,
  }: {
    readonly plans: readonly TablePlan[]
    readonly star: readonly StarTable[]
    readonly run: Run
  },
): Promise<void> {
  const created = plans.filter(({ action }) => action === 'create').map(({ layout }) => layout)
  if (created.length > 0) await run('set aside memory', moreMemoryForKeys)
  for (const layout of created)
    await run(`add the primary key of "${layout.table.name}"`, addPrimaryKey(schema, layout))
  for (const { layout, action, found } of plans) {
    if (action === 'use') continue
    const absent = foreignKeysOf(layout.table, star).filter(
      ({ column }) => found?.foreignKeys.includes(column) !== true,
    )
    const text = addForeignKeys(schema, layout, absent)
    await run(`add the foreign keys of "${layout.table.name}"`, text)
  }
  for (const layout of created) {
    const { name } = layout.table
    await run(`index "${name}"`, createIndex(schema, layout))
    await run(`comment on "${name}"`, commentTable(schema, layout))
    for (const comment of commentColumns(schema, layout, allColumns(layout)))
      await run(`comment on "${name}"`, comment)
  }
  if (created.length > 0)
    await run(
      'gather statistics',
      `analyze ${created.map(({ table }) => quoteQualified(schema, table.name)).join(', ')}`,
    )
  for (const { layout, createView: wanted } of plans) {
    if (!wanted) continue
    await run(`create view "${layout.view ?? ''}"`, createView(schema, layout))
    await run(`comment on "${layout.view ?? ''}"`, commentView(schema, layout))
  }
}

function catalogueOf(plans: readonly TablePlan[]): Catalogue {
  return new Map(
    plans.flatMap(({ found }) => (found === undefined ? [] : [[found.name, found] as const])),
  )
}

/**
 * Whether rows may be seen by snapshots that are older than they are: by all of the star's, or by none (P5). A table
 * that was there before, and rows from a stage, cannot be given to them.
 */
export function mayFreeze(plans: readonly TablePlan[], targets: readonly Target[]): boolean {
  return plans.every(({ action }) => action === 'create') && !targets.some(needsStage)
}

/** Types as the warehouse keeps them decide what is sent as what. */
export function targetOf(
  schema: string,
  { plan, kept, index }: { plan: TablePlan; kept: Catalogue; index: number },
): Target {
  const { layout } = plan
  const types = new Map(kept.get(layout.table.name)?.columns.map(({ name, type }) => [name, type]))
  const recordIdType = types.get(layout.recordId?.name ?? '') === 'bigint' ? 'bigint' : 'integer'
  const columns = layout.table.columns.map(({ name, type, carried }) =>
    carriedColumn(name, carried, types.get(name) ?? type),
  )
  return { schema, layout, columns, recordIdType, stage: `pg_temp.tote_stage_${index}` }
}

export type Loaded = Omit<StarChanges, 'rows'>

/** Counts tables afresh (P12), in one round trip. Throws CountMismatch, and with it goes the whole batch. */
export async function countTables(
  connection: Connection,
  schema: string,
  changes: readonly Loaded[],
): Promise<readonly WarehouseTableSummary[]> {
  const counted = await connection.queryAll(
    changes.map(({ table }) => ({
      doing: `count "${table.name}"`,
      text: countCurrent(schema, layoutOf(table)),
    })),
  )
  return changes.map((loaded, index) => {
    const [row] = counted[index]?.rows ?? []
    return summaryOf(loaded, Number(row?.['current']))
  })
}

/** Throws CountMismatch unless the warehouse has as many current rows as the lake. */
export function summaryOf(
  { table, upserts, deletes, rowsInLake }: Loaded,
  current: number,
): WarehouseTableSummary {
  if (current !== rowsInLake) {
    throw new ToteError(
      'CountMismatch',
      `Table "${table.name}" would have ${current} current rows in the warehouse after this batch, and has ${rowsInLake} in the lake; nothing was loaded.`,
      {
        where: table.name,
        why: 'something else has written to the table, or a part of the warehouse was put back',
        fix: 'see which rows: tote verify; have them made what the lake says: tote verify --repair, or tote rebuild',
        details: { table: table.name, rowsInWarehouse: current, rowsInLake },
      },
    )
  }
  return {
    table: table.name,
    kind: table.kind,
    rowsLoaded: upserts,
    rowsDeleted: deletes,
    rowsCurrent: current,
  }
}
