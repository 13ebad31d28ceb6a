/**
 * What a processed chain was made of: the manifests of the ingestion zone that its newest batch stands
 * for, by number and sha256, as the ledger names those of the processed zone.
 */
import { ToteError } from '../errors.ts'
import type { CommittedManifest, InputMark } from '../lake/manifest.ts'
import type { Project } from './project.ts'

/** The newest manifest of every source, or null while some source has none. */
export async function newestInputs(
  project: Project,
): Promise<ReadonlyMap<string, CommittedManifest> | null> {
  const found = new Map<string, CommittedManifest>()
  for (const { source } of project.sources) {
    const manifest = await project.ingestion.chain(source.name).newest()
    if (manifest === null) return null
    found.set(source.name, manifest)
  }
  return found
}

/**
 * Throws LakeCorrupt when the ingestion zone does not hold the very manifests that the processed zone
 * was made of: its batches would be taken for others of the same number, and their rows be lost.
 */
export async function refuseForeignInputs(project: Project): Promise<void> {
  const processed = await project.processed.chain(project.name).newest()
  for (const [source, recorded] of Object.entries(processed?.inputs ?? {})) {
    const known = project.sources.some((candidate) => candidate.source.name === source)
    if (known && (await holds(project, source, recorded))) continue
    throw new ToteError(
      'LakeCorrupt',
      `The processed zone stands for batch ${recorded.batch} of source "${source}", which the ingestion zone does not hold.`,
      {
        where: project.ingestion.store.url,
        why: known
          ? 'the ingestion zone is another one, or was put back to an earlier state'
          : 'the source is no longer in the config',
        fix: 'restore the ingestion zone, or begin a new processed zone and a new warehouse schema',
      },
    )
  }
}

async function holds(project: Project, source: string, recorded: InputMark): Promise<boolean> {
  const chain = project.ingestion.chain(source)
  const newest = await chain.newest()
  if (newest === null || newest.chain !== recorded.chain || newest.number < recorded.manifest)
    return false
  return (await chain.read(recorded.manifest)).sha256 === recorded.sha256
}
