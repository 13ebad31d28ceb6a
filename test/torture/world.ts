/**
 * What is tortured: two servers of its own behind proxies, and on them, one after another, small worlds: a shop, an
 * empty warehouse, a project on a small disk.
 */
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { openEmbeddedClusters, type Cluster } from '../support/cluster.ts'
import { MODELS, SHOP } from '../support/project-shop.ts'
import { openProxy, type Proxy } from '../support/proxy.ts'
import { VERSIONS } from './judge.ts'
import { openRunners, type Runners } from './runner.ts'

export type Side = 'source' | 'warehouse'

/** A server, and the proxy before it. */
export interface Server {
  readonly cluster: Cluster
  readonly proxy: Proxy
}

export interface Servers {
  readonly source: Server
  readonly warehouse: Server
  /** Why no small disk can be had here; undefined when one can. */
  readonly noDisk: string | undefined
  /** Why the size of a process's files cannot be limited either. */
  readonly noLimit: string | undefined
  /** Whatever was done to them is over. */
  heal(): Promise<void>
  end(): Promise<void>
}

export interface Database {
  readonly name: string
  query(sql: string): Promise<Record<string, string | null>[]>
}

export interface World {
  /** Of its two databases. */
  readonly name: string
  readonly folder: string
  readonly lake: { readonly ingestion: string; readonly processed: string }
  readonly source: Database
  readonly warehouse: Database
  readonly runners: Runners
  end(): Promise<void>
}

const SETTINGS = {
  shared_buffers: '16MB',
  max_connections: '60',
  autovacuum: 'off',
  // A crash of one session is a crash of all; they are back at once.
  restart_after_crash: 'on',
  // What is written stays written when a process dies; only machines lose it.
  fsync: 'off',
  full_page_writes: 'off',
}

export async function openServers(): Promise<Servers> {
  const clusters = await openEmbeddedClusters()
  const open = async (): Promise<Server> => {
    const cluster = await clusters.create(SETTINGS)
    await cluster.start()
    await cluster.query('postgres', 'create role reader login; create role loader login')
    return { cluster, proxy: await openProxy(cluster.port) }
  }
  // One after the other: their folders are numbered.
  const [source, warehouse] = [await open(), await open()]
  return {
    source,
    warehouse,
    noDisk: whyNoDisk(),
    noLimit: existsSync('/usr/bin/prlimit') ? undefined : 'not installed: prlimit',
    heal: async () => {
      for (const { proxy, cluster } of [source, warehouse]) {
        proxy.heal()
        await untilUp(cluster)
      }
    },
    end: async () => {
      await Promise.all([source.proxy.close(), warehouse.proxy.close()])
      await clusters.end()
    },
  }
}

/** A server that was killed is started; one that recovers from the crash of a session is waited for. */
async function untilUp(cluster: Cluster): Promise<void> {
  for (let tries = 0; ; tries++) {
    if (!cluster.isRunning()) await cluster.start()
    try {
      await cluster.query('postgres', 'select 1')
      return
    } catch (error) {
      if (tries > 400) throw error
    }
    await new Promise((resolve) => setTimeout(resolve, 25))
  }
}

/** It may answer before it notices that a session crashed, and end all others then (57P02), or let nobody in (57P03). */
async function askUntilUp(
  cluster: Cluster,
  database: string,
  sql: string,
): Promise<Record<string, string | null>[]> {
  try {
    return await cluster.query(database, sql)
  } catch (error) {
    const { code = '' } = error as { code?: string }
    if (!['57P02', '57P03'].includes(code)) throw error
    await untilUp(cluster)
    return askUntilUp(cluster, database, sql)
  }
}

/**
 * The clock that extraction asks, which can be set by `update oracle.clock`. The server's own function is renamed, so
 * that it is another one that every statement finds under its name.
 */
const CLOCK = `
create table oracle.clock as select interval '0' as behind;
alter function pg_catalog.clock_timestamp() rename to real_clock_timestamp;
create function pg_catalog.clock_timestamp() returns timestamptz language sql volatile security definer as
  $$ select pg_catalog.real_clock_timestamp() - behind from oracle.clock $$;`

/** How a world's source is read and its lake written; each world draws its own. */
export interface WorldSettings {
  readonly strategy: 'compare' | 'xmin'
  readonly format: 'parquet' | 'csv' | 'json'
}

let worlds = 0

export async function openWorld(
  { source, warehouse, noDisk }: Servers,
  { strategy, format }: WorldSettings,
): Promise<World> {
  const name = `world_${process.pid}_${(worlds += 1)}`
  await source.cluster.query('postgres', `create database ${name}`)
  await warehouse.cluster.query('postgres', `create database ${name} owner loader`)
  await source.cluster.query(name, `${SHOP}; ${VERSIONS}; ${CLOCK}`)
  await source.cluster.query(name, 'grant select on all tables in schema public to reader')
  const folder = await mkdtemp(join(tmpdir(), 'tote-torture-world-'))
  if (noDisk === undefined) execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=48m', 'none', folder])
  await mkdir(join(folder, 'models'))
  const url = (role: string, { port }: Proxy): string =>
    `postgres://${role}@127.0.0.1:${port}/${name}`
  await writeFile(
    join(folder, 'tote.config.ts'),
    `export default {
  name: 'shop',
  silenceTimeout: '2s',
  sources: { shop: { type: 'postgres', url: '${url('reader', source.proxy)}', strategy: '${strategy}' } },
  lake: { ingestion: 'lake/ingestion', processed: 'lake/processed', format: '${format}', baseAfter: { files: 2 } },
  warehouse: { url: '${url('loader', warehouse.proxy)}' },
}
`,
  )
  for (const [model, text] of Object.entries(MODELS))
    await writeFile(join(folder, 'models', `${model}.sql`), text)
  const runners = openRunners(folder)
  const database = ({ cluster }: Server): Database => ({
    name,
    query: async (sql) => askUntilUp(cluster, name, sql),
  })
  return {
    name,
    folder,
    lake: {
      ingestion: join(folder, 'lake', 'ingestion'),
      processed: join(folder, 'lake', 'processed'),
    },
    source: database(source),
    warehouse: database(warehouse),
    runners,
    end: async () => {
      await runners.end()
      for (const { cluster } of [source, warehouse])
        await askUntilUp(cluster, 'postgres', `drop database ${name} with (force)`)
      if (noDisk === undefined) execFileSync('umount', ['-l', folder])
      await rm(folder, { recursive: true, force: true })
    },
  }
}

function whyNoDisk(): string | undefined {
  if (process.platform !== 'linux' || userInfo().uid !== 0)
    return 'only root may mount a small disk'
  if (!existsSync('/bin/mount') && !existsSync('/usr/bin/mount')) return 'not installed: mount'
  const folder = execFileSync('mktemp', ['-d'], { encoding: 'utf8' }).trim()
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'none', folder], { stdio: 'ignore' })
    execFileSync('umount', [folder])
    return undefined
  } catch {
    return 'a small disk could not be mounted'
  } finally {
    execFileSync('rmdir', [folder])
  }
}
