#!/usr/bin/env node
// Starts the command line, dist/cli.js, which runs when it is imported. In a checkout of the
// repository, dist/ is built first when it is missing or older than src/, so that `npx tote` works
// after `npm ci --ignore-scripts` too. Compiled code is cached where Node can do so (22.8 and later).
import { existsSync } from 'node:fs'
import module from 'node:module'

module.enableCompileCache?.()

if (existsSync(new URL('../src/cli.ts', import.meta.url))) {
  const { buildWhenStale } = await import('../scripts/build.js')
  if (!buildWhenStale()) process.exit(2)
}
await import('../dist/cli.js')
