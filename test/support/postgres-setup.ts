/**
 * Once per vitest run, for the project of `.pg.test.ts` files: the PostgreSQL that TEST_PG names
 * (a superuser's URL), else the embedded one, in a folder that is deleted afterwards.
 */
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestProject } from 'vitest/node'
import { startEmbedded } from '../../src/embedded/server.ts'

declare module 'vitest' {
  interface ProvidedContext {
    postgresUrl: string
  }
}

export async function setup(project: TestProject): Promise<(() => Promise<void>) | undefined> {
  const given = process.env['TEST_PG']
  if (given !== undefined && given !== '') {
    project.provide('postgresUrl', given)
    return undefined
  }
  const folder = await mkdtemp(join(tmpdir(), 'tote-test-'))
  // As root, the server's user must pass through it; else the files would lie outside, and stay.
  await chmod(folder, 0o755)
  const settings = {
    fsync: 'off',
    synchronous_commit: 'off',
    full_page_writes: 'off',
    max_connections: '150',
  }
  const server = await startEmbedded({ folder, settings })
  project.provide('postgresUrl', server.url('postgres'))
  return async () => {
    await server.release()
    await rm(folder, { recursive: true, force: true })
  }
}
