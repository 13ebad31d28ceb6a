#!/usr/bin/env node
/** The process: one command line in, one exit code out. What it does is in `program/program.ts`. */
import { pipeline } from './cli/pipeline.ts'
import { main, report } from './program/program.ts'
import { openSurface } from './cli/surface.ts'

const argv = process.argv.slice(2)
const surface = openSurface()
process.on('uncaughtException', (thrown) => void report(thrown, argv, surface).then(exit))
await exit(await main(argv, surface, pipeline))

/** Ends the process: a handle that a driver forgot must not hold it, a pipe must get all its text. */
async function exit(code: number): Promise<void> {
  await Promise.all([process.stdout, process.stderr].map(flushed))
  process.exit(code)
}

function flushed(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => {
    if (stream.destroyed || !stream.writable) return resolve()
    stream.write('', () => resolve())
  })
}
