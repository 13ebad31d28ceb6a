// Two lanes, told by the file's suffix: `.test.ts` needs no service, `.pg.test.ts` needs PostgreSQL.
import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'
import { LongFirst } from './test/support/sequencer.ts'

const here = (file: string): string => fileURLToPath(new URL(file, import.meta.url))

export default defineConfig({
  resolve: { alias: { totedata: here('src/index.ts') } },
  test: {
    allowOnly: false,
    pool: 'forks',
    // Nothing of ours keeps state between files; loading all of it for each would take a fifth of the time.
    isolate: false,
    // Two cores, and one more for those that wait: for servers, locks, and time to pass.
    maxWorkers: 3,
    testTimeout: 30_000,
    hookTimeout: 60_000,
    sequence: { sequencer: LongFirst },
    reporters: ['default', './test/support/reporter.ts'],
    coverage: {
      provider: 'v8',
      include: ['src/**/*.ts'],
      reporter: ['text-summary', ['text', { file: 'files.txt' }]],
      reportOnFailure: true,
      thresholds: { lines: 90 },
    },
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: [
            'test/**/*.pg.test.ts',
            ...(process.env['TOTE_TEST_EXCLUDE']?.split(',') ?? []),
          ],
        },
      },
      {
        extends: true,
        test: {
          name: 'pg',
          include: ['test/**/*.pg.test.ts'],
          globalSetup: ['./test/support/postgres-setup.ts'],
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
})
