// The tests of one module, in one process: TOTE_MUTATION_TESTS names them.
import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

const here = (file: string): string => fileURLToPath(new URL(file, import.meta.url))

export default defineConfig({
  resolve: { alias: { totedata: here('../../src/index.ts') } },
  test: {
    include: (process.env['TOTE_MUTATION_TESTS'] ?? '').split(','),
    setupFiles: [here('setup.ts')],
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
})
