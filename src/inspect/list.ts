/** What a project has: source tables as the lake knows them, and models as their files say. */
import type { Instant, ModelKind } from '../types.ts'
import type { Context } from '../events.ts'
import type { CommittedManifest } from '../lake/manifest.ts'
import { modelTexts } from '../project/bound-models.ts'
import type { Project } from '../project/project.ts'

/** How far a table of the lake is; null before its first batch. */
export interface Standing {
  readonly rows: number
  readonly batch: number
  readonly instant: Instant
}

export interface ListedTable {
  readonly source: string
  /** As models name it, after the source. */
  readonly table: string
  readonly key: readonly string[]
  readonly columns: number
  readonly lake: Standing
}

export interface ListedModel {
  readonly model: string
  readonly kind: ModelKind
  readonly key: readonly string[]
  /** Relative to the project's folder. */
  readonly path: string
  readonly checks: number
  readonly references: readonly string[]
  readonly lake: Standing | null
}

export interface Listed {
  readonly project: string
  readonly sources: readonly { readonly source: string; readonly tables: number | null }[]
  readonly tables: readonly ListedTable[]
  readonly models: readonly ListedModel[]
}

/** Reads manifests and headers of models; connects to nothing. Throws ModelInvalid. */
export async function list(project: Project, _context: Context): Promise<Listed> {
  const texts = await modelTexts(project)
  const processed = await project.processed.chain(project.name).newest()
  const tables: ListedTable[] = []
  const sources: { source: string; tables: number | null }[] = []
  for (const { source } of project.sources) {
    const manifest = await project.ingestion.chain(source.name).newest()
    const found = Object.entries(manifest?.tables ?? {}).map(([table, { key, columns }]) => ({
      source: source.name,
      table,
      key,
      columns: columns.length,
      lake: standingOf(manifest, table) ?? { rows: 0, batch: 0, instant: '' },
    }))
    sources.push({ source: source.name, tables: manifest === null ? null : found.length })
    tables.push(...found)
  }
  return {
    project: project.name,
    sources,
    tables,
    models: texts.map(({ name, kind, key, path, checks, references }) => ({
      model: name,
      kind,
      key,
      path,
      checks: checks.length,
      references: [...new Set(references.map(({ model }) => model))],
      lake: standingOf(processed, name),
    })),
  }
}

export function standingOf(manifest: CommittedManifest | null, table: string): Standing | null {
  const entry =
    manifest === null || !Object.hasOwn(manifest.tables, table) ? undefined : manifest.tables[table]
  if (manifest === null || entry === undefined) return null
  return { rows: entry.rows, batch: manifest.batch, instant: manifest.instant }
}
