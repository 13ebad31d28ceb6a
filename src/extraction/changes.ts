/**
 * The changes of tables as files of the lake. Those of few rows are written as soon as they are known, while the source
 * still sends other tables: nothing of a file counts before the manifest that names it.
 */
import type { Engine } from '../columns/engine.ts'
import { quoteName } from '../columns/sql.ts'
import type { Context } from '../events.ts'
import type { DataFile } from '../lake/manifest.ts'
import { writeRows } from '../lake/write.ts'
import type { Zone } from '../lake/zone.ts'
import type { Column, Instant } from '../types.ts'
import type { EngineTurns } from './turns.ts'

/** The differences of one table, as a table of the engine. */
export interface TableChanges {
  readonly table: string
  readonly relation: string
  readonly columns: readonly Column[]
  readonly key: readonly string[]
  readonly rows: number
  readonly deletes: number
}

export interface ChangesPlace {
  readonly zone: Zone
  readonly chain: string
  readonly batch: number
  readonly instant: Instant
}

/** So many are written no faster with more than one core each. */
export const FEW_ROWS = 20_000

export interface ChangesWriter {
  /** Begins to write the changes, if they are few. Throws what became of those before, when they could not be written. */
  begin(changes: TableChanges): void
  /** The file of the changes, written now unless it is already under way; every second one on the engine beside the given one. */
  write(changes: TableChanges, engine: Engine): Promise<DataFile>
  /** Resolves when nothing is written any more. */
  close(): Promise<void>
}

export function openChangesWriter(
  { withEngine }: EngineTurns,
  place: ChangesPlace,
  context: Context,
): ChangesWriter {
  const written = new Map<string, Promise<DataFile>>()
  let failure: { readonly error: unknown } | undefined
  let beside: Promise<Engine> | undefined
  const keep = async (changes: TableChanges, writing: Promise<DataFile>): Promise<DataFile> => {
    written.set(changes.table, writing)
    return writing
  }
  return {
    begin: (changes) => {
      if (failure !== undefined) throw failure.error
      if (changes.rows > FEW_ROWS) return
      beside ??= withEngine(async (engine) => engine.beside(), 'one')
      const writing = beside.then(async (engine) => writeChanges(place, engine, changes, context))
      keep(changes, writing).catch((error: unknown) => (failure ??= { error }))
    },
    write: async (changes, engine) => {
      const begun = written.get(changes.table)
      if (begun !== undefined) return begun
      // Chosen at once: many are asked for in one breath.
      const writer = written.size % 2 === 0 ? Promise.resolve(engine) : (beside ??= engine.beside())
      const writing = writer.then(async (one) => writeChanges(place, one, changes, context))
      return keep(changes, writing)
    },
    close: async () => {
      await Promise.allSettled(written.values())
      const engine = await beside?.catch(() => undefined)
      engine?.close()
    },
  }
}

async function writeChanges(
  { zone, chain, batch, instant }: ChangesPlace,
  engine: Engine,
  { relation, table, ...changes }: TableChanges,
  context: Context,
): Promise<DataFile> {
  const file = await writeRows(zone, engine, {
    ...changes,
    chain,
    table,
    relation: quoteName(relation),
    batch,
    instant,
    base: false,
  })
  // Few rows go with the engine.
  if (changes.rows > FEW_ROWS) await engine.run(`drop table ${quoteName(relation)}`)
  const { key, rows, bytes } = file
  context.emit({ type: 'file.written', chain, table, key, rows, bytes })
  return file
}
