/** Packages from npm that only some scripts need: installed once, beside no lockfile, where the product never looks. */
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs'
import path from 'node:path'

/**
 * Installs into a folder of its own first, so that a broken download never looks like a whole one. Returns what
 * went wrong, or undefined. Packages that they expect beside them are the caller's.
 */
export function install(specs: readonly string[], folder: string): string | undefined {
  let scratch: string | undefined
  try {
    mkdirSync(path.dirname(folder), { recursive: true })
    scratch = mkdtempSync(`${folder}-`)
    const npm = spawnSync(
      'npm',
      [
        'install',
        '--prefix',
        scratch,
        '--no-save',
        '--no-audit',
        '--no-fund',
        '--ignore-scripts',
        '--omit=peer',
        ...specs,
      ],
      { cwd: scratch, stdio: 'ignore', timeout: 180_000 },
    )
    if (npm.status !== 0) return `${specs.join(' and ')} could not be installed from npm`
    rmSync(folder, { recursive: true, force: true })
    renameSync(scratch, folder)
    return undefined
  } catch (error) {
    return `${specs.join(' and ')} could not be installed: ${error instanceof Error ? error.message : String(error)}`
  } finally {
    if (scratch !== undefined) rmSync(scratch, { recursive: true, force: true })
  }
}
