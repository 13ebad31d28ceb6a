/**
 * A whole star at once, its history included: the rows that batch after batch would have come to, into
 * an empty warehouse, as one transaction (P4, P5). Tables that are made here get their keys after their rows.
 */
import type { Context, WarehouseTableSummary } from '../events.ts'
import { quoteQualified } from '../postgres/identifiers.ts'
import { quoteName } from '../columns/sql.ts'
import { readCatalogue, type Catalogue } from '../star/catalogue.ts'
import { loadOrder } from '../star/layout.ts'
import { grantReaders, requireRights } from '../star/rights.ts'
import type { Target } from '../star/merge.ts'
import { needsOf, relationNames, type TablePlan } from '../star/shape.ts'
import { NUMBER_COLUMN } from '../star/versions.ts'
import type { BinaryColumn } from '../vectors/copy-encoders.ts'
import {
  countTables,
  finishTables,
  makeSchemas,
  mayFreeze,
  prepareTable,
  targetOf,
  type Applied,
  type Loaded,
} from './apply.ts'
import type { Site, Surveyed } from './session.ts'
import { entryValues, readLedger, refuseRows, sayOthers, type LedgerState } from './ledger.ts'
import { copyRows, needsStage } from './load.ts'
import { binaryColumn, namingColumns, sentValues } from './refused.ts'
import { putRows, stageRows, systemColumns } from './remade.ts'
import { beginLoading, lockPipeline, runIn } from './session.ts'
import type { LedgerEntry, RemadeTable, WholeStar } from './warehouse.ts'

/** `stale` when the ledger has an entry by now: then what is to be done is another thing. */
export async function beginStar(
  site: Site,
  whole: WholeStar,
  context: Context,
): Promise<Omit<Applied, 'status'> & { readonly status: 'applied' | 'stale' }> {
  const { connection, schema } = site
  const { entry } = whole
  await connection.query('begin', beginLoading('read write'))
  await connection.query(
    `wait for another loader of "${entry.pipeline}"`,
    lockPipeline(entry.pipeline, site.ledger.schema),
  )
  const ledger = await readLedger(site, entry)
  if (ledger.last !== null) {
    await connection.query('roll back', 'rollback')
    return { status: 'stale', tables: [] }
  }
  const star = loadOrder(whole.tables.map(({ table }) => table))
  const { rights, plans, empty } = await site.survey(star, 'all')
  requireRights(rights, needsOf(schema, plans), connection.peer.address)
  refuseFilled(site, entry, { plans, empty, ledger })
  sayOthers(site, ledger, context)
  await makeSchemas(site, { ledger, rights }, runIn(site, context))
  const { loaded, ms } = await fillStar(site, { plans, whole }, context)
  const built = { tables: await countTables(connection, schema, loaded), ms }
  await grantReaders(connection, {
    schema,
    ledger: site.ledger.schema,
    readers: site.readers,
    relations: relationNames(star),
  })
  await recordAll(site, whole, built.tables)
  context.signal.throwIfAborted()
  await connection.query('commit', 'commit')
  sayLoaded(whole, built, context)
  return { status: 'applied', tables: built.tables }
}

/** Where nothing was loaded yet no table may hold rows. Throws LedgerMismatch. */
export function refuseFilled(
  site: Site,
  entry: Pick<LedgerEntry, 'pipeline' | 'batch'>,
  seen: Pick<Surveyed, 'plans' | 'empty'> & { readonly ledger: Pick<LedgerState, 'elsewhere'> },
): void {
  for (const { layout, action } of seen.plans)
    if (action !== 'create' && !seen.empty.has(layout.table.name))
      refuseRows(entry, layout.table.name, { ...site, ...seen.ledger })
}

interface Built {
  readonly tables: readonly WarehouseTableSummary[]
  /** Of each table. */
  readonly ms: readonly number[]
}

/** What is in the tables by what was sent, and how long each took; nobody has counted them. */
interface Filled {
  readonly loaded: readonly Loaded[]
  readonly ms: readonly number[]
}

/** Makes the tables, fills them and gives them their keys. */
export async function fillStar(
  site: Site,
  { plans, whole }: { readonly plans: readonly TablePlan[]; readonly whole: WholeStar },
  context: Context,
): Promise<Filled> {
  const { connection, schema } = site
  const run = runIn(site, context)
  const star = plans.map(({ layout }) => layout.table)
  for (const plan of plans) await prepareTable(site, plan, run)
  const kept = await readCatalogue(connection, schema, relationNames(star))
  const targets = plans.map((plan, index) => targetOf(schema, { plan, kept, index }))
  const freeze = mayFreeze(plans, targets)
  const rows: number[] = []
  const ms: number[] = []
  for (const [index, target] of targets.entries()) {
    const started = performance.now()
    const remade = whole.tables.find(({ table }) => table.name === target.layout.table.name)
    if (remade === undefined) throw new RangeError(`no rows for "${target.layout.table.name}"`)
    rows.push(await fillWhole(site, { remade, target, kept, index, freeze }, context))
    ms.push(performance.now() - started)
  }
  await finishTables(site, { plans, star, run })
  const loaded = plans.map(({ layout: { table } }, index) => {
    const remade = whole.tables.find((one) => one.table.name === table.name)
    const rowsInLake = remade?.rowsInLake ?? 0
    return { table, upserts: rows[index] ?? 0, deletes: 0, rowsInLake }
  })
  return { loaded, ms }
}

interface TableToFill {
  readonly remade: RemadeTable
  readonly target: Target
  readonly kept: Catalogue
  readonly index: number
  readonly freeze: boolean
}

/** Straight into the table; by way of a stage where values must be cast. Returns how many rows that were. */
async function fillWhole(
  site: Site,
  { remade, target, kept, index, freeze }: TableToFill,
  context: Context,
): Promise<number> {
  const { connection, schema } = site
  const { layout } = target
  const { name } = layout.table
  if (needsStage(target)) {
    const types = new Map(kept.get(name)?.columns.map((column) => [column.name, column.type]))
    const keptAs = (column: { name: string; type: string }): string =>
      types.get(column.name) ?? column.type
    const staged = await stageRows(
      site,
      { remade: { ...remade, table: layout.table }, index, keptAs },
      context,
    )
    return putRows(site, staged, { kept, empty: true })
  }
  const { recordId } = layout
  const own = [...target.columns.map(binaryColumn), ...systemColumns(layout)]
  const list = own.map((column) => quoteName(column.name))
  if (recordId !== null) list.unshift(`cast(${quoteName(NUMBER_COLUMN)} as ${target.recordIdType})`)
  const columns: readonly BinaryColumn[] =
    recordId === null
      ? own
      : [
          {
            name: recordId.name,
            duckdbType: target.recordIdType.toUpperCase(),
            postgresType: target.recordIdType,
          },
          ...own,
        ]
  const chunks = remade.rows.chunks((relation) => `select ${list.join(', ')} from ${relation}`)
  const into = quoteQualified(schema, name)
  const copied = copyRows(connection, { table: name, into, columns, chunks, freeze }, context)
  return namingColumns(sentValues(connection, name, target.columns, remade.rows), copied)
}

/** The ledger's rows of every batch; those that it has already stay. The last one tells the counts. */
export async function recordAll(
  { connection, ledger, schema }: Site,
  { entries, entry }: WholeStar,
  tables: readonly WarehouseTableSummary[],
): Promise<void> {
  const rows = entries.map((one) => entryValues(one, one.manifest === entry.manifest ? tables : []))
  await connection.query('write the ledger', ledger.insertMany, [schema, JSON.stringify(rows)])
}

export function sayLoaded({ entry }: WholeStar, { tables, ms }: Built, context: Context): void {
  for (const [index, summary] of tables.entries())
    context.emit({
      type: 'table.loaded',
      batch: entry.batch,
      ms: Math.round(ms[index] ?? 0),
      ...summary,
    })
}
