/** The project as a dry run has it: everything is read, and the lake that is written to is a folder that goes away. */
import { randomUUID } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { dirname } from 'node:path/posix'
import { formatManifestKey } from '../lake/keys.ts'
import { openZone, type Zone } from '../lake/zone.ts'
import { openFolderStore } from '../storage/store-folder.ts'
import { openOverlayStore } from '../storage/store-overlay.ts'
import type { Project } from './project.ts'

export interface Rehearsal {
  readonly project: Project
  /** Removes all that was written. */
  remove(): Promise<void>
}

/**
 * Lake and ledger are as they stand now, whatever other runs do meanwhile: their manifests would not go on
 * from those of the rehearsal. The warehouse is the project's own: a rehearsal must not load.
 */
export async function openRehearsal(project: Project): Promise<Rehearsal> {
  const folder = join(project.tempFolder, `rehearsal-${randomUUID()}`)
  const above = async (name: 'ingestion' | 'processed', chains: string[]): Promise<Zone> => {
    const zone = project[name]
    const ends = new Map<string, string>()
    for (const chain of chains) {
      const next = formatManifestKey(chain, ((await zone.chain(chain).newest())?.number ?? 0) + 1)
      ends.set(dirname(next), next)
    }
    const isLater = (key: string): boolean => key >= (ends.get(dirname(key)) ?? '\u{10FFFF}')
    const store = openFolderStore(join(folder, name))
    return openZone(openOverlayStore(zone.store, store, isLater), zone.format)
  }
  // The last stage first: what a later one stands for is then there. Who asks for the ledger hears what went wrong.
  const last = project.warehouse.last(project.name)
  await Promise.allSettled([last])
  const processed = await above('processed', [project.name])
  const sources = project.sources.map(({ source }) => source.name)
  const ingestion = await above('ingestion', sources)
  return {
    project: {
      ...project,
      ingestion,
      processed,
      warehouse: { ...project.warehouse, last: async () => last },
    },
    remove: async () => rm(folder, { recursive: true, force: true }),
  }
}
