/**
 * `npm run mutate`: changes the modules of scripts/mutation/modules.ts in every small way that StrykerJS knows, and
 * says which changes no test notices. `-- lake/keys star/merge` names some. Results go into docs/mutation.md; without
 * `--write` they are only printed. One process, at a low priority.
 */
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { setPriority } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { MODULES } from './mutation/modules.ts'
import { isKilled, withResults } from './mutation/page.ts'
import { installStryker, mutate, type Mutant } from './mutation/stryker.ts'

const PAGE = fileURLToPath(new URL('../docs/mutation.md', import.meta.url))

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { write: { type: 'boolean', default: false } },
})
setPriority(10)
installStryker()

let failed = 0
for (const module of positionals.length > 0 ? positionals : Object.keys(MODULES)) {
  const guarded = MODULES[module]
  if (guarded === undefined)
    throw new Error(`no module ${module}; there are ${Object.keys(MODULES).join(', ')}`)
  const began = performance.now()
  try {
    const mutants = mutate(module, guarded)
    const alive = mutants.filter((mutant) => !isKilled(mutant))
    const seconds = ((performance.now() - began) / 1000).toFixed(0)
    console.log(`${module}: ${mutants.length - alive.length} of ${mutants.length}, ${seconds} s`)
    for (const mutant of alive) console.log(`  ${sayMutant(module, mutant)}`)
    if (values.write) writePage(new Map([[module, mutants]]))
  } catch (error) {
    failed += 1
    console.error(error instanceof Error ? error.message : error)
  }
}
process.exitCode = failed === 0 ? 0 : 1

function sayMutant(module: string, { line, kind, was, is, status }: Mutant): string {
  const untested = status === 'NoCoverage' ? ', no test comes by' : ''
  return `src/${module}.ts:${line} ${kind}${untested}: ${was} → ${is.replaceAll(/\s+/g, ' ')}`
}

/** After each module: what was found is not lost when a later one is stopped. */
function writePage(results: ReadonlyMap<string, readonly Mutant[]>): void {
  writeFileSync(PAGE, withResults(readFileSync(PAGE, 'utf8'), results))
  execFileSync(path.join('node_modules', '.bin', 'oxfmt'), [PAGE])
}
