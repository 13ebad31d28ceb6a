/**
 * What the commands ask of the pipeline, each loaded when it is first called: `tote --help` must not
 * pay for a database driver.
 */
import type { check } from '../inspect/check.ts'
import type { init } from '../init/init.ts'
import type { openProject } from '../project/project.ts'
import type { query } from '../inspect/query.ts'
import type { roles } from '../inspect/roles.ts'
import type { run } from '../pipeline/run.ts'
import type { status } from '../inspect/status.ts'

export interface Pipeline {
  readonly openProject: typeof openProject
  readonly run: typeof run
  readonly status: typeof status
  readonly query: typeof query
  readonly check: typeof check
  readonly init: typeof init
  readonly roles: typeof roles
}

export const pipeline: Pipeline = {
  openProject: async (...given) => (await import('../project/project.ts')).openProject(...given),
  run: async (...given) => (await import('../pipeline/run.ts')).run(...given),
  status: async (...given) => (await import('../inspect/status.ts')).status(...given),
  query: async (...given) => (await import('../inspect/query.ts')).query(...given),
  check: async (...given) => (await import('../inspect/check.ts')).check(...given),
  init: async (...given) => (await import('../init/init.ts')).init(...given),
  roles: async (...given) => (await import('../inspect/roles.ts')).roles(...given),
}
