/** Another server behind the same URL, or the same one in another state: what is taken for a change, and what is refused. */
import { afterAll, beforeAll, beforeEach, expect, test, type TestContext } from 'vitest'
import {
  DEBIAN_15,
  missingTools,
  openClusters,
  type Cluster,
  type Clusters,
} from '../support/cluster.ts'
import { expectShop, fillShop, projectOn } from '../support/shop-server.ts'

const missing = missingTools(DEBIAN_15)
let clusters: Clusters

beforeAll(async () => {
  if (missing === undefined) clusters = await openClusters(DEBIAN_15)
})

afterAll(async () => clusters?.end())

beforeEach((context: TestContext) => {
  if (missing !== undefined) context.skip(missing)
})

async function shopServer(): Promise<Cluster> {
  const cluster = await clusters.create({ autovacuum: 'off' })
  await cluster.start()
  await fillShop(cluster)
  return cluster
}

const STRATEGIES = ["strategy: 'compare',", "strategy: 'xmin',"] as const
/** Ids given again can fool pairs only: whole rows are compared whatever ids say. */
const PAIRS = ["strategy: 'xmin',"] as const

const update =
  'update sale set units = units + 1, unit_price = unit_price + 1 where sale_id % 2 = 1'

test.each(STRATEGIES)(
  'P2: a server filled by the same script has the same pairs and other values: refused until accepted, then compared in full %s',
  async (strategy) => {
    const [one, other] = [await shopServer(), await shopServer()]
    await one.query('shop', update)
    await other.query('shop', update.replaceAll('+ 1', '+ 7'))
    const pairs = 'select sale_id, xmin::text from sale order by sale_id'
    expect(await one.query('shop', pairs)).toEqual(await other.query('shop', pairs))
    const shop = await projectOn(one, strategy)
    try {
      await shop.good()
      await expectShop(shop, one)
      await shop.pointAt(other)
      const before = await shop.standing()
      expect((await shop.run()).error).toMatchObject({ name: 'SourceReplaced' })
      expect(await shop.standing()).toEqual(before)
      const { tables } = await shop.good({ acceptSource: true })
      expect(tables.find(({ table }) => table === 'sale')).toMatchObject({ updated: 3 })
      await expectShop(shop, other)
      expect((await shop.good()).outcome).toBe('nothing to do')
    } finally {
      await shop.close()
      await Promise.all([one.stop(), other.stop()])
    }
  },
  60_000,
)

test.each(STRATEGIES)(
  'P2: a volume put back is SourceBehind until accepted; what it lost is undone %s',
  async (strategy) => {
    const cluster = await shopServer()
    await cluster.stop()
    const putBack = await clusters.keep(cluster)
    await cluster.start()
    const shop = await projectOn(cluster, strategy)
    try {
      await shop.good()
      await cluster.query('shop', `${update}; delete from payment`)
      await shop.good()
      await cluster.stop()
      await putBack()
      await cluster.start()
      const before = await shop.standing()
      const told = await shop.tote('run')
      expect(told.stderr).toContain('SourceBehind')
      expect(told.stderr).toContain('tote run --accept-source')
      expect(told.exit).toBe(3)
      expect(await shop.standing()).toEqual(before)
      expect((await shop.tote('run', '--accept-source')).exit).toBe(0)
      await expectShop(shop, cluster)
      await cluster.query('shop', update)
      await shop.good()
      await expectShop(shop, cluster)
    } finally {
      await shop.close()
      await cluster.stop()
    }
  },
  60_000,
)

test.each(PAIRS)(
  'P2: a volume put back that has since gone on further than the last batch saw is compared in full %s',
  async (strategy) => {
    const cluster = await shopServer()
    await cluster.stop()
    const putBack = await clusters.keep(cluster)
    await cluster.start()
    const shop = await projectOn(cluster, strategy)
    try {
      await shop.good()
      await cluster.query('shop', update)
      await shop.good()
      await cluster.stop()
      await putBack()
      await cluster.start()
      // The same transaction id, on the same rows, with other values; and more.
      await cluster.query('shop', update.replaceAll('+ 1', '+ 7'))
      for (let n = 0; n < 5; n++)
        await cluster.query('shop', 'update staff set last_name = last_name')
      await shop.good()
      await expectShop(shop, cluster)
    } finally {
      await shop.close()
      await cluster.stop()
    }
  },
  60_000,
)

test.each(PAIRS)(
  'P2: transaction ids that pass 2^32 between batches, and within a transaction, lose nothing %s',
  async (strategy) => {
    const cluster = await shopServer()
    const shop = await projectOn(cluster, strategy)
    const near = 2 ** 32 - 40
    try {
      await shop.good()
      // Half of all ids lie before any other, so the way there is made in steps, everything frozen at each.
      for (const next of [2 ** 30, 2 ** 31, 3 * 2 ** 30, near]) {
        await cluster.query('postgres', 'update pg_database set datallowconn = true')
        for (const database of ['postgres', 'template1', 'template0', 'shop'])
          await cluster.query(database, 'vacuum freeze')
        await cluster.query('postgres', 'checkpoint')
        await cluster.stop()
        await moveIds(cluster, next)
        await cluster.start()
        await cluster.query('shop', update)
        await shop.good()
        await expectShop(shop, cluster)
      }
      const position = async (): Promise<number> => {
        const [row] = await cluster.query(
          'shop',
          'select pg_snapshot_xmax(pg_current_snapshot())::text as xmax',
        )
        return Number(row?.['xmax'])
      }
      expect(await position()).toBeLessThan(2 ** 32)
      for (let n = 0; n < 60; n++) {
        await cluster.query('shop', `update sale set units = ${n} where sale_id % 6 = ${n % 6}`)
        if (n % 12 === 0) {
          await shop.good()
          await expectShop(shop, cluster)
        }
      }
      expect(await position()).toBeGreaterThan(2 ** 32)
      await shop.good()
      await expectShop(shop, cluster)
    } finally {
      await shop.close()
      await cluster.stop()
    }
  },
  120_000,
)

test('P2: a row that shows the xmin of its version of 2^32 transactions ago is found to be another', async () => {
  const cluster = await shopServer()
  const xmin = async (): Promise<number> => {
    const [row] = await cluster.query('shop', 'select xmin::text from sale where sale_id = 8800101')
    return Number(row?.['xmin'])
  }
  const first = await xmin()
  await cluster.query('postgres', 'update pg_database set datallowconn = true')
  for (const database of ['postgres', 'template1', 'template0', 'shop'])
    await cluster.query(database, 'vacuum freeze')
  await cluster.query('postgres', 'checkpoint')
  await cluster.stop()
  await cluster.tool('pg_resetwal', '-f', '-e', '1', '-x', String(first - 9), '-D', cluster.data)
  await cluster.start()
  const shop = await projectOn(cluster, `strategy: 'xmin'`)
  try {
    await shop.good()
    await expectShop(shop, cluster)
    for (let id = 0; id < first - 1;) {
      const [row] = await cluster.query('shop', 'select pg_current_xact_id()::text as id')
      id = Number(BigInt(row?.['id'] ?? 0) - 2n ** 32n)
    }
    await cluster.query('shop', 'update sale set units = units + 1 where sale_id = 8800101')
    expect(await xmin()).toBe(first)
    const { tables } = await shop.good()
    expect(tables.find(({ table }) => table === 'sale')).toMatchObject({ updated: 1 })
    await expectShop(shop, cluster)
  } finally {
    await shop.close()
    await cluster.stop()
  }
}, 60_000)

/** Sets the next transaction id, with the page of commit states that it needs. */
async function moveIds(cluster: Cluster, next: number): Promise<void> {
  const segment = Math.floor(next / (8192 * 4 * 32))
    .toString(16)
    .toUpperCase()
    .padStart(4, '0')
  await cluster.zero(`pg_xact/${segment}`, 262_144)
  await cluster.tool('pg_resetwal', '-f', '-x', String(next), '-D', cluster.data)
}
