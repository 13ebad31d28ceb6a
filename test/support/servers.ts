/** Two servers of a test's own, which stop, crash and come back: of a source, and of a warehouse. */
import { openEmbeddedClusters, type Cluster } from './cluster.ts'
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
  const clusters = await openEmbeddedClusters()
  const open = async (): Promise<OwnServer> => {
    const cluster = await clusters.create(SETTINGS)
    await cluster.start()
    return { cluster, ...serverAt(cluster.url('postgres')) }
  }
  // One after the other: their folders are numbered.
  const [source, warehouse] = [await open(), await open()]
  return { source, warehouse, end: clusters.end }
}
