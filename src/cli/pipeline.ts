/**
 * What the commands ask of the pipeline, each loaded when it is first called: `tote --help` must not
 * pay for a database driver.
 */
import type { check } from '../pipeline/check.ts'
import type { openProject } from '../pipeline/project.ts'
import type { query } from '../pipeline/query.ts'
import type { run } from '../pipeline/run.ts'
import type { status } from '../pipeline/status.ts'

export interface Pipeline {
  readonly openProject: typeof openProject
  readonly run: typeof run
  readonly status: typeof status
  readonly query: typeof query
  readonly check: typeof check
}

export const pipeline: Pipeline = {
  openProject: async (...given) => (await import('../pipeline/project.ts')).openProject(...given),
  run: async (...given) => (await import('../pipeline/run.ts')).run(...given),
  status: async (...given) => (await import('../pipeline/status.ts')).status(...given),
  query: async (...given) => (await import('../pipeline/query.ts')).query(...given),
  check: async (...given) => (await import('../pipeline/check.ts')).check(...given),
}
