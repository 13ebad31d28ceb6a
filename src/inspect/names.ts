/** The names that a person may type after `show`, `runs` and flags that take models; quick, for completion. */
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Project } from '../project/project.ts'

/** Models by their files, tables of the newest manifests, and the ids of the last runs. */
export async function names(project: Project): Promise<{
  readonly models: readonly string[]
  readonly shown: readonly string[]
  readonly runs: readonly string[]
}> {
  const files = await readdir(project.settings.models).catch(() => [])
  const models = files.filter((file) => file.endsWith('.sql')).map((file) => file.slice(0, -4))
  const tables: string[] = []
  for (const { source } of project.sources) {
    const manifest = await project.ingestion.chain(source.name).newest()
    tables.push(...Object.keys(manifest?.tables ?? {}).map((table) => `${source.name}.${table}`))
  }
  const runs = await readdir(join(project.stateFolder, 'runs')).catch(() => [])
  return {
    models,
    shown: [...models, ...tables],
    runs: runs
      .filter((file) => file.endsWith('.jsonl'))
      .map((file) => file.slice(0, -6))
      .toSorted()
      .toReversed()
      .slice(0, 20),
  }
}
