/** Two servers of a test's own, which stop, crash and come back: of a source, and of a warehouse. */
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { findBinaries, prepareBinaries } from '../../src/embedded/binaries.ts'
import { findHome } from '../../src/embedded/home.ts'
import { openClusters, type Cluster } from './cluster.ts'
import { serverAt, type TestServer } from './postgres.ts'

export interface OwnServer extends TestServer {
  readonly cluster: Cluster
}

export interface OwnServers {
  readonly source: OwnServer
  readonly warehouse: OwnServer
  end(): Promise<void>
}

const SETTINGS = {
  full_page_writes: 'off',
  max_connections: '60',
  max_locks_per_transaction: '256',
}

export async function openServers(): Promise<OwnServers> {
  const folder = await mkdtemp(join(tmpdir(), 'tote-servers-'))
  // As root, the servers' user must pass through it.
  await chmod(folder, 0o755)
  const native = await prepareBinaries(
    await findBinaries([import.meta.url]),
    await findHome(folder),
  )
  const clusters = await openClusters(join(native, 'bin'))
  const open = async (): Promise<OwnServer> => {
    const cluster = await clusters.create(SETTINGS)
    await cluster.start()
    return { cluster, ...serverAt(cluster.url('postgres')) }
  }
  // One after the other: their folders are numbered.
  const [source, warehouse] = [await open(), await open()]
  return {
    source,
    warehouse,
    end: async () => {
      await clusters.end()
      await rm(folder, { recursive: true, force: true })
    },
  }
}
