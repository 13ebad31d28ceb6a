/**
 * The public API: a list of names. What a tote.config.ts needs is here at once; all else is loaded
 * when it is called, because every config imports this file.
 */
import type { Context } from './events.ts'
import type { OpenOptions, Project } from './pipeline/project.ts'
import type { QueryOptions, QueryResult } from './inspect/query.ts'
import type { RunOptions, RunResult } from './pipeline/run.ts'

export { defineProject } from './config/project.ts'
export { embedded, env } from './secrets/reference.ts'
export { ERRORS, ToteError, type ErrorName } from './errors.ts'
export type { ProjectConfig } from './config/schema.ts'
export type { Context, NewEvent, RunEvent, RunSummary } from './events.ts'
export type { OpenOptions, Project } from './pipeline/project.ts'
export type { QueryOptions, QueryResult } from './inspect/query.ts'
export type { RunOptions, RunResult } from './pipeline/run.ts'

/** Loads tote.config.ts in `cwd` and opens the project; `close` it when done. */
export async function openProject(options: OpenOptions): Promise<Project> {
  return (await import('./pipeline/project.ts')).openProject(options)
}

/** One run: extract, transform, load. Throws nothing: the result says how it went. */
export async function run(
  project: Project,
  options: RunOptions,
  context: Context,
): Promise<RunResult> {
  return (await import('./pipeline/run.ts')).run(project, options, context)
}

/** Answers one `select` on the lake or the warehouse. Throws QueryInvalid. */
export async function query(
  project: Project,
  sql: string,
  options: QueryOptions,
  context: Context,
): Promise<QueryResult> {
  return (await import('./inspect/query.ts')).query(project, sql, options, context)
}
