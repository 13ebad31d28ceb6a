/**
 * Random interleavings: changes of the source, runs, single stages, runs that are killed at any of their
 * effects, compactions, edited models, and a second checkout with models of its own that runs at the same
 * time. Whatever came before, the last run must lead to where nothing ever went wrong: the lake holds the
 * source's rows (P2), its chains are whole (P3), the warehouse has what the models make of them (P7), the
 * history of facts is every state that a batch saw, record ids included (P4, P6), and the lake alone gives
 * the same warehouse again (P7).
 *
 * TOTE_INTERLEAVINGS=500 draws so many; TOTE_SEED draws the same again.
 */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, expect, test } from 'vitest'
import { query } from '../../src/inspect/query.ts'
import type { Stage } from '../../src/types.ts'
import { checkOutAgain, runIn, startSwitched, writeModels } from '../support/checkout.ts'
import { lakeProblems } from '../support/oracle.ts'
import { createProject, type TestProject } from '../support/project.ts'
import { MODELS, ORACLE, TABLES } from '../support/project-shop.ts'
import { alwaysSo, rebuilt, wholeStar } from '../support/rebuild.ts'

const CASES = Number(process.env['TOTE_INTERLEAVINGS'] ?? 3)
const SEED =
  process.env['TOTE_SEED'] === undefined ? {} : { seed: Number(process.env['TOTE_SEED']) }

type Step =
  | { readonly do: 'change'; readonly what: number; readonly of: number }
  | { readonly do: 'run' }
  | { readonly do: 'stage'; readonly stage: Stage }
  | { readonly do: 'kill'; readonly at: number }
  | { readonly do: 'compact'; readonly files: number }
  | { readonly do: 'edit'; readonly variant: number }
  | { readonly do: 'both'; readonly variant: number }

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constant('change' as const), what: fc.nat(6), of: fc.nat(11) }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('run' as const) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('stage' as const),
      stage: fc.constantFrom<Stage>('extract', 'transform', 'load'),
    }),
  },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('kill' as const), at: fc.nat(400) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('compact' as const),
      files: fc.constantFrom(1, 2, 32),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('edit' as const), variant: fc.nat(2) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('both' as const), variant: fc.nat(2) }) },
)

/** One of everything, whatever is drawn besides. */
const EVERYTHING: readonly Step[] = [
  { do: 'compact', files: 1 },
  { do: 'kill', at: 120 },
  { do: 'change', what: 0, of: 1 },
  { do: 'both', variant: 1 },
  { do: 'change', what: 2, of: 3 },
  { do: 'stage', stage: 'extract' },
  { do: 'change', what: 1, of: 3 },
  { do: 'kill', at: 40 },
  { do: 'edit', variant: 2 },
  { do: 'change', what: 3, of: 1 },
  { do: 'kill', at: 211 },
  // Several batches that the warehouse lacks, and then an edit: all of it is one transaction.
  ...([1, 2, 3].flatMap((of) => [
    { do: 'change', what: 2, of },
    { do: 'stage', stage: 'extract' },
    { do: 'stage', stage: 'transform' },
  ]) as Step[]),
  { do: 'edit', variant: 0 },
  { do: 'run' },
  { do: 'stage', stage: 'transform' },
  { do: 'change', what: 4, of: 7 },
  { do: 'run' },
  { do: 'both', variant: 2 },
]

/** A sale as the source has it. */
interface Sale {
  readonly sale_id: number
  readonly units: number
  readonly unit_price: string
  readonly note: string | null
}

/** Each edit of the model of sales: its text, the same in PostgreSQL, and what it makes of one sale. */
const VARIANTS: readonly {
  readonly sql: (text: string) => string
  readonly units: string
  readonly where: string
  readonly make: (sale: Sale) => Sale | null
}[] = [
  { sql: (text) => text, units: 'units', where: 'true', make: (sale) => sale },
  {
    sql: (text) => text.replace('units, unit_price', 'units * 2 as units, unit_price'),
    units: 'units * 2',
    where: 'true',
    make: (sale) => ({ ...sale, units: sale.units * 2 }),
  },
  {
    // Versions that it no longer tells apart, and a sale that it does not have.
    sql: (text) =>
      `${text.replace('units, unit_price', 'units // 10 as units, unit_price').trimEnd()} where sale_id <> 8800103\n`,
    units: 'units / 10',
    where: 'sale_id <> 8800103',
    make: (sale) =>
      sale.sale_id === 8_800_103 ? null : { ...sale, units: Math.floor(sale.units / 10) },
  },
]

const models = (variant: number): Record<string, string> => ({
  ...MODELS,
  fact_sale: VARIANTS[variant]?.sql(MODELS['fact_sale'] ?? '') ?? '',
  dim_staff: (MODELS['dim_staff'] ?? '').replace(
    's.last_name,',
    `${variant === 1 ? 'upper(s.last_name)' : 's.last_name'} as last_name,`,
  ),
})

/** What a change says to the source; the payment makes a batch of every one, whatever the models are. */
function changeSql({ what, of }: Extract<Step, { do: 'change' }>): string {
  const id = 8_800_101 + of
  const changes = [
    `update sale set units = units + 1 where sale_id = ${id}`,
    `delete from sale where sale_id = ${id}`,
    `insert into sale values (${id}, '2024-11-05', '2024-11-05', ${1 + (of % 3)}, 1, ${of * 7}, 2.10, null)
       on conflict (sale_id) do update set unit_price = sale.unit_price + 0.01`,
    `delete from sale where sale_id % 3 = ${of % 3}`,
    `update sale set note = case when note is null then 'Qx7' end, units = units + 13 where sale_id % 2 = ${of % 2}`,
    `update department set location = location || '.' where department_id = 1`,
    // There and back within one batch: no change.
    `update sale set units = units + 1; update sale set units = units - 1`,
  ]
  return `${changes[what]}; update payment set amount = amount + 1`
}

const taken: Record<string, number> = {}
const count = (what: string): void => {
  taken[what] = (taken[what] ?? 0) + 1
}
afterAll(() => process.stdout.write(`interleavings: ${JSON.stringify(taken)}\n`))

test(
  'P2, P3, P4, P6, P7: after any interleaving of runs, kills, compactions and edits, all is as if nothing had happened',
  async () => {
    await fc.assert(fc.asyncProperty(fc.array(step, { minLength: 8, maxLength: 14 }), playAll), {
      numRuns: CASES,
      examples: [[[...EVERYTHING]]],
      // Each case takes seconds; the seed gives it again.
      endOnFailure: true,
      ...SEED,
    })
    expect(taken).toMatchObject({ change: expect.any(Number), kill: expect.any(Number) })
    expect(
      Object.keys(taken).filter((what) => what.startsWith('killed in')).length,
    ).toBeGreaterThan(0)
  },
  CASES * 60_000,
)

async function playAll(steps: readonly Step[]): Promise<void> {
  const project = await createProject()
  const second = await mkdtemp(join(tmpdir(), 'tote-second-'))
  try {
    count('cases')
    const states = await play(project, second, steps)
    await expectNothingHappened(project, states)
  } finally {
    await rm(second, { recursive: true, force: true })
    await project.close()
  }
}

/** Plays the steps, and a last run; returns the sales that each ingestion batch saw, and the variant at the end. */
async function play(
  project: TestProject,
  second: string,
  steps: readonly Step[],
): Promise<{ readonly seen: readonly (readonly Sale[])[]; readonly variant: number }> {
  const seen: (readonly Sale[])[] = []
  let variant = 0
  for (const one of [...steps, { do: 'run' } as const]) {
    count(one.do)
    if (one.do === 'change') await project.source.query(changeSql(one))
    if (one.do === 'run') await project.good()
    if (one.do === 'stage') await project.good({ only: one.stage })
    if (one.do === 'compact')
      await project.configure({ lake: `baseAfter: { files: ${one.files} }` })
    if (one.do === 'edit') {
      variant = one.variant
      await writeModels(project.folder, models(variant))
    }
    if (one.do === 'kill') await runKilled(project, one.at)
    if (one.do === 'both') await runBoth(project, second, one.variant)
    // The source stands still while a step runs: whatever batch it made saw just this.
    const batch = await newestBatch(project)
    if (batch > seen.length) seen.push(await sales(project))
    expect(batch, 'a batch that nothing was to be seen in').toBe(seen.length)
  }
  return { seen, variant }
}

/** A run of the command line that ends itself before or after one of its effects, if it has so many. */
async function runKilled(project: TestProject, at: number): Promise<void> {
  const started = startSwitched(project.folder, { KILL_AT: String(at + 2) })
  const [code, point] = await Promise.all([started.ended, started.thrown])
  if (point === undefined) expect(code, 'a run that was not killed').toBe(0)
  count(point === undefined ? 'kill came too late' : `killed in ${point.stage}`)
}

/** Another checkout, its models perhaps others, runs at the same time. */
async function runBoth(project: TestProject, second: string, variant: number): Promise<void> {
  await checkOutAgain(project, second, models(variant))
  const [, { error }] = await Promise.all([project.good(), runIn(second)])
  if (error !== undefined) throw error
}

async function newestBatch({ folder }: TestProject): Promise<number> {
  const manifests = join(folder, 'lake/ingestion/shop/_manifests')
  const names = (await readdir(manifests).catch(() => [])).filter((name) =>
    /^\d+\.json$/.test(name),
  )
  const newest = names.toSorted().at(-1)
  if (newest === undefined) return 0
  return (JSON.parse(await readFile(join(manifests, newest), 'utf8')) as { batch: number }).batch
}

async function sales({ source }: TestProject): Promise<Sale[]> {
  const rows = await source.query(
    'select sale_id, units, unit_price, note from sale order by sale_id',
  )
  return rows.map(({ sale_id: id, units, unit_price: price, note }) => ({
    sale_id: Number(id),
    units: Number(units),
    unit_price: price ?? '',
    note: note ?? null,
  }))
}

async function expectNothingHappened(
  project: TestProject,
  { seen, variant }: Awaited<ReturnType<typeof play>>,
): Promise<void> {
  expect((await project.good()).outcome).toBe('nothing to do')
  const lake = {
    ingestion: join(project.folder, 'lake/ingestion'),
    processed: join(project.folder, 'lake/processed'),
  }
  expect(await lakeProblems(lake, project.warehouse), 'P3').toEqual([])
  await expectLakeIsSource(project)
  const { units, where } = VARIANTS[variant] ?? { units: '', where: '' }
  const oracle = {
    ...ORACLE,
    dim_staff: (ORACLE['dim_staff'] ?? '').replace(
      's.last_name',
      variant === 1 ? 'upper(s.last_name) as last_name' : 's.last_name',
    ),
    fact_sale: `${(ORACLE['fact_sale'] ?? '').replace('units,', `${units} as units,`)} where ${where}`,
  }
  for (const [model, sql] of Object.entries(oracle)) {
    const rows = 'select row_to_json(r)::text as row from'
    const wanted = await project.source.query(`${rows} (${sql}) r order by 1`)
    const columns = await project.source
      .query(`select * from (${sql}) r limit 0`)
      .then(async () =>
        project.source.query(
          `select json_object_keys(row_to_json(r)) as name from (${sql}) r limit 100`,
        ),
      )
    const list = [...new Set(columns.map(({ name }) => `"${name}"`))].join(', ') || '1'
    const current = model.startsWith('fact_') ? 'valid_to is null' : 'not is_deleted'
    const found = await project.warehouse.query(
      `${rows} (select ${list} from ${model} where ${current}) r order by 1`,
    )
    expect([model, found], 'P7: fresh').toEqual([model, wanted])
  }
  expect(await history(project), 'P6').toEqual(expectedHistory(seen, variant))
  const live = await wholeStar(project.warehouse)
  expect(await rebuilt(project), 'P7: rebuild').toEqual(live)
  expect(await alwaysSo(project), 'P7: as if always').toEqual(live)
}

/** The lake's current rows beside the source's, as text. */
async function expectLakeIsSource(project: TestProject): Promise<void> {
  const columns: Readonly<Record<string, string>> = {
    sale: 'sale_id, staff_id, customer_id, units, unit_price, note',
    payment: 'payment_id, sale_id, payment_type_id, amount',
    department: 'department_id, department_name, location',
  }
  const context = {
    run: 'look',
    signal: new AbortController().signal,
    now: () => new Date(),
    emit: () => undefined,
  }
  await project.opened(async (opened) => {
    for (const [table, list] of Object.entries(columns)) {
      const texts = list.split(', ').map((name) => `cast(${name} as varchar) as ${name}`)
      const sql = (from: string): string =>
        `select ${texts.join(', ')} from ${from} order by ${TABLES[table]}`
      const found = await query(opened, sql(`shop.${table}`), { on: 'lake', limit: 1000 }, context)
      const wanted = await project.source.query(sql(table))
      const names = list.split(', ')
      expect([table, found.rows], 'P2').toEqual([
        table,
        wanted.map((row) => names.map((name) => row[name])),
      ])
    }
  })
}

interface Version extends Sale {
  readonly id: number
  readonly current: boolean
  readonly deleted: boolean
}

async function history({ warehouse }: TestProject): Promise<Version[]> {
  const rows = await warehouse.query(
    `select sale_record_id as id, sale_id, units, unit_price, note, valid_to is null as current, is_deleted as deleted
     from fact_sale order by sale_record_id`,
  )
  return rows.map((row) => ({
    id: Number(row['id']),
    sale_id: Number(row['sale_id']),
    units: Number(row['units']),
    unit_price: row['unit_price'] ?? '',
    note: row['note'] ?? null,
    current: row['current'] === 't',
    deleted: row['deleted'] === 't',
  }))
}

/** What the model makes of each state in turn, as the README says that facts keep it. */
function expectedHistory(seen: readonly (readonly Sale[])[], variant: number): Version[] {
  const versions: Version[] = []
  const close = (index: number, deleted: boolean): void => {
    const version = versions[index]
    if (version !== undefined) versions[index] = { ...version, current: false, deleted }
  }
  for (const state of seen) {
    const rows = state.flatMap((sale) => VARIANTS[variant]?.make(sale) ?? [])
    for (const [index, version] of versions.entries())
      if (version.current && !rows.some(({ sale_id: id }) => id === version.sale_id))
        close(index, true)
    for (const row of rows) {
      const open = versions.findIndex(({ current, sale_id: id }) => current && id === row.sale_id)
      const { units, unit_price: price, note } = versions[open] ?? {}
      if (open !== -1 && units === row.units && price === row.unit_price && note === row.note)
        continue
      close(open, false)
      versions.push({ id: versions.length + 1, ...row, current: true, deleted: false })
    }
  }
  return versions
}
