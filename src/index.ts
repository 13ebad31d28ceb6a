/**
 * The public API: a list of names. What a tote.config.ts needs is here at once; all else is loaded
 * when it is called, because every config imports this file.
 */
import type { Project } from './api/open-project.ts'
import type { OpenOptions } from './project/project.ts'

export { defineProject } from './config/project.ts'
export { embedded, env } from './secrets/reference.ts'
export { ERRORS, ToteError, type ErrorName } from './errors.ts'
export type {
  Abortable,
  Project,
  QuerySettings,
  RunSettings,
  VerifySettings,
} from './api/open-project.ts'
export type { Run } from './api/run.ts'
export type { ProjectConfig } from './config/schema.ts'
export type { RunEvent, RunSummary, VerifiedTable } from './events.ts'
export type { CheckReport } from './inspect/check.ts'
export type { QueryResult } from './inspect/query.ts'
export type { Status } from './inspect/status.ts'
export type { OpenOptions } from './project/project.ts'

/** Loads tote.config.ts in `cwd` and opens the project; `close` it when done. Throws ConfigNotFound, ConfigInvalid. */
export async function openProject(options: OpenOptions): Promise<Project> {
  return (await import('./api/open-project.ts')).openProject(options)
}
