/**
 * Tables of the star that are there already made to be what it wants now, inside the transaction that
 * brings their rows: before these come and go columns and keys, and with them what hangs on those; after
 * them, what was taken down is put up again.
 */
import { quoteIdentifier, quoteQualified } from '../postgres/identifiers.ts'
import {
  addLabels,
  alterationOf,
  alterTable,
  hasOtherColumns,
  labelsBeyond,
  renameColumns,
  tightenTable,
  type Alteration,
} from './alter.ts'
import { readCatalogue, readTypes, type Catalogue, type FoundRelation } from './catalogue.ts'
import {
  addForeignKeys,
  addPrimaryKey,
  commentTable,
  createIndex,
  createView,
  extendView,
  foreignKeysOf,
} from './ddl.ts'
import {
  findDependents,
  putUp,
  readForeignKeys,
  takeDown,
  type Dependent,
  type StarForeignKey,
} from './dependents.ts'
import { layoutOf } from './layout.ts'
import { relationNames, unknownTypes, withTypesHere } from './shape.ts'
import type { StarTable } from './star-table.ts'
import { keepsVersions } from '../types.ts'
import type { Connection } from '../postgres/connection.ts'
import type { Context } from '../events.ts'

/** Where the tables are. */
export interface StarSite {
  readonly connection: Connection
  readonly schema: string
}

/** Asks for one statement, if there is one. */
export type Run = (doing: string, text: string | undefined) => Promise<void>

interface Altered {
  readonly alteration: Alteration
  readonly live: StarTable
  readonly dependents: readonly Dependent[]
}

interface StarToAlter {
  readonly star: readonly StarTable[]
  readonly live: readonly StarTable[]
  readonly types: ReadonlyMap<string, string | null>
  /** Whether all rows of the table are sent again. */
  refilled(table: string): boolean
}

export interface AlteredStar {
  readonly tables: ReadonlyMap<string, Altered>
  /** Tables that lost a foreign key to one that was altered, or their own. */
  readonly freed: ReadonlySet<string>
}

const NOTHING: AlteredStar = { tables: new Map(), freed: new Set() }

/**
 * The same where no model was edited: what their inputs' columns make of theirs. Most batches alter
 * nothing, which is known without asking the warehouse.
 */
export async function followStar(
  site: StarSite,
  { star, live }: Pick<StarToAlter, 'star' | 'live'>,
): Promise<AlteredStar> {
  const others = star.filter((table) => {
    const before = live.find(({ name }) => name === table.name)
    return before !== undefined && hasOtherColumns(table, before)
  })
  if (others.length === 0) return NOTHING
  const { connection, schema } = site
  const catalogue = await readCatalogue(connection, schema, relationNames(others))
  const types = await readTypes(connection, unknownTypes(others, catalogue))
  const changed = live.filter(({ name }) => others.some((table) => table.name === name))
  return alterStar(site, { star, live: changed, types, refilled: () => false })
}

/**
 * Gives the warehouse's own enums the labels that the source's have, or had. Outside of any transaction, since a label can be
 * used only when it is committed; one that is there early is in nobody's way, and is not added twice.
 */
export async function followLabels(
  connection: Connection,
  { star, live }: Pick<StarToAlter, 'star' | 'live'>,
  context: Context,
): Promise<void> {
  const wanted = labelsBeyond(star, live)
  if (wanted.size === 0) return
  const found = await connection.query('read the labels of the enums', LABELS, [
    JSON.stringify([...wanted.keys()]),
  ])
  for (const { asked, schema, name, owned, labels } of found) {
    const type = quoteQualified(schema ?? '', name ?? '')
    const texts = addLabels(
      type,
      wanted.get(asked ?? '') ?? [],
      JSON.parse(labels ?? '[]') as string[],
    )
    if (owned === 't')
      for (const text of texts) await connection.query(`add a label to ${type}`, text)
    else if (texts.length > 0)
      context.emit({
        type: 'note',
        level: 'warn',
        text: `the warehouse's ${type} lacks ${texts.length === 1 ? 'a label' : `${texts.length} labels`} of the source's, and only its owner may add them: alter type ${type} add value …, or alter type ${type} owner to the role that loads`,
      })
  }
}

const LABELS = `select a.asked, n.nspname as schema, t.typname as name, pg_has_role(t.typowner, 'usage') as owned,
  (select coalesce(jsonb_agg(e.enumlabel order by e.enumsortorder), '[]') from pg_catalog.pg_enum as e where e.enumtypid = t.oid)::text as labels
from jsonb_array_elements_text($1::jsonb) as a(asked)
join pg_catalog.pg_type as t on t.oid = to_regtype(a.asked) and t.typtype = 'e'
join pg_catalog.pg_namespace as n on n.oid = t.typnamespace
order by a.asked`

/** Gives the tables that are there the columns and keys that the star wants. Throws WarehouseDependents. */
export async function alterStar(
  site: StarSite,
  { star, live, types, refilled }: StarToAlter,
): Promise<AlteredStar> {
  const { connection, schema } = site
  const tables = new Map<string, Altered>()
  const freed = new Set<string>()
  const catalogue = await readCatalogue(connection, schema, [
    ...relationNames(star),
    ...relationNames(live),
  ])
  const names = star.map(({ name }) => name)
  // Read once: what of them goes with a column meanwhile is there no more when it is to be dropped.
  const keys = await readForeignKeys(connection, { schema, star: names })
  const liveByName = new Map(live.map((table) => [table.name, table]))
  for (const table of star) {
    const found = catalogue.get(table.name)
    const before = liveByName.get(table.name)
    if (before === undefined || found === undefined || !['r', 'p'].includes(found.kind)) continue
    const alteration = alterationOf({
      table: withTypesHere(table, { catalogue, types }),
      live: before,
      found,
      types,
      refilled: refilled(table.name),
    })
    const own = keys.get(table.name) ?? []
    for (const key of looseKeys(own, { table, star, rekey: alteration.rekey })) {
      freed.add(key.table)
      await connection.query(
        `drop a foreign key of "${key.table}"`,
        `alter table ${quoteQualified(schema, key.table)} drop constraint if exists ${quoteIdentifier(key.name)}`,
      )
    }
    const dependents = await takeDownFor(site, { alteration, before, catalogue, names })
    if (alteration.rekey) {
      await connection.query(
        `empty "${table.name}"`,
        `delete from ${quoteQualified(schema, table.name)}`,
      )
      await dropKey(site, table.name)
    }
    const texts = alterTable(schema, alteration)
    for (const text of texts) await connection.query(`alter "${table.name}"`, text)
    if (texts.length > 0) freed.add(table.name)
    if (alteration.rekey)
      await connection.query(
        `add the primary key of "${table.name}"`,
        addPrimaryKey(schema, alteration.layout),
      )
    const view = catalogue.get(alteration.layout.view ?? '')
    if (view !== undefined && dependents === null)
      for (const text of viewAfter(schema, alteration, view))
        await connection.query(`alter view "${view.name}"`, text)
    tables.set(table.name, { alteration, live: before, dependents: dependents ?? [] })
  }
  return { tables, freed }
}

/** The view of the current rows calls its columns as before until it is told. */
function viewAfter(
  schema: string,
  { layout, add, rename }: Alteration,
  view: FoundRelation,
): readonly string[] {
  const names = view.columns.map(({ name }) => name)
  const renamed = rename.filter(({ from }) => names.includes(from))
  const now = names.map((name) => renamed.find(({ from }) => from === name)?.to ?? name)
  return [
    ...renameColumns('view', quoteQualified(schema, view.name), renamed),
    ...(add.length === 0 ? [] : [extendView(schema, layout, now)]),
  ]
}

/** Alters, to see whether it can be done; the caller rolls back. Throws WarehouseDependents. */
export async function tryAlterations(
  site: StarSite,
  { star, live, refilled }: Omit<StarToAlter, 'types'>,
): Promise<void> {
  const { connection, schema } = site
  const catalogue = await readCatalogue(connection, schema, relationNames(star))
  const types = await readTypes(connection, unknownTypes(star, catalogue))
  const { tables } = await alterStar(site, { star, live, types, refilled })
  for (const [name, { alteration, dependents }] of tables) {
    const { layout } = alteration
    const text = dependents.length === 0 ? undefined : createView(schema, layout)
    if (text !== undefined && catalogue.has(layout.view ?? ''))
      await connection.query(`create view "${layout.view ?? ''}"`, text)
    await putUp(connection, name, dependents, 'attempt')
  }
}

/** Foreign keys that the star no longer wants, and those that stand on a key that goes. */
function looseKeys(
  keys: readonly StarForeignKey[],
  {
    table,
    star,
    rekey,
  }: { readonly table: StarTable; readonly star: readonly StarTable[]; readonly rekey: boolean },
): readonly StarForeignKey[] {
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
  { connection, schema }: StarSite,
  of: {
    alteration: Alteration
    before: StarTable
    catalogue: Catalogue
    names: readonly string[]
  },
): Promise<readonly Dependent[] | null> {
  const { alteration, before, catalogue, names } = of
  const { layout, drop, retype, rekey } = alteration
  const view = layoutOf(before).view
  if (drop.length + retype.length === 0 && !rekey && view === layout.view) return null
  const found = await findDependents(connection, {
    schema,
    table: layout.table.name,
    columns: drop,
    retyped: retype.map(({ name }) => name),
    view: view !== null && catalogue.has(view) ? view : null,
    viewStays: view === layout.view,
    rekey,
    star: names,
  })
  await takeDown(connection, layout.table.name, found)
  return found
}

async function dropKey({ connection, schema }: StarSite, table: string): Promise<void> {
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

/** Keys, demands, comments, and what was taken down. */
export async function finishAltered(
  { connection, schema }: StarSite,
  of: { readonly altered: AlteredStar; readonly star: readonly StarTable[]; readonly run: Run },
): Promise<void> {
  const { altered, star, run } = of
  if (altered.tables.size === 0 && altered.freed.size === 0) return
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
