/**
 * `tote verify` while others write, load and kill: it never finds a difference that is none, and a repair that is
 * killed at any moment leaves what the next one makes good.
 */
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openProject, type Project } from '../../src/project/project.ts'
import { run } from '../../src/pipeline/run.ts'
import { describeVerified, differingRows, nameOf } from '../../src/terminal/verified.ts'
import { verify, type VerifyOptions } from '../../src/verification/verify.ts'
import { contextHere } from '../support/here.ts'
import { createProject, startCli, type TestProject } from '../support/project.ts'
import { wholeStar } from '../support/rebuild.ts'
import { tamperLake } from '../support/tamper-lake.ts'

const killSwitch = fileURLToPath(new URL('../support/kill-switch.mjs', import.meta.url))

let shop: TestProject
let project: Project
beforeAll(async () => {
  shop = await createProject()
  await shop.good()
  project = await openProject({ cwd: shop.folder })
})
afterAll(async () => {
  await project.close()
  await shop.close()
})

/** What differs, or what went wrong. */
async function verified(options: VerifyOptions = {}): Promise<string[]> {
  const { error, summary } = await verify(project, options, contextHere())
  const found = (summary.verified ?? []).filter((table) => differingRows(table) > 0)
  const told = found.map((table) => `${nameOf(table)}${table.repaired ? ' repaired' : ''}`)
  return error === undefined || error.name === 'DifferenceFound' ? told : [error.message]
}

/** Writes until told to stop: short transactions on keys that meet, some rolled back, some late. */
async function write(seed: number, signal: AbortSignal): Promise<number> {
  const client = new pg.Client({ connectionString: shop.source.url })
  await client.connect()
  let commits = 0
  try {
    for (let n = seed; !signal.aborted; n += 7) {
      const sale = 8800200 + (n % 23)
      await client.query('begin')
      await client.query(
        n % 3 === 0
          ? `delete from sale where sale_id = ${sale}`
          : `insert into sale values (${sale}, now(), '2024-11-04', 1 + ${n % 3}, 1, ${n}, 1.5, 'Qx7 ${n}')
             on conflict (sale_id) do update set units = excluded.units, note = nullif(sale.note, '')`,
      )
      await client.query(
        `update customer set legal_name = 'Qx7 ${n}' where customer_id = ${1 + (n % 2)}`,
      )
      if (n % 5 === 0) await new Promise((resolve) => setTimeout(resolve, 40))
      await client.query(n % 11 === 0 ? 'rollback' : 'commit')
      commits += 1
    }
  } finally {
    await client.end()
  }
  return commits
}

test(
  'P1, P12: nothing differs while others write, and load from another checkout',
  { timeout: 180_000 },
  async () => {
    const folder = await mkdtemp(join(tmpdir(), 'tote-verify-'))
    for (const part of ['models', '.env'])
      await cp(join(shop.folder, part), join(folder, part), { recursive: true })
    const config = await readFile(join(shop.folder, 'tote.config.ts'), 'utf8')
    await mkdir(join(folder, '.tote'), { recursive: true })
    await writeFile(
      join(folder, 'tote.config.ts'),
      config.replaceAll("'lake/", `'${shop.folder}/lake/`),
    )
    const elsewhere = await openProject({ cwd: folder })
    const stop = new AbortController()
    const writers = [1, 2, 3].map(async (seed) => write(seed, stop.signal))
    const runs = (async () => {
      const errors: string[] = []
      while (!stop.signal.aborted) {
        const { error } = await run(elsewhere, {}, contextHere())
        if (error !== undefined) errors.push(error.message)
      }
      return errors
    })()
    const found: string[] = []
    for (let round = 0; round < 6; round++) found.push(...(await verified()))
    stop.abort()
    const commits = await Promise.all(writers)
    expect(await runs).toEqual([])
    await elsewhere.close()
    await rm(folder, { recursive: true, force: true })
    expect(found).toEqual([])
    expect(Math.min(...commits)).toBeGreaterThan(10)
  },
)

/** Before each effect of a repair that decides. */
const MOMENTS = [
  '^verify pg.query .*pg_advisory_xact_lock',
  '^verify pg.query .*delete from',
  '^verify pg.query .*update "public"',
  '^verify pg.query commit',
]

test(
  'P4: a repair of the warehouse that is killed leaves all of it or nothing, and the next one is whole',
  { timeout: 240_000 },
  async () => {
    await shop.good()
    const good = await wholeStar(shop.warehouse)
    const problems: string[] = []
    for (const moment of MOMENTS) {
      await shop.warehouse.query(
        `update fact_sale set units = units + 1 where sale_record_id = 1; delete from fact_payment;
       insert into dim_payment_type (payment_type_id, payment_type_name) values (9, 'Qx7')`,
      )
      const tampered = await wholeStar(shop.warehouse)
      const { signal } = await killedAt(moment)
      if (signal !== 'SIGKILL') problems.push(`${moment}: never came`)
      const halfway = JSON.stringify(await wholeStar(shop.warehouse))
      if (halfway !== JSON.stringify(tampered)) problems.push(`${moment}: half a repair`)
      const again = await verified({ repair: true })
      if (again.join() !== 'dim_payment_type repaired,fact_payment repaired,fact_sale repaired')
        problems.push(`${moment}: ${again.join()}`)
      if (JSON.stringify(await wholeStar(shop.warehouse)) !== JSON.stringify(good))
        problems.push(`${moment}: ends otherwise`)
    }
    expect(problems).toEqual([])
    expect(await verified()).toEqual([])
  },
)

test(
  'P3: a repair of the lake that is killed before its commit is no repair, and the next one is whole',
  { timeout: 120_000 },
  async () => {
    await shop.source.query("insert into staff values (4, 'Qx7', 1)")
    await shop.good()
    await tamperLake(
      project,
      project.ingestion,
      'staff',
      (
        rows,
      ) => `select 'd' as _tote_op, staff_id, null::varchar as last_name, null::integer as department_id from ${rows} where staff_id = 4
      union all select 'u', 78, 'Qx7', 1`,
    )
    const { signal } = await killedAt('^extract fs.link .*ingestion/shop/_manifests')
    expect(signal).toBe('SIGKILL')
    expect(await verified()).toEqual(['shop.staff'])
    expect(await verified({ repair: true })).toEqual(['shop.staff repaired'])
    expect(await verified()).toEqual([])
  },
)

async function killedAt(moment: string): Promise<{ signal: NodeJS.Signals | null }> {
  const { child, ended } = startCli(shop.folder, ['verify', '--repair', '--json'], {
    NODE_OPTIONS: `--import ${killSwitch}`,
    KILL_ON: moment,
  })
  await ended
  return { signal: child.signalCode }
}

describe('P2: strategies that read little', () => {
  let other: TestProject
  let opened: Project
  beforeAll(async () => {
    other = await createProject({
      source: `table: {
        sale: { strategy: 'cursor', cursor: { column: 'last_updated', lookBack: '1h', reconcile: '24h' } },
        staff: { strategy: 'xmin' },
      }`,
    })
    await other.source.query("insert into staff values (4, 'Qx7', 1)")
    await other.good()
    opened = await openProject({ cwd: other.folder })
  })
  afterAll(async () => {
    await opened.close()
    await other.close()
  })
  const findings = async (options: VerifyOptions = {}): Promise<string[]> => {
    const { summary } = await verify(opened, options, contextHere())
    return (summary.verified ?? [])
      .filter((table) => differingRows(table) > 0)
      .map((table) => `${nameOf(table)}: ${describeVerified(table)}`)
  }
  const expectMended = async (found: string): Promise<void> => {
    expect(await findings()).toEqual([found])
    expect(await findings({ repair: true })).toEqual([`${found}; repaired`])
    expect(await findings()).toEqual([])
  }
  test('what a cursor missed is found, and made good by the repair', async () => {
    await other.source.query(
      "insert into sale values (8800150, now(), now() at time zone 'UTC', 1, 1, 1, 1, 'Qx7')",
    )
    await other.good()
    // Behind the cursor.
    await other.source.query(
      'update sale set units = 77 where sale_id = 8800101; delete from sale where sale_id = 8800102',
    )
    await expectMended('shop.sale: 1 row too many, 1 row with other values (units)')
  })
  test('what a cursor cannot see go is refused when it is most of a table, and the way out that is told leads out', async () => {
    await other.source.query(
      `insert into sale select 8900000 + n, now(), now() at time zone 'UTC', 1, 1, 1, 1, 'Qx7' from generate_series(1, 1500) n`,
    )
    await other.good()
    await other.source.query('delete from sale where sale_id > 8900400')
    expect(await findings()).toEqual(['shop.sale: 1,100 rows too many'])
    const { error, summary } = await verify(opened, { repair: true }, contextHere())
    expect(error?.name).toBe('ShrinkRefused')
    const fix = 'tote run --full-refresh --accept-shrink sale'
    expect(error?.facts.fix).toBe(fix)
    // What was found is told all the same.
    expect(summary.verified?.some((table) => differingRows(table) === 1100)).toBe(true)
    expect((await other.tote(...fix.split(' ').slice(1))).exit).toBe(0)
    expect(await findings()).toEqual([])
    await other.source.query('delete from sale where sale_id > 8900000')
    await other.good({ fullRefresh: true })
  })
  test('what the pairs of xmin do not tell is found, and made good by the repair', async () => {
    await tamperLake(
      opened,
      opened.ingestion,
      'staff',
      (
        rows,
      ) => `select 'd' as _tote_op, staff_id, null::varchar as last_name, null::integer as department_id from ${rows} where staff_id = 4
        union all select 'u', staff_id, last_name || '.', department_id from ${rows} where staff_id = 1
        union all select 'u', 78, 'Qx7', 1`,
    )
    await expectMended(
      'shop.staff: 1 row missing, 1 row too many, 1 row with other values (last_name)',
    )
  })
})
