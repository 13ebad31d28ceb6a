/**
 * The star made anew from the lake, in a schema of its own beside the live one, compared with it, and then
 * put in its place; all in one transaction, so that a reader sees the old star or the new one, and
 * whatever stops the work leaves the old one and nothing else. A table that the user has divided into partitions stays as it
 * is made, and gets the rows of the one beside it that differ.
 *
 *   lock · read the ledger · build · compare · wait for a moment without readers · take away · move · give back ·
 *   ledger · commit
 */
import { ToteError } from '../errors.ts'
import type { Context, RebuiltTable } from '../events.ts'
import { quoteIdentifier, quoteLiteral, quoteQualified } from '../postgres/identifiers.ts'
import {
  giveBack,
  giveDefaults,
  lockStanding,
  readAttached,
  takeAway,
  type Attached,
  type Standing,
} from '../star/attached.ts'
import { readCatalogue, type Catalogue, type FoundRelation } from '../star/catalogue.ts'
import { layoutOf, loadOrder, rebuildSchema, type Layout } from '../star/layout.ts'
import { countCurrent } from '../star/merge.ts'
import { grantReaders, requireRights, type Rights } from '../star/rights.ts'
import { needsOf, relationNames, type TablePlan } from '../star/shape.ts'
import type { StarTable } from '../star/star-table.ts'
import { summaryOf, type Loaded } from './apply.ts'
import type { Site } from './session.ts'
import {
  createLedger,
  entryValues,
  readLedger,
  refuseRows,
  sayOthers,
  type LedgerState,
} from './ledger.ts'
import { countSame, takeRows } from './remade.ts'
import { beginLoading, lockPipeline, moreMemoryForComparing, patiently } from './session.ts'
import type { RebuildOptions, Rebuilt, WholeStar } from './warehouse.ts'
import { fillStar, recordAll, sayLoaded } from './whole.ts'

export async function rebuildStar(
  site: Site,
  whole: WholeStar,
  options: RebuildOptions,
  context: Context,
): Promise<Rebuilt> {
  const { connection, schema } = site
  const { entry } = whole
  const beside = site.at(options.into ?? rebuildSchema(schema))
  await connection.query('begin', beginLoading('read write'))
  await connection.query(
    `wait for another loader of "${entry.pipeline}"`,
    // A star of its own is in nobody's way.
    lockPipeline(
      options.into === null ? entry.pipeline : `${entry.pipeline} into ${options.into}`,
      site.ledger.schema,
    ),
  )
  const ledger = await readLedger(site, entry)
  if (options.into === null && !isAt(ledger.last, options.after)) {
    await connection.query('roll back', 'rollback')
    return { status: 'stale', tables: [], compared: [] }
  }
  const all = loadOrder(whole.tables.map(({ table }) => table))
  const live = await readCatalogue(connection, schema, relationNames(all))
  // A table whose model is gone is made anew where it still is; the user may have dropped it.
  const star = all.filter(
    ({ name }) => ledger.last === null || !options.retired.has(name) || live.has(name),
  )
  const stays = (name: string): boolean => live.get(name)?.kind === 'p'
  const standing = standingOf(
    schema,
    star.filter(({ name }) => !stays(name)),
    live,
    !options.acceptLake && ledger.last?.generation === entry.generation,
  )
  const switches = options.into === null && !options.dryRun
  if (switches) {
    const known = ledger.last !== null || options.acceptLake
    await refuseStrangers(site, { star, live, whole, ledger, known })
    sayOthers(site, ledger, context)
    // What cannot be done is said before the work, not after it.
    await readAttached(connection, standing)
    // A table that stays as it is made must be able to take the rows.
    const kept = star.filter(({ name }) => stays(name))
    if (kept.length > 0)
      await site.survey(
        kept.map((table) => ({ ...table, references: [] })),
        'incomplete',
      )
  }
  const made = await makeRoom(site, beside, { star, whole, into: options.into })
  const { rights, plans } = await beside.survey(star, 'all')
  requireRights(rights, needsOf(beside.schema, plans), connection.peer.address)
  const { loaded, ms } = await fillStar(
    beside,
    { plans: plans.map((plan) => asLive(plan, live)), whole },
    context,
  )
  const seen = await compareStar(site, { beside: beside.schema, plans, live, loaded }, context)
  const compared = seen.map((one) => one.compared)
  const built = { tables: seen.map((one) => one.summary), ms }
  if (options.dryRun) {
    await connection.query('roll back', 'rollback')
    return { status: 'compared', tables: built.tables, compared }
  }
  if (switches)
    await patiently(connection, context, async () =>
      putInPlace(site, { beside: beside.schema, standing, plans, made, stays }),
    )
  if (!ledger.exists) await createLedger(site, { alone: (await rightsIn(site)).ledgerSchemaExists })
  // A star that is left beside may be gone on with, once warehouse.schema names it.
  const home = switches ? site : beside
  await forgetOthers(home, whole)
  await recordAll(home, whole, built.tables)
  await grantReaders(connection, {
    schema: options.into ?? schema,
    ledger: site.ledger.schema,
    readers: site.readers,
    relations: relationNames(star),
  })
  context.signal.throwIfAborted()
  await connection.query('commit', 'commit')
  sayLoaded(whole, built, context)
  return { status: options.into === null ? 'switched' : 'built', tables: built.tables, compared }
}

function isAt(last: RebuildOptions['after'], after: RebuildOptions['after']): boolean {
  return last?.manifestSha256 === after?.manifestSha256 && last?.batch === after?.batch
}

function standingOf(
  schema: string,
  star: readonly StarTable[],
  live: Catalogue,
  sameModels = false,
): Standing {
  const there = (name: string | null): name is string => name !== null && live.has(name)
  return {
    schema,
    tables: star.map(({ name }) => name).filter(there),
    views: star.map((table) => layoutOf(table).view).filter(there),
    sameModels,
  }
}

interface ToReplace {
  readonly star: readonly StarTable[]
  readonly live: Catalogue
  readonly whole: WholeStar
  readonly ledger: LedgerState
  readonly known: boolean
}

/** Nothing is replaced that Tote did not make. */
async function refuseStrangers(
  site: Site,
  { star, live, whole, ledger, known }: ToReplace,
): Promise<void> {
  const { connection, schema } = site
  const problems = star.flatMap((table) => {
    const view = live.get(layoutOf(table).view ?? '')
    return view === undefined || view.kind === 'v'
      ? []
      : [{ where: `${schema}.${view.name}`, message: 'is no view of ours' }]
  })
  if (problems.length > 0)
    throw new ToteError('WarehouseShapeMismatch', 'A relation is in the way of the rebuild.', {
      problems,
    })
  if (known) return
  for (const { name } of star) {
    if (!live.has(name)) continue
    const [row] = await connection.query(
      'look for rows',
      `select exists (select from ${quoteQualified(schema, name)}) as rows`,
    )
    if (row?.['rows'] === 't') refuseRows(whole.entry, name, { ...site, ...ledger })
  }
}

/** What `--into` says on a schema of its own. */
function markOf({ entry }: WholeStar): string {
  return `Made by tote rebuild --into, of pipeline "${entry.pipeline}"; the next one replaces its tables.`
}

/** The schema in which the star is built; says whether it was made here. */
async function makeRoom(
  site: Site,
  beside: Site,
  { star, whole, into }: { star: readonly StarTable[]; whole: WholeStar; into: string | null },
): Promise<boolean> {
  const { connection } = site
  const { schema } = beside
  const rights = await rightsIn(beside)
  const name = quoteIdentifier(schema)
  requireRights(rights, { schema, creates: true, tables: [], alters: [] }, connection.peer.address)
  if (!rights.schemaExists) {
    await connection.query(`create schema "${schema}"`, `create schema ${name}`)
    if (into !== null)
      await connection.query(
        `comment on schema "${schema}"`,
        `comment on schema ${name} is ${quoteLiteral(markOf(whole))}`,
      )
    return true
  }
  const there = await readCatalogue(connection, schema, relationNames(star))
  if (into === null) {
    if (there.size === 0) return false
    throw new ToteError(
      'WarehouseShapeMismatch',
      `Schema "${schema}", in which a rebuild works, holds what bears a name of the star.`,
      {
        problems: [...there.keys()].map((relation) => ({
          where: `${schema}.${relation}`,
          message: 'is in the way',
        })),
        fix: `rename or drop the schema "${schema}"`,
      },
    )
  }
  const [found] = await connection.query(
    'read the comment of the schema',
    "select obj_description(oid, 'pg_namespace') as mark from pg_namespace where nspname = $1",
    [schema],
  )
  if (found?.['mark'] !== markOf(whole))
    throw new ToteError(
      'UsageInvalid',
      `Schema "${schema}" is there already, and is not of an earlier rebuild of this project.`,
      { where: '--into', fix: 'name a schema that does not exist yet' },
    )
  await takeAway(
    connection,
    standingOf(schema, star, there),
    { dependents: [...there.values()].filter(({ kind }) => kind === 'v').map((view) => dropOf(schema, view)), belongings: [] }, // prettier-ignore
  )
  return true
}

function dropOf(schema: string, { name }: FoundRelation): Attached['dependents'][number] {
  const drop = `drop view ${quoteQualified(schema, name)}`
  return { what: `view ${schema}.${name}`, drop, create: [], attempt: [] }
}

async function rightsIn(site: Site): Promise<Rights> {
  return (await site.survey([], 'incomplete')).rights
}

/** A record id that is wider there stays so. */
function asLive(plan: TablePlan, live: Catalogue): TablePlan {
  const { layout } = plan
  const { recordId } = layout
  const found = live.get(layout.table.name)?.columns.find(({ name }) => name === recordId?.name)
  if (recordId === null || found?.type !== 'bigint') return plan
  return {
    ...plan,
    layout: { ...layout, recordId: { ...recordId, definition: 'bigserial not null' } },
  }
}

interface Comparing {
  readonly beside: string
  readonly plans: readonly TablePlan[]
  readonly live: Catalogue
  /** In the order of the plans. */
  readonly loaded: readonly Loaded[]
}

interface Seen {
  readonly compared: RebuiltTable
  readonly summary: Rebuilt['tables'][number]
}

/** Counts, table by table, the rows of one key that are the same to the byte; the order of columns is nobody's business. Throws CountMismatch. */
async function compareStar(
  { connection, schema }: Site,
  { beside, plans, live, loaded }: Comparing,
  { signal }: Context,
): Promise<readonly Seen[]> {
  const made = await readCatalogue(
    connection,
    beside,
    plans.map(({ layout }) => layout.table.name),
  )
  await connection.query('set aside memory', moreMemoryForComparing)
  const seen: Seen[] = []
  for (const [index, { layout }] of plans.entries()) {
    signal.throwIfAborted()
    const { name, kind } = layout.table
    const [old, fresh] = [live.get(name), made.get(name)]
    const same = old !== undefined && fresh !== undefined && shapeOf(old) === shapeOf(fresh)
    const sent = loaded[index]
    if (sent === undefined) throw new RangeError(`table "${name}" was not loaded`)
    const [row] = await connection.query(
      `compare "${name}"`,
      same
        ? countSame({ schema, beside, layout, columns: old.columns, rows: sent.upserts })
        : countBoth(schema, beside, layout, old !== undefined),
    )
    const count = (column: string): number => Number(row?.[column] ?? 0)
    seen.push({
      summary: summaryOf(sent, count('current')),
      compared: {
        table: name,
        kind,
        shape: old === undefined ? 'absent' : same ? 'same' : 'differs',
        rowsLive: old === undefined ? null : count('live'),
        rowsRebuilt: count('rebuilt'),
        rowsEqual: count('equal'),
      },
    })
  }
  return seen
}

function shapeOf({ columns, primaryKey, kind }: FoundRelation): string {
  const all = columns.map(({ name, type }) => JSON.stringify([name, type])).toSorted()
  return JSON.stringify([kind === 'p' ? 'r' : kind, all, primaryKey.toSorted()])
}

function countBoth(schema: string, beside: string, layout: Layout, there: boolean): string {
  const all = (where: string): string =>
    `(select count(*) from ${quoteQualified(where, layout.table.name)})`
  return `select ${there ? all(schema) : 'null'} as live, ${all(beside)} as rebuilt, current, 0 as equal from (${countCurrent(beside, layout)}) as beside`
}

interface InPlace {
  readonly beside: string
  readonly standing: Standing
  readonly plans: readonly TablePlan[]
  /** The schema beside was made here, and goes. */
  readonly made: boolean
  /** Of which tables only rows are changed. */
  stays(name: string): boolean
}

/** No reader sees anything of this before the commit. */
async function putInPlace(
  site: Site,
  { beside, standing, plans, made, stays }: InPlace,
): Promise<void> {
  const { connection, schema } = site
  await lockStanding(connection, standing)
  const attached = await readAttached(connection, standing)
  await takeAway(connection, standing, attached)
  const { schemaExists } = await rightsIn(site)
  if (!schemaExists)
    await connection.query(`create schema "${schema}"`, `create schema ${quoteIdentifier(schema)}`)
  const layouts = plans.map((plan) => plan.layout)
  await takeRows(
    site,
    beside,
    layouts.filter(({ table }) => stays(table.name)),
  )
  for (const { table, view } of layouts.filter(({ table: { name } }) => !stays(name))) {
    const move = (what: string, name: string): string =>
      `alter ${what} ${quoteQualified(beside, name)} set schema ${quoteIdentifier(schema)}`
    await connection.query(`move "${table.name}"`, move('table', table.name))
    if (view !== null) await connection.query(`move "${view}"`, move('view', view))
    if (!standing.tables.includes(table.name)) await giveDefaults(connection, schema, table.name)
  }
  await giveBack(connection, standing, attached)
  if (made)
    await connection.query(`drop schema "${beside}"`, `drop schema ${quoteIdentifier(beside)}`)
}

/** The ledger tells of this lake alone. */
async function forgetOthers(
  { connection, ledger, schema }: Site,
  { entry, entries }: WholeStar,
): Promise<void> {
  const values = [
    entry.pipeline,
    schema,
    JSON.stringify(entries.map((one) => entryValues(one, []))),
  ]
  const [row] = await connection.query('read the ledger', ledger.countOthers, values)
  // Who has nothing to delete needs no right to.
  if (row?.['n'] !== '0') await connection.query('write the ledger', ledger.deleteOthers, values)
}
