/**
 * A lake of five small tables in two sources, changed at random, and models over them; and the same
 * rows once more in plain DuckDB tables, where each model's query runs afresh.
 */
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Engine } from '../../src/columns/engine.ts'
import type { FileFormat } from '../../src/columns/file.ts'
import { OP_COLUMN, quoteName, quoteNames } from '../../src/columns/sql.ts'
import type { Context, ModelSummary } from '../../src/events.ts'
import { proveDeterminism } from '../../src/evaluation/determinism.ts'
import { writeDueBases } from '../../src/lake/base.ts'
import { goOnWith } from '../../src/lake/carried.ts'
import { fromMicros } from '../../src/lake/instant.ts'
import { tableEntries, type CommittedManifest } from '../../src/lake/manifest.ts'
import { rowsAsOf } from '../../src/lake/read.ts'
import { writeRows } from '../../src/lake/write.ts'
import { openZone } from '../../src/lake/zone.ts'
import { bindModels } from '../../src/models/bind.ts'
import type { ReadableTable } from '../../src/models/dependencies.ts'
import { modelQuery, type Model, type ModelText } from '../../src/models/model.ts'
import { evaluatePoint } from '../../src/pipeline/evaluate.ts'
import { openFolderStore } from '../../src/storage/store-folder.ts'
import { readable } from '../models/totesys-tables.ts'

export type Value = number | string | null
export type Row = Readonly<Record<string, Value>>

/** `b_ref` and `c_ref` are names of keys, and of columns that may refer to nothing. */
const TABLES: readonly ReadableTable[] = [
  readable(
    'shop',
    'a',
    'a_id integer; b_ref integer?; c_ref integer?; a_val integer?; a_txt text?',
  ),
  readable('shop', 'b', 'b_ref integer; c_up integer?; b_txt text?'),
  readable('shop', 'c', 'c_ref integer; kind text?; c_num integer?'),
  readable('shop', 'e', 'x integer; y text; b_ref integer?; e_val integer?', ['x', 'y']),
  readable('seeds', 's', 'kind text; label text?'),
]

export interface Change {
  readonly table: string
  readonly key: readonly Value[]
  /** The columns after the key; null deletes. */
  readonly values: readonly Value[] | null
}

export interface RandomLake {
  /** One ingestion batch of each source that has changes; says whether there was one. */
  commit(changes: readonly Change[]): Promise<boolean>
  /** Passes the newest point. */
  transform(): Promise<readonly ModelSummary[]>
  /** As `tote check --data` does. */
  prove(): Promise<void>
  /** The models whose rows in the lake are not what their query yields over the current rows. */
  differing(): Promise<string[]>
  close(): Promise<void>
}

const context: Context = {
  run: 'r',
  signal: new AbortController().signal,
  now: () => new Date(0),
  emit: () => undefined,
}

export async function openRandomLake(
  engines: { readonly lake: () => Promise<Engine>; readonly fresh: Engine },
  texts: readonly ModelText[],
  format: FileFormat = 'parquet',
): Promise<RandomLake> {
  // A disk would be asked to be durable some thousand times.
  const memory = '/dev/shm'
  const folder = await mkdtemp(join(existsSync(memory) ? memory : tmpdir(), 'tote-random-'))
  const pipeline = {
    name: 'star',
    ingestion: openZone(openFolderStore(join(folder, 'in')), 'parquet'),
    processed: openZone(openFolderStore(join(folder, 'out')), format),
    tempFolder: join(folder, 'tmp'),
  }
  const { fresh } = engines
  const models = await bindModels(texts, fresh, TABLES)
  const current = new Map(TABLES.map((table) => [table, new Map<string, Row>()]))
  const inputs = new Map<string, CommittedManifest>()
  let newest: CommittedManifest | null = null
  let moment = 0n

  const commitSource = async (source: string, changes: readonly Change[]): Promise<boolean> => {
    const parent = inputs.get(source) ?? null
    const batch = (parent?.batch ?? 0) + 1
    const instant = fromMicros((moment += 1n))
    const tables = tableEntries()
    let changed = parent === null
    const engine = await engines.lake()
    try {
      for (const table of TABLES.filter(({ schema }) => schema === source)) {
        const rows = current.get(table) ?? new Map<string, Row>()
        const made = apply(
          rows,
          table,
          changes.filter((change) => change.table === table.name),
        )
        const entry = parent?.tables[table.name] ?? null
        const file =
          made.length === 0
            ? null
            : await writeRows(pipeline.ingestion, engine, {
                chain: source,
                table: table.name,
                relation: relationOf(table, made),
                columns: table.columns,
                key: table.key,
                batch,
                instant,
                base: false,
                rows: made.length,
                deletes: made.filter(({ op }) => op === 'd').length,
              })
        changed ||= file !== null
        const kept = goOnWith(entry, table.columns)
        tables[table.name] = {
          columns: table.columns,
          key: table.key,
          shape: '',
          position: {},
          rows: rows.size,
          ...kept,
          files: [...kept.files, ...(file === null ? [] : [file])],
        }
      }
      if (!changed) return false
      const draft = { chain: source, batch, instant, run: 'r', writer: 'test', tables }
      const manifest = await pipeline.ingestion.chain(source).commit(draft, parent)
      inputs.set(
        source,
        await writeDueBases(pipeline.ingestion, engine, manifest, { files: 2 }, context),
      )
      return true
    } finally {
      engine.close()
    }
  }
  return {
    commit: async (changes) => {
      const made: boolean[] = []
      for (const source of ['shop', 'seeds'])
        made.push(
          await commitSource(
            source,
            changes.filter(({ table }) => (table === 's') === (source === 'seeds')),
          ),
        )
      return made.includes(true)
    },
    transform: async () => {
      const engine = await engines.lake()
      try {
        const batch: number = (newest?.batch ?? 0) + 1
        const instant = fromMicros((moment += 1n))
        const batches = Object.fromEntries(
          [...inputs].map(([source, manifest]) => [source, manifest.batch]),
        )
        const point = { batches, instant }
        const { tables, models: summaries } = await evaluatePoint(
          pipeline,
          {
            engine,
            models,
            inputs,
            point,
            parent: newest,
            batch,
            instant,
            // In every second point each model is one of very many.
            manyModels: batch % 2 === 0 ? 0 : 100,
          },
          context,
        )
        const marks = Object.fromEntries(
          [...inputs].map(([source, { chain, batch: at, number, sha256 }]) => [
            source,
            { chain, batch: at, manifest: number, sha256 },
          ]),
        )
        const changed =
          newest === null || summaries.some((one) => one.inserted + one.updated + one.deleted > 0)
        const draft = {
          chain: 'c',
          batch: changed ? batch : (newest?.batch ?? 0),
          instant,
          run: 'r',
          writer: 'test',
          inputs: marks,
          engine: engine.version,
          tables,
        }
        const manifest: CommittedManifest = await pipeline.processed
          .chain('star')
          .commit(draft, newest)
        newest = await writeDueBases(pipeline.processed, engine, manifest, { files: 3 }, context)
        return summaries
      } finally {
        engine.close()
      }
    },
    differing: async () => {
      if (newest === null) throw new Error('nothing was transformed')
      await evaluateAfresh(fresh, models, current)
      const found: string[] = []
      for (const { name } of models) {
        const lake = await rowsAsOf(pipeline.processed, newest, name, newest.batch)
        const [row] = await fresh.rows(
          `with lake as (${lake}), fresh as (from ${quoteName(name)}) select` +
            ' (select count(*) from (from lake except all from fresh)) + (select count(*) from (from fresh except all from lake)) as n',
        )
        if (
          Number(row?.['n']) > 0 ||
          Number(newest.tables[name]?.rows) !== (await count(fresh, name))
        )
          found.push(name)
      }
      return found
    },
    prove: async () =>
      proveDeterminism({
        ingestion: pipeline.ingestion,
        inputs,
        models,
        tempFolder: folder,
        signal: context.signal,
      }),
    close: async () => rm(folder, { recursive: true, force: true }),
  }
}

/** Every model's query over the rows as they are, in the order of the models. */
async function evaluateAfresh(
  engine: Engine,
  models: readonly Model[],
  current: ReadonlyMap<ReadableTable, ReadonlyMap<string, Row>>,
): Promise<void> {
  for (const [table, rows] of current) {
    const { schema, name, columns } = table
    const made = [...rows.values()].map((row) => ({ op: 'u', row }))
    const empty = columns.map((column) => `null::${column.carried} as ${column.name}`).join(', ')
    const filled = made.length === 0 ? `(select ${empty} where false)` : relationOf(table, made)
    await engine.run(
      `create schema if not exists ${schema}; create or replace table ${schema}.${name} as select ${quoteNames(columns.map((column) => column.name))} from ${filled}`,
    )
  }
  for (const model of models)
    await engine.run(`create or replace table ${quoteName(model.name)} as ${modelQuery(model)}`)
}

interface Made {
  readonly op: string
  readonly row: Row
}

/** Puts changes into the rows, and says which changed something. */
function apply(rows: Map<string, Row>, table: ReadableTable, changes: readonly Change[]): Made[] {
  const made = new Map<string, Made>()
  for (const { key, values } of changes) {
    const id = JSON.stringify(key)
    if (made.has(id)) continue
    const all = [...key, ...(values ?? [])]
    const row = Object.fromEntries(
      table.columns.map(({ name }, index) => [name, all[index] ?? null]),
    )
    const before = rows.get(id)
    if (values === null ? before === undefined : JSON.stringify(before) === JSON.stringify(row))
      continue
    if (values === null) rows.delete(id)
    else rows.set(id, row)
    made.set(id, { op: values === null ? 'd' : 'u', row })
  }
  return [...made.values()]
}

function relationOf({ columns }: ReadableTable, made: readonly Made[]): string {
  const rows = made.map(
    ({ op, row }) =>
      `('${op}', ${columns.map(({ name, carried }) => `${literal(row[name] ?? null)}::${carried}`).join(', ')})`,
  )
  return `(values ${rows.join(', ')}) v(${quoteNames([OP_COLUMN, ...columns.map(({ name }) => name)])})`
}

function literal(value: Value): string {
  return typeof value === 'string' ? `'${value.replaceAll("'", "''")}'` : String(value)
}

async function count(engine: Engine, name: string): Promise<number> {
  const [row] = await engine.rows(`select count(*) as n from ${quoteName(name)}`)
  return Number(row?.['n'])
}
