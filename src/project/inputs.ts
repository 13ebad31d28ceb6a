/**
 * What a processed chain was made of: the manifests of the ingestion zone that its newest batch stands
 * for, by number and sha256, as the ledger names those of the processed zone.
 */
import { ToteError } from '../errors.ts'
import type { CommittedManifest, InputMark } from '../lake/manifest.ts'
import { SEEDS, type Project } from './project.ts'

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
 * Throws LakeMismatch when the processed zone was made by a project of another name, or of sources that the
 * config does not have: their names are who they are, in the lake and in the ledger.
 */
export async function refuseForeignLake(project: Project): Promise<void> {
  const { store } = project.processed
  const mismatch = (message: string, back: string): ToteError =>
    new ToteError('LakeMismatch', message, {
      where: store.url,
      why: 'projects and sources are known by their names, in the lake and in the ledger',
      fix: `${back}: folders of its own for lake.processed and lake.ingestion, and a warehouse.schema of its own`,
    })
  const processed = await project.processed.chain(project.name).newest()
  if (processed === null) {
    const others = await project.processed.chains()
    if (others.length === 0) return
    const names = others.map((name) => `"${name}"`).join(', ')
    throw mismatch(
      `The lake belongs to project ${names}, and the config says name: "${project.name}".`,
      `if the project was renamed, set name back to ${others.length === 1 ? names : 'what it was'}; a project that begins has a lake to itself`,
    )
  }
  const known = new Set(project.sources.map(({ source }) => source.name))
  const gone = Object.keys(processed.inputs ?? {}).filter((name) => !known.has(name))
  if (gone.length === 0) return
  const names = gone.map((name) => `"${name}"`).join(', ')
  const has = [...known].map((name) => `"${name}"`).join(', ')
  throw mismatch(
    `The lake was made of ${gone.length === 1 ? 'source' : 'sources'} ${names}, and the config has ${has === '' ? 'none' : has}.`,
    `${
      gone.includes(SEEDS)
        ? 'put the folder of the seeds back, and the names of sources'
        : `set the ${gone.length === 1 ? 'name of the source' : 'names of the sources'} back, in models, too`
    }; or begin anew`,
  )
}

/**
 * Throws LakeCorrupt when the ingestion zone does not hold the very manifests that the processed zone
 * was made of: its batches would be taken for others of the same number, and their rows be lost.
 */
export async function refuseForeignInputs(project: Project): Promise<void> {
  const processed = await project.processed.chain(project.name).newest()
  for (const [source, recorded] of Object.entries(processed?.inputs ?? {})) {
    if (await holds(project, source, recorded)) continue
    throw new ToteError(
      'LakeCorrupt',
      `The processed zone stands for batch ${recorded.batch} of source "${source}", which the ingestion zone does not hold.`,
      {
        where: project.ingestion.store.url,
        why: 'the ingestion zone is another one, or was put back to an earlier state',
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
