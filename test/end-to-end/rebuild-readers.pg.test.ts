/** P5: readers of the warehouse while a rebuild takes its place, and other runs beside it. */
import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { rebuild } from '../../src/pipeline/rebuild.ts'
import { createProject, type TestProject } from '../support/project.ts'

let project: TestProject
beforeAll(async () => {
  project = await createProject()
  await project.good()
  await project.source.query('update sale set units = units + 1; delete from sale where sale_id = 8800102') // prettier-ignore
  await project.good()
  await project.warehouse.query(
    'create view public.mine as select f.sale_record_id, f.units, s.last_name from fact_sale f join dim_staff s on s.staff_id = f.sales_staff_id',
  )
  await project.warehouse.query(`alter view public.mine owner to ${project.loader}`)
})
afterAll(async () => project.close())

/** Everything as it is not in the lake: an old star is told from a new one by either table alone. */
async function age(): Promise<void> {
  await project.warehouse.query(
    "update fact_sale set units = units + 1000 where units < 1000; update dim_staff set last_name = 'Old Qx7'",
  )
}

async function rebuilt(): Promise<void> {
  const context = {
    run: 'here',
    signal: new AbortController().signal,
    now: () => new Date(),
    emit: () => undefined,
  }
  const { error } = await project.opened(async (opened) => rebuild(opened, {}, context))
  if (error !== undefined) throw error
}

async function client(): Promise<pg.Client> {
  const opened = new pg.Client(project.warehouse.url)
  await opened.connect()
  return opened
}

const LOOK = `select (select bool_and(units > 1000) from fact_sale) as fact, (select bool_and(last_name = 'Old Qx7') from dim_staff) as dim,
  (select bool_and(units > 1000) from fact_sale_current) as current, (select bool_and(units > 1000 and last_name = 'Old Qx7') from mine) as mine,
  (select count(*) from fact_sale) as facts, (select count(*) from mine) as joined,
  (select count(*) from fact_sale f left join dim_staff s on s.staff_id = f.sales_staff_id where s.staff_id is null) as dangling`

test('P5: readers see the old star whole or the new one, in each statement and in each repeatable read, and are never held up long', async () => {
  const [single, repeated] = await Promise.all([client(), client()])
  const problems = new Set<string>()
  const seen = { old: 0, new: 0 }
  let over = false
  let longest = 0
  const judge = (row: Record<string, unknown>, where: string): void => {
    const { fact, dim, current, mine, facts, joined, dangling } = row
    if (new Set([fact, dim, current, mine]).size !== 1 || facts !== joined || dangling !== '0')
      problems.add(`${where}: ${JSON.stringify(row)}`)
    seen[fact === true ? 'old' : 'new'] += 1
  }
  const reading = [
    (async () => {
      while (!over) {
        const started = performance.now()
        const { rows } = await single.query(LOOK)
        longest = Math.max(longest, performance.now() - started)
        judge(rows[0], 'one statement')
      }
    })(),
    (async () => {
      while (!over) {
        await repeated.query('begin isolation level repeatable read read only')
        const { rows } = await repeated.query("select (select bool_and(last_name = 'Old Qx7') from dim_staff) as dim, (select count(*) from dim_staff) as n") // prettier-ignore
        const { rows: after } = await repeated.query(LOOK)
        judge(after[0], 'repeatable read')
        if (rows[0].dim !== after[0].dim || rows[0].n === '0') problems.add('two stars in one snapshot') // prettier-ignore
        await repeated.query('commit')
      }
    })(),
  ]
  for (let round = 0; round < 3; round++) {
    await age()
    await rebuilt()
  }
  over = true
  await Promise.all(reading)
  await Promise.all([single.end(), repeated.end()])
  expect([...problems]).toEqual([])
  expect(seen.old).toBeGreaterThan(10)
  expect(seen.new).toBeGreaterThan(0)
  expect(longest).toBeLessThan(10_000)
})

test('P5: a snapshot older than the switch that comes to the star after it sees the new star, not an empty one', async () => {
  await age()
  const older = await client()
  await older.query(
    'begin isolation level repeatable read read only; select count(*) from pg_class',
  )
  await rebuilt()
  const { rows } = await older.query(LOOK)
  expect(rows[0]).toMatchObject({ fact: false, dim: false, current: false, mine: false, dangling: '0' }) // prettier-ignore
  expect(Number(rows[0].facts)).toBeGreaterThan(5)
  await older.end()
})

test('P4: while a reader holds the star, the rebuild waits and holds nobody up; a run and a second rebuild wait and then catch up', async () => {
  await age()
  const holder = await client()
  await holder.query('begin; select count(*) from fact_sale')
  const ended: string[] = []
  const first = project.start('rebuild').ended.then((told) => (ended.push('rebuild'), told))
  const waiting = async (what: string): Promise<void> => {
    for (;;) {
      const [row] = await project.warehouse.query(what)
      if (row !== undefined) return
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }
  const wanted = "select 1 from pg_locks where mode = 'AccessExclusiveLock' and not granted"
  await waiting(wanted)
  await project.source.query("update staff set last_name = 'Later Qx7' where staff_id = 1")
  const others = [project.start('run').ended, project.start('rebuild').ended]
  await waiting("select 1 from pg_locks where locktype = 'advisory' and not granted having count(*) = 2") // prettier-ignore
  // A statement that cannot wait for as long as the holder does.
  await project.warehouse.query("set statement_timeout = '5s'; select count(*) from mine; reset statement_timeout") // prettier-ignore
  expect(ended).toEqual([])
  await holder.query('commit')
  await holder.end()
  for (const { exit, stderr } of await Promise.all([first, ...others]))
    expect({ exit, stderr: exit === 0 ? '' : stderr }).toEqual({ exit: 0, stderr: '' })
  expect(
    await project.warehouse.query('select last_name from dim_staff where staff_id = 1'),
  ).toEqual([{ last_name: 'Later Qx7' }])
  expect((await project.tote('rebuild', '--dry-run')).exit).toBe(0)
  expect((await project.tote('run')).exit).toBe(0)
}, 120_000)
