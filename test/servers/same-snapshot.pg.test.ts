/**
 * P1 behind a balancer: the second connection of a batch is led to another server, on which a snapshot of the very
 * same name exists. Servers name snapshots by counters, so this needs no luck, only patience.
 */
import { connect, createServer, type AddressInfo, type Server } from 'node:net'
import pg from 'pg'
import { expect, test } from 'vitest'
import { DEBIAN_15, missingTools, openClusters, type Cluster } from '../support/cluster.ts'
import { fillShop, projectOn } from '../support/shop-server.ts'

/** Its first connection goes to one server; the others wait for `before`, and go to the other. */
async function balance(one: Cluster, other: Cluster, before: () => Promise<void>): Promise<Server> {
  let connections = 0
  const server = createServer((client) => {
    const first = connections++ === 0
    client.on('error', () => undefined)
    void (first ? Promise.resolve() : before()).then(() => {
      const upstream = connect(first ? one.port : other.port, '127.0.0.1')
      upstream.on('error', () => client.destroy())
      client.on('close', () => upstream.destroy())
      client.pipe(upstream).pipe(client)
    })
  })
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve(server))
  })
}

/** Exports a snapshot under that name from a server that never heard of it; returns the sessions that hold it. */
async function exportAs(cluster: Cluster, name: string): Promise<pg.Client[]> {
  const [backend = 0, transaction = 0] = name.split('-').map((part) => Number.parseInt(part, 16))
  const sessions: pg.Client[] = []
  const place = `select split_part(virtualxid, '/', 1)::int as backend, split_part(virtualxid, '/', 2)::int as transaction
    from pg_locks where pid = pg_backend_pid() and locktype = 'virtualxid'`
  for (let tries = 0; tries < 40; tries++) {
    const session = new pg.Client({ connectionString: cluster.url('shop') })
    await session.connect()
    sessions.push(session)
    const { rows } = await session.query<{ backend: number; transaction: number }>(place)
    const [now] = rows
    if (now?.backend !== backend) continue
    for (let at = now.transaction + 1; at < transaction; at++) await session.query('select 1')
    await session.query('begin isolation level repeatable read')
    const exported = await session.query<{ id: string }>('select pg_export_snapshot() as id')
    expect(exported.rows[0]?.id).toBe(name)
    return sessions
  }
  throw new Error(`no session of the other server has the number ${backend}`)
}

test('P1: a snapshot of the same name on another server is not taken for ours', async (context) => {
  const missing = missingTools(DEBIAN_15)
  if (missing !== undefined) return context.skip(missing)
  const clusters = await openClusters(DEBIAN_15)
  const held: pg.Client[] = []
  try {
    const [one, other] = [await clusters.create(), await clusters.create()]
    for (const cluster of [one, other]) {
      await cluster.start()
      await fillShop(cluster)
      await cluster.query(
        'shop',
        `create table big (id integer primary key, note text);
         insert into big select n, repeat('Qx7', 100) from generate_series(1, 20000) n; grant select on big to reader`,
      )
    }
    const balancer = await balance(one, other, async () => {
      if (held.length > 0) return
      const [file] = await one.query('shop', "select name from pg_ls_dir('pg_snapshots') as name")
      held.push(...(await exportAs(other, file?.['name'] ?? '')))
    })
    const shop = await projectOn(one, 'readers: 2, partSize: 1')
    try {
      const url = new URL(one.url('shop', 'reader'))
      url.port = String((balancer.address() as AddressInfo).port)
      await shop.environment({ SHOP_URL: url.href })
      const { error } = await shop.run({ only: 'extract' })
      expect(held.length).toBeGreaterThan(0)
      expect(error).toMatchObject({ name: 'SnapshotNotShared' })
    } finally {
      balancer.close()
      await shop.close()
    }
  } finally {
    await Promise.all(held.map(async (session) => session.end()))
    await clusters.end()
  }
}, 60_000)
