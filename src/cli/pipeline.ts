/**
 * What the commands ask of the pipeline, each loaded when it is first called: `tote --help` must not
 * pay for a database driver.
 */
import type { check } from '../inspect/check.ts'
import type { init } from '../init/init.ts'
import type { list } from '../inspect/list.ts'
import type { names } from '../inspect/names.ts'
import type { show } from '../inspect/show.ts'
import type { openProject } from '../project/project.ts'
import type { query } from '../inspect/query.ts'
import type { roles } from '../inspect/roles.ts'
import type { rebuild } from '../pipeline/rebuild.ts'
import type { run } from '../pipeline/run.ts'
import type { status } from '../inspect/status.ts'
import type { test } from '../inspect/test.ts'
import type { verify } from '../verification/verify.ts'

export interface Pipeline {
  readonly openProject: typeof openProject
  readonly run: typeof run
  readonly verify: typeof verify
  readonly rebuild: typeof rebuild
  readonly status: typeof status
  readonly query: typeof query
  readonly check: typeof check
  readonly test: typeof test
  readonly init: typeof init
  readonly roles: typeof roles
  readonly list: typeof list
  readonly names: typeof names
  readonly show: typeof show
}

export const pipeline: Pipeline = {
  openProject: async (...given) => (await import('../project/project.ts')).openProject(...given),
  run: async (...given) => (await import('../pipeline/run.ts')).run(...given),
  verify: async (...given) => (await import('../verification/verify.ts')).verify(...given),
  rebuild: async (...given) => (await import('../pipeline/rebuild.ts')).rebuild(...given),
  status: async (...given) => (await import('../inspect/status.ts')).status(...given),
  query: async (...given) => (await import('../inspect/query.ts')).query(...given),
  check: async (...given) => (await import('../inspect/check.ts')).check(...given),
  test: async (...given) => (await import('../inspect/test.ts')).test(...given),
  init: async (...given) => (await import('../init/init.ts')).init(...given),
  roles: async (...given) => (await import('../inspect/roles.ts')).roles(...given),
  names: async (...given) => (await import('../inspect/names.ts')).names(...given),
  list: async (...given) => (await import('../inspect/list.ts')).list(...given),
  show: async (...given) => (await import('../inspect/show.ts')).show(...given),
}
