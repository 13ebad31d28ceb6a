/** The lake against its own manifests: every file that the newest of them reach, by size and sha256. */
import { ToteError, type Problem } from '../errors.ts'
import type { Context } from '../events.ts'
import type { CommittedManifest, DataFile } from '../lake/manifest.ts'
import { filesBetween } from '../lake/read.ts'
import type { Zone } from '../lake/zone.ts'
import type { Project } from '../project/project.ts'

/** Throws LakeCorrupt with every file that is not what its manifest says. */
export async function verifyLakeFiles(project: Project, context: Context): Promise<void> {
  const problems: Problem[] = []
  for (const { source } of project.sources)
    problems.push(...(await fileProblems(project.ingestion, source.name, context)))
  problems.push(...(await fileProblems(project.processed, project.name, context)))
  const [first] = problems
  if (first === undefined) return
  throw new ToteError(
    'LakeCorrupt',
    problems.length === 1
      ? 'A file of the lake is not what its manifest says.'
      : `${problems.length} files of the lake are not what their manifests say.`,
    {
      where: first.where,
      problems,
      why: 'files of the lake are never changed once written, so something else touched them',
      fix: 'restore them from a backup of the lake, then run again',
    },
  )
}

async function fileProblems(zone: Zone, name: string, context: Context): Promise<Problem[]> {
  const manifest = await zone.chain(name).newest()
  if (manifest === null) return []
  const problems: Problem[] = []
  for (const file of await filesOf(zone, manifest)) {
    context.signal.throwIfAborted()
    try {
      await zone.store.verify(file.key, file)
    } catch (error) {
      if (!(error instanceof ToteError) || error.name !== 'LakeCorrupt') throw error
      problems.push({ where: file.key, message: error.message })
    }
  }
  return problems
}

/** What current rows and the changes of every batch are read from. */
async function filesOf(zone: Zone, manifest: CommittedManifest): Promise<readonly DataFile[]> {
  const files = new Map<string, DataFile>()
  for (const [table, { base, files: since }] of Object.entries(manifest.tables)) {
    const history = await filesBetween(zone, manifest, table, 0, manifest.batch)
    for (const file of [...base, ...since, ...history]) files.set(file.key, file)
  }
  return [...files.values()]
}
