/** A project ready to run: a folder, the environment that its config reads, and its databases. */
import { cp, mkdir, mkdtemp, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { BenchDatabase, Place } from './place.ts'

export interface Installation {
  readonly folder: string
  readonly env: NodeJS.ProcessEnv
  readonly source: BenchDatabase
  readonly warehouseUrl: string
}

const TOTESYS = fileURLToPath(new URL('../examples/totesys', import.meta.url))

/** The example on a source that is there, with an empty lake and an empty warehouse. */
export async function installTotesys(place: Place, source: BenchDatabase): Promise<Installation> {
  return install(place, source, async (folder) => {
    for (const part of ['tote.config.ts', 'models', 'seeds'])
      await cp(join(TOTESYS, part), join(folder, part), { recursive: true })
  })
}

/** A project with these files, of the same environment; its folder and its warehouse are at `place`. */
export async function installFiles(
  place: Place,
  source: BenchDatabase,
  files: Readonly<Record<string, string>>,
): Promise<Installation> {
  return install(place, source, async (folder) => {
    await mkdir(join(folder, 'models'))
    for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text)
  })
}

/** The same project and lake, with an empty warehouse. */
export async function anotherWarehouse(
  place: Place,
  installation: Installation,
): Promise<Installation> {
  const warehouseUrl = (await place.createDatabase()).ownerUrl
  return {
    ...installation,
    warehouseUrl,
    env: { ...installation.env, WAREHOUSE_URL: warehouseUrl },
  }
}

async function install(
  place: Place,
  source: BenchDatabase,
  write: (folder: string) => Promise<void>,
): Promise<Installation> {
  const folder = await mkdtemp(join(place.folder, 'project-'))
  await write(folder)
  const warehouseUrl = (await place.createDatabase()).ownerUrl
  const env = {
    ...process.env,
    TOTESYS_URL: source.readerUrl,
    WAREHOUSE_URL: warehouseUrl,
    TOTE_LAKE_INGESTION: join(folder, 'lake', 'ingestion'),
    TOTE_LAKE_PROCESSED: join(folder, 'lake', 'processed'),
  }
  return { folder, env, source, warehouseUrl }
}
