/**
 * The lake against the warehouse: every row that the warehouse ought to hold at the batch where its ledger
 * stands, versions and record ids included, against those that it holds, in one snapshot of it. Ranges that
 * differ are sent and compared there to the byte: only the server knows how it spells a value that it casts.
 */
import type { Engine } from '../columns/engine.ts'
import { isFloat, quoteName } from '../columns/sql.ts'
import { toText } from '../columns/text.ts'
import { TerminalOnly, type Context, type VerifiedTable } from '../events.ts'
import type { CommittedManifest } from '../lake/manifest.ts'
import { rowsAsOf } from '../lake/read.ts'
import {
  countVersions,
  historyOf,
  pastOf,
  remadeTable,
  type SomeRows,
} from '../pipeline/history.ts'
import { refuseForeignLedger } from '../pipeline/load.ts'
import { starOf } from '../pipeline/star.ts'
import type { Project } from '../project/project.ts'
import { numbersOf } from '../ranges/key-numbers.ts'
import { chooseSpans, spansOver, type KeySpans } from '../ranges/key-spans.ts'
import { layoutOf, type Layout } from '../star/layout.ts'
import type { StarTable } from '../star/star-table.ts'
import { NUMBER_COLUMN } from '../star/versions.ts'
import type { RowSink } from '../sources/source.ts'
import type { Instant } from '../types.ts'
import type { LedgerEntry, StarReading, StarRepair } from '../warehouse/warehouse.ts'
import { compareRanges, describeKey, NAMED_KEYS, type Findings } from './compare.ts'
import { copiedSide, mayBeLines, queriedLines, queriedSide, type Side } from './sides.ts'
import { sampleSpans } from './spans.ts'

export interface WarehouseVerified {
  readonly tables: readonly VerifiedTable[]
  /** The batch at which they were compared; null when nothing was ever loaded. */
  readonly at: { readonly entry: LedgerEntry; readonly manifest: CommittedManifest } | null
  /** By table that differs, the rows among which those are that do; all of them where there is nothing. */
  readonly among: ReadonlyMap<string, SomeRows>
}

/** Emits `table.verified` for each table of the star. Throws LedgerMismatch, WarehouseShapeMismatch, Warehouse*. */
export async function verifyWarehouse(
  project: Project,
  wanted: (table: string) => boolean,
  context: Context,
): Promise<WarehouseVerified> {
  const engine = await project.engine(context.signal)
  try {
    return await project.warehouse.reading(async (reading) => {
      const entry = await reading.last(project.name)
      // The lake after the ledger, as when loading: it is never behind.
      const chain = project.processed.chain(project.name)
      await refuseForeignLedger(project, await chain.newest(), entry)
      if (entry === null) return { tables: [], at: null, among: new Map() }
      const manifest = await chain.read(entry.manifest)
      const star = starOf(manifest)
      const kept = await reading.open(star, entry)
      const { instants } = await pastOf(project, manifest, context)
      const tables: VerifiedTable[] = []
      const among = new Map<string, SomeRows>()
      for (const table of star.filter(({ name }) => wanted(name))) {
        context.signal.throwIfAborted()
        const startedAt = context.now().getTime()
        const work = { manifest, table, instants, types: kept.get(table.name) ?? new Map() }
        const { findings, some } = await verifyTable(project, engine, { ...work, reading }, context)
        if (some !== null) among.set(table.name, some)
        const found = {
          what: 'warehouse' as const,
          table: table.name,
          ...findings,
          repaired: false,
        }
        context.emit({ type: 'table.verified', ms: context.now().getTime() - startedAt, ...found })
        tables.push(found)
      }
      return { tables, at: { entry, manifest }, among }
    })
  } finally {
    engine.close()
  }
}

interface TableToVerify {
  readonly manifest: CommittedManifest
  readonly table: StarTable
  readonly instants: ReadonlyMap<number, Instant>
  /** Of each column as it is kept. */
  readonly types: ReadonlyMap<string, string>
  readonly reading: StarReading
}

async function verifyTable(
  project: Project,
  engine: Engine,
  work: TableToVerify,
  context: Context,
): Promise<{ readonly findings: Findings; readonly some: SomeRows | null }> {
  const { table, types, reading } = work
  const layout = layoutOf(table)
  const columns = [
    ...(layout.recordId === null
      ? []
      : [{ name: layout.recordId.name, column: NUMBER_COLUMN, carried: 'BIGINT', notNull: true }]),
    ...table.columns.map(({ name, carried, notNull }) => ({
      name,
      column: name,
      carried: carriedAs(carried, types.get(name)),
      notNull,
    })),
    ...layout.system.map(({ name, notNull }) => ({
      name,
      column: name,
      carried: SYSTEM[name] ?? 'VARCHAR',
      notNull,
    })),
  ]
  const carried = columns.map((column) => column.carried)
  const copied = {
    table: table.name,
    tempFolder: project.tempFolder,
    carried,
    copy: async (sink: RowSink, format: 'csv' | 'lines') => reading.copy(table, sink, format),
  }
  const fields = columns.map((one) => ({ ...one, text: asText(one.column, one.carried) }))
  const values = fields.map(({ text }) => text)
  const history = await historyOf(project, work)
  const ranged = rangedOf(layout, types, fields)
  let laid: Promise<KeySpans | undefined> | undefined
  const spans = async (): Promise<KeySpans | undefined> =>
    (laid ??= ranged === null ? Promise.resolve(undefined) : spansOf(project, engine, work, ranged))
  const expected = (side: (rows: string) => Side): Side => historySide(engine, history, side)
  const { rowsExpected, rowsFound, differ } = await compareRanges(engine, {
    columns: columns.map(({ name }) => name),
    key: layout.primaryKey,
    spans,
    expected: expected((rows) => queriedSide(rows, values)),
    found: copiedSide(copied, 'csv', context),
    together: true,
    lines: mayBeLines(carried)
      ? {
          expected: expected((rows) => queriedLines(rows, fields)),
          found: copiedSide(copied, 'lines', context),
        }
      : null,
  })
  const nothing = { missing: 0, extra: 0, different: 0, columns: {}, keys: new TerminalOnly([]) }
  const counts = { rowsExpected, rowsFound, rangesDiffer: differ.length }
  if (differ.length === 0) return { findings: { ...counts, ...nothing }, some: null }
  const chosen = chooseSpans(await spans(), differ)
  const some = ranged === null || chosen === null ? null : { ...ranged, spans: chosen }
  const remade = await remadeTable(project, engine, work, some)
  const { keys, ...rows } = await reading.compare(remade, NAMED_KEYS, context)
  // Equal after all: only the spelling was another. Of a key that was spelled otherwise before (1.50, then 1.5) the server has one row.
  if (rows.missing + rows.extra + rows.different === 0)
    return {
      findings: { ...nothing, rowsExpected: rowsFound, rowsFound, rangesDiffer: 0 },
      some: null,
    }
  const named = keys.map(({ kind, parts }) => describeKey(kind, parts))
  return { findings: { ...counts, ...rows, keys: new TerminalOnly(named) }, some }
}

/** The primary key's first column, where the warehouse can be asked for ranges of it. */
function rangedOf(
  { primaryKey: [column = ''] }: Layout,
  types: TableToVerify['types'],
  fields: readonly { readonly name: string; readonly text: string }[],
): Pick<SomeRows, 'by' | 'text'> | null {
  const field = fields.find(({ name }) => name === column)
  const numbers = numbersOf(types.get(column) ?? '')
  if (field === undefined || numbers === undefined) return null
  return { by: { column, numbers }, text: field.text }
}

/** Record ids begin with 1 and have no gaps; of other keys the current ones say enough. */
async function spansOf(
  project: Project,
  engine: Engine,
  { manifest, table }: Pick<TableToVerify, 'manifest' | 'table'>,
  { by: { numbers }, text }: Pick<SomeRows, 'by' | 'text'>,
): Promise<KeySpans | undefined> {
  if (layoutOf(table).recordId !== null) {
    const versions = await countVersions(project, { manifest, table })
    return spansOver(numbers, 1n, BigInt(Math.max(1, versions)))
  }
  const rows = await rowsAsOf(project.processed, manifest, table.name, manifest.batch)
  return sampleSpans(engine, { numbers, text, rows })
}

function historySide(
  engine: Engine,
  { prepare, selects }: Awaited<ReturnType<typeof historyOf>>,
  side: (rows: string) => Side,
): Side {
  return {
    pass: async (take) => {
      for (const statement of prepare) await engine.run(statement)
      for (const rows of selects) await side(rows).pass(take)
    },
  }
}

const SYSTEM: Readonly<Record<string, string>> = {
  valid_from: 'TIMESTAMP WITH TIME ZONE',
  valid_to: 'TIMESTAMP WITH TIME ZONE',
  is_deleted: 'BOOLEAN',
  batch: 'BIGINT',
}

/** A float is compared as what the warehouse keeps it as: 0.1 of four bytes is another number in eight. */
function carriedAs(carried: string, type: string | undefined): string {
  if (!isFloat(carried)) return carried
  return type === 'double precision' ? 'DOUBLE' : carried
}

function asText(column: string, carried: string): string {
  const value = `r.${quoteName(column)}`
  return toText(isFloat(carried) ? `cast(${value} as ${carried})` : value, carried)
}

/** One that something was loaded into. */
export interface RepairableWarehouse extends Pick<WarehouseVerified, 'among'> {
  readonly at: NonNullable<WarehouseVerified['at']>
}

/** What repairing some tables takes. */
export async function repairOf(
  project: Project,
  engine: Engine,
  { at: { entry, manifest }, among }: RepairableWarehouse,
  tables: ReadonlySet<string>,
  context: Context,
): Promise<StarRepair> {
  const star = starOf(manifest)
  const { instants } = await pastOf(project, manifest, context)
  const remade = star.filter(({ name }) => tables.has(name))
  return {
    after: entry,
    star,
    remade: await Promise.all(
      remade.map(async (table) => {
        const some = among.get(table.name) ?? null
        return remadeTable(project, engine, { manifest, table, instants }, some)
      }),
    ),
  }
}
