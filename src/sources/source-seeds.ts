/**
 * `seeds/*.csv` as a source of its own: each file a table of text columns, its first column the key.
 * A file's sha256 is its fingerprint, so that an unchanged seed is not even parsed.
 */
import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { openEngine, type Engine } from '../columns/engine.ts'
import { quoteName, quoteText } from '../columns/sql.ts'
import { ToteError, type Problem } from '../errors.ts'
import type { Context } from '../events.ts'
import type { RowSink, Source, SourceSnapshot, SourceTable } from './source.ts'

export interface SeedsOptions {
  readonly name: string
  readonly folder: string
  readonly tempFolder: string
}

interface Seed {
  readonly path: string
  readonly table: SourceTable
}

/** Opens a folder of seeds. Its snapshots throw SeedInvalid with every problem of every file. */
export function openSeedsSource(options: SeedsOptions): Source {
  return {
    name: options.name,
    snapshot: async (context) => takeSnapshot(options, context),
    follow: () => undefined,
    close: async () => undefined,
  }
}

async function takeSnapshot(options: SeedsOptions, context: Context): Promise<SourceSnapshot> {
  const files = (await readdir(options.folder)).filter((file) => file.endsWith('.csv')).toSorted()
  const problems: Problem[] = []
  const seeds: Seed[] = []
  for (const file of files) {
    const path = join(options.folder, file)
    const body = await readFile(path)
    const names = headerOf(body.toString('utf8'))
    const problem = headerProblem(names)
    if (problem !== undefined) problems.push({ where: path, message: problem })
    seeds.push({
      path,
      table: {
        name: basename(file, '.csv'),
        columns: names.map((name, index) => ({
          name,
          type: 'text',
          carried: 'VARCHAR',
          notNull: index === 0,
          attribute: index + 1,
        })),
        key: names.slice(0, 1),
        shape: names.join(','),
        fingerprint: createHash('sha256').update(body).digest('hex'),
      },
    })
  }
  if (problems.length > 0) throw invalid(problems)
  let engine: Engine | undefined
  return {
    identity: { folder: options.name },
    position: null,
    instant: `${context.now().toISOString().slice(0, 23)}000Z`,
    tables: seeds.map((seed) => seed.table),
    copy: async (table, sink) => {
      const seed = seeds.find((candidate) => candidate.table.name === table.name)
      if (seed === undefined) throw new RangeError(`not a table of this snapshot: ${table.name}`)
      engine ??= await openEngine({ tempFolder: options.tempFolder, signal: context.signal })
      return copySeed(engine, seed, sink)
    },
    close: async () => {
      engine?.close()
      engine = undefined
    },
  }
}

async function copySeed(engine: Engine, { path, table }: Seed, sink: RowSink): Promise<number> {
  const columns = table.columns.map((column) => `${quoteText(column.name)}: 'VARCHAR'`).join(', ')
  const key = quoteName(table.key[0] ?? '')
  let rows: Awaited<ReturnType<Engine['rows']>>
  try {
    rows = await engine.rows(
      `select * from read_csv(${quoteText(path)}, header = true, delim = ',', quote = '"', escape = '"',` +
        ` auto_detect = false, nullstr = '', allow_quoted_nulls = false, columns = {${columns}}) order by ${key}`,
    )
  } catch (cause) {
    throw new ToteError(
      'SeedInvalid',
      `The seed "${table.name}" is not CSV with ${table.columns.length} columns in every row.`,
      { where: path, cause },
    )
  }
  const seen = new Set<string>()
  for (const row of rows) {
    const value = row[table.key[0] ?? '']
    if (typeof value !== 'string')
      throw invalid([
        { where: path, message: `has a row without a value in its key column "${table.key[0]}"` },
      ])
    if (seen.has(value))
      throw invalid([
        { where: path, message: `has a key twice in its first column "${table.key[0]}"` },
      ])
    seen.add(value)
    sink.row(
      Buffer.from(
        `${table.columns.map((column) => csvField(row[column.name] as string | null)).join(',')}\n`,
      ),
    )
  }
  return rows.length
}

function csvField(value: string | null): string {
  return value === null ? '' : `"${value.replaceAll('"', '""')}"`
}

function headerOf(text: string): string[] {
  const line = text.replace(/^\uFEFF/, '').split(/\r?\n/, 1)[0] ?? ''
  return line.split(',').map((name) => name.trim().replace(/^"(.*)"$/, '$1'))
}

function headerProblem(names: readonly string[]): string | undefined {
  if (names.includes('')) return 'has a header with an unnamed column'
  const twice = names.find((name, index) => names.indexOf(name) !== index)
  return twice === undefined ? undefined : `has column "${twice}" twice in its header`
}

function invalid(problems: readonly Problem[]): ToteError {
  return new ToteError('SeedInvalid', 'A seed file cannot be used as it is.', { problems })
}
