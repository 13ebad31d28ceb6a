/** Python environments with the rivals in them, made once, beside the checkout's other dependencies. */
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, readdir, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { REQUIREMENTS, RIVALS, type Package, type Rival } from './rival.ts'

export interface Installed {
  readonly rival: Rival
  /** The Python environment that it is in. */
  readonly folder: string
}

export interface Found {
  readonly installed: readonly Installed[]
  /** Why the others are not there, a sentence each. */
  readonly missing: readonly string[]
}

const ROOT = fileURLToPath(new URL('../../node_modules/.cache/tote-rivals', import.meta.url))

/** The rivals that are there; with `install`, the others too where Python and its registry can be had. */
export async function findRivals(install: boolean): Promise<Found> {
  const folders = new Map<Package, string>()
  const missing: string[] = []
  for (const name of Object.keys(REQUIREMENTS) as Package[]) {
    const folder = join(ROOT, name)
    try {
      if (!existsSync(join(folder, 'ready'))) {
        if (!install) throw new Error('not installed: npm run bench -- --only rivals installs it')
        await makeEnvironment(name, folder)
      }
      folders.set(name, folder)
    } catch (error) {
      missing.push(`${name}: ${error instanceof Error ? error.message.split('\n')[0] : 'unknown'}`)
    }
  }
  const installed = RIVALS.flatMap((rival) => {
    const folder = folders.get(rival.package)
    return folder === undefined ? [] : [{ rival, folder }]
  })
  return { installed, missing }
}

async function makeEnvironment(name: Package, folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true })
  await mkdir(ROOT, { recursive: true })
  const run = (file: string, ...args: string[]): void =>
    void execFileSync(file, args, { stdio: 'pipe', timeout: 600_000 })
  run('python3', '-m', 'venv', folder)
  run(join(folder, 'bin', 'pip'), 'install', '-q', ...REQUIREMENTS[name])
  if (name === 'sling') await linkSling(folder)
  await writeFile(join(folder, 'ready'), `${REQUIREMENTS[name].join('\n')}\n`)
}

/** The program itself, without the Python that would start it. */
async function linkSling(folder: string): Promise<void> {
  const python = (await readdir(join(folder, 'lib')))[0] ?? ''
  const program = join(folder, 'lib', python, 'site-packages', 'sling_linux_amd64', 'bin')
  await symlink(join(program, 'sling-linux-amd64'), join(folder, 'bin', 'sling'))
}
