/** A source of which a process crashes: it recovers without being started again, and takes back what its log had not written yet. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { setTimeout as sleep } from 'node:timers/promises'
import { createProject, type TestProject } from '../support/project.ts'
import { openServers, type OwnServers } from '../support/servers.ts'

let servers: OwnServers
let project: TestProject
beforeAll(async () => {
  servers = await openServers()
  const { cluster } = servers.source
  await cluster.stop()
  await cluster.start({ synchronous_commit: 'off' })
  project = await createProject({
    servers,
    source: `strategy: 'xmin'`,
    setup:
      'create table place (id integer primary key, v integer); insert into place select n, 0 from generate_series(1, 9) n',
    models: { dim_place: '-- kind: dimension\n-- key: id\nselect id, v from shop.place\n' },
  })
  await project.good()
})
afterAll(async () => {
  await project.close()
  await servers.end()
})

interface Row {
  readonly xmin: string | null
  readonly v: string | null
}

/** Asked until it is so: the server takes a while to recover. */
async function rowWith(v: string): Promise<Row> {
  for (let tries = 0; ; tries++) {
    const [row] = await project.source
      .query('select xmin::text, v::text from place where id = 1')
      .catch(() => [])
    if (row?.['v'] === v) return { xmin: row['xmin'] ?? null, v }
    if (tries > 400) throw new Error(`the row is not there with ${v}`)
    await sleep(50)
  }
}

test('P2: a row whose transaction has the number of one that was seen, and that the crash took back', async () => {
  const [writer] = await project.source.query(
    `select pid from pg_stat_activity where backend_type = 'walwriter'`,
  )
  const pid = Number(writer?.['pid'])
  await project.source.query('checkpoint')
  process.kill(pid, 'SIGSTOP')
  await project.source.query('update place set v = 1 where id = 1')
  const seen = await rowWith('1')
  await project.good()
  process.kill(pid, 'SIGKILL')
  await rowWith('0')
  await project.source.query('update place set v = 2 where id = 1')
  expect(await rowWith('2'), 'its number again').toEqual({ ...seen, v: '2' })
  await project.good()
  expect(await project.warehouse.query('select v::text from dim_place where id = 1')).toEqual([
    { v: '2' },
  ])
})

test('P2: statistics that somebody begins anew cost one comparison, and change nothing', async () => {
  await project.good()
  const before = await project.standing()
  await project.source.query("select pg_stat_reset_shared('bgwriter')")
  expect((await project.good()).batches.processed?.batch).toBe(3)
  expect((await project.standing()).warehouse).toEqual(before.warehouse)
  expect((await project.good()).outcome).toBe('nothing to do')
})
