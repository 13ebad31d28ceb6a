/** Tote and its rivals under one interface, so that all are asked the same. */
import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { installFiles, type Installation } from '../installation.ts'
import type { BenchDatabase, Place } from '../place.ts'
import { timeProcess } from '../timed-process.ts'
import type { Installed } from './environments.ts'
import type { Errand } from './rival.ts'

export interface Table {
  readonly name: string
  readonly key: string
  readonly cursor: string
}

/** One that carries a table into a warehouse of its own. */
export interface Carrier {
  readonly name: string
  readonly settings: string
  readonly warehouseUrl: string
  /** What the warehouse's table is called. */
  readonly table: string
  /** The warehouse's condition for rows that are current. */
  readonly current: string
  /** One command, from its start to its end. Returns seconds; throws when it says that it failed. */
  carry(mode: Errand['mode']): Promise<number>
  close(): Promise<void>
}

const CLI = fileURLToPath(new URL('../../dist/cli.js', import.meta.url))

/** Ours: lake, history, keys and checks on. */
export async function openTote(
  place: Place,
  source: BenchDatabase,
  table: Table,
): Promise<Carrier> {
  const fact = `fact_${table.name}`
  const installation: Installation = await installFiles(place, source, {
    'tote.config.ts': `import { defineProject, env } from 'totedata'

export default defineProject({
  name: 'beside',
  sources: { shop: { type: 'postgres', url: env('TOTESYS_URL'), tables: { include: ['${table.name}'] } } },
  lake: { ingestion: env('TOTE_LAKE_INGESTION'), processed: env('TOTE_LAKE_PROCESSED') },
  warehouse: { url: env('WAREHOUSE_URL') },
})
`,
    [`models/${fact}.sql`]: `-- kind: fact\n-- key: ${table.key}\n-- record id: record_id\n-- nullable: all\nselect * from shop.${table.name}\n`,
  })
  const { folder: cwd, env, warehouseUrl } = installation
  return {
    name: 'Tote',
    settings: 'its defaults: every row compared, lake and history kept',
    warehouseUrl,
    table: fact,
    current: 'valid_to is null and not is_deleted',
    carry: async () => timeProcess(process.execPath, [CLI, 'run'], { cwd, env }),
    close: async () => rm(cwd, { recursive: true }),
  }
}

export async function openRival(
  place: Place,
  source: BenchDatabase,
  table: Table,
  { rival, folder }: Installed,
): Promise<Carrier> {
  const state = await mkdtemp(join(place.folder, 'rival-'))
  const warehouseUrl = (await place.createDatabase()).ownerUrl
  return {
    name: rival.name,
    settings: rival.settings,
    warehouseUrl,
    table: table.name,
    current: 'true',
    carry: async (mode) => {
      const { file, args, env } = rival.command(folder, {
        source: source.readerUrl,
        warehouse: warehouseUrl,
        table: table.name,
        key: table.key,
        cursor: table.cursor,
        mode,
        state,
      })
      return timeProcess(file, args, { cwd: state, env: { ...process.env, ...env } })
    },
    close: async () => rm(state, { recursive: true }),
  }
}
