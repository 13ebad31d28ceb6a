// Builds src/ into dist/ with the local TypeScript. Plain JavaScript, because bin/tote.js calls it
// when nothing is built yet.
//
// Safe when several start at once and while others run from dist/: the compiler writes into a folder
// of its own, whose files then replace the old ones by rename, one by one. dist/cli.js comes last and
// carries the time at which the build began: it is the mark of a whole build. A build that fails
// leaves dist/ as it was.
//
//   node scripts/build.js [--when-stale]
import { spawnSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)))
const src = path.join(root, 'src')
const dist = path.join(root, 'dist')
const mark = path.join(dist, 'cli.js')
const scratchPrefix = '.build-'
const abandonedAfterMs = 10 * 60_000

/** Builds when dist/ is missing or older than src/; false, with the reason on stderr, when dist/ cannot be used. */
export function buildWhenStale() {
  if (!isStale()) return true
  const compiler = findCompiler()
  if (compiler !== undefined) return build(compiler)
  if (!existsSync(mark)) return complain('dist/ is not built, and TypeScript is not installed.')
  return true
}

function isStale() {
  const built = modifiedMs(mark)
  if (built === undefined) return true
  const inputs = [path.join(root, 'tsconfig.json'), path.join(root, 'tsconfig.build.json'), src]
  for (const name of readdirSync(src, { recursive: true })) inputs.push(path.join(src, name))
  // Folders count as well: their time changes when a file is removed.
  return inputs.some((input) => (modifiedMs(input) ?? Infinity) > built)
}

function build(compiler) {
  const began = new Date()
  let scratch
  try {
    mkdirSync(dist, { recursive: true })
    removeAbandoned()
    scratch = mkdtempSync(path.join(dist, scratchPrefix))
    const project = path.join(root, 'tsconfig.build.json')
    const compile = spawnSync(process.execPath, [compiler, '-p', project, '--outDir', scratch], {
      cwd: root,
      // Standard output belongs to the command that called for the build.
      stdio: ['ignore', 2, 2],
    })
    if (compile.status !== 0) return complain('src/ does not compile; dist/ is left as it was.')
    publish(scratch, began)
    return true
  } catch (error) {
    return complain(
      `dist/ cannot be written: ${error instanceof Error ? error.message : String(error)}`,
    )
  } finally {
    if (scratch !== undefined) rmSync(scratch, { recursive: true, force: true })
  }
}

function publish(scratch, began) {
  utimesSync(path.join(scratch, 'cli.js'), began, began)
  const built = filesUnder(scratch).sort((a, b) => Number(a === 'cli.js') - Number(b === 'cli.js'))
  for (const name of built) {
    mkdirSync(path.dirname(path.join(dist, name)), { recursive: true })
    renameSync(path.join(scratch, name), path.join(dist, name))
  }
  const kept = new Set(built)
  for (const name of filesUnder(dist)) {
    if (!kept.has(name)) rmSync(path.join(dist, name), { force: true })
  }
}

function removeAbandoned() {
  for (const name of readdirSync(dist)) {
    if (!name.startsWith(scratchPrefix)) continue
    const folder = path.join(dist, name)
    if (Date.now() - (modifiedMs(folder) ?? 0) > abandonedAfterMs) {
      rmSync(folder, { recursive: true, force: true })
    }
  }
}

/** Every file below the folder, but not in a scratch folder: that one may be another build's. */
function filesUnder(folder, below = '') {
  return readdirSync(path.join(folder, below), { withFileTypes: true }).flatMap((entry) => {
    const name = path.join(below, entry.name)
    if (!entry.isDirectory()) return [name]
    return entry.name.startsWith(scratchPrefix) ? [] : filesUnder(folder, name)
  })
}

function modifiedMs(file) {
  return statSync(file, { throwIfNoEntry: false })?.mtimeMs
}

function findCompiler() {
  try {
    const manifest = createRequire(import.meta.url).resolve('typescript/package.json')
    return path.join(path.dirname(manifest), 'bin', 'tsc')
  } catch {
    return undefined
  }
}

function complain(message) {
  process.stderr.write(`${message}\nTo build it, run in ${root}: npm ci && npm run build\n`)
  return false
}

if (
  process.argv[1] !== undefined &&
  path.resolve(process.argv[1]) === fileURLToPath(import.meta.url)
) {
  const compiler = findCompiler()
  const done = process.argv.includes('--when-stale')
    ? buildWhenStale()
    : compiler === undefined
      ? complain('TypeScript is not installed.')
      : build(compiler)
  if (!done) process.exitCode = 1
}
