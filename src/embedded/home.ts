/**
 * Where an embedded server lives and as whom it runs. A normal user's lies in the project's `.tote`.
 * PostgreSQL refuses to run as root, so root's runs as `postgres` or `nobody`; where that user cannot
 * enter the project, the server lives in a named folder outside, written down in `.tote`.
 */
import { createHash, randomBytes } from 'node:crypto'
import {
  chmod,
  chown,
  lstat,
  mkdir,
  mkdtemp,
  readFile,
  realpath,
  rename,
  rmdir,
  stat,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, dirname, join, parse } from 'node:path'
import { ToteError } from '../errors.ts'

export interface ServerUser {
  readonly uid: number
  readonly gid: number
}

export interface Home {
  /** Holds the cluster, its secret, the server's log and, where needed, a copy of the binaries. */
  readonly folder: string
  /** Whom the server runs as; undefined: as ourselves. */
  readonly user: ServerUser | undefined
  /** Said once, when a folder outside the project was chosen. */
  readonly note: string | undefined
}

interface Outside {
  readonly folder: string
  /** The `.tote` that wrote this: a copied project must not share the server of the original. */
  readonly tote: string
}

const RECORD = 'postgres-outside.json'

/** The server's home for a project's `.tote` folder, created if missing. Throws EmbeddedFailed. */
export async function findHome(toteFolder: string): Promise<Home> {
  await mkdir(toteFolder, { recursive: true })
  const tote = await realpath(toteFolder)
  const inside = join(tote, 'postgres')
  const recorded = await readRecord(tote)
  if (recorded !== undefined && (await isOwnFolder(recorded.folder))) {
    const user = isRoot()
      ? ((await ownerOfCluster(recorded.folder)) ?? (await findServerUser()))
      : undefined
    return { folder: recorded.folder, user, note: undefined }
  }
  if (!isRoot()) {
    await mkdir(inside, { recursive: true, mode: 0o700 })
    await refuseForeign(inside)
    return { folder: inside, user: undefined, note: undefined }
  }
  const owner = await ownerOfCluster(inside)
  const user = owner ?? (await findServerUser())
  // The server needs only to pass through this folder; what root writes here, it must not change.
  if ((await canEnter(tote, user)) && (owner !== undefined || (await claim(inside, user)))) {
    return { folder: inside, user, note: undefined }
  }
  if (owner !== undefined) {
    throw new ToteError(
      'EmbeddedFailed',
      `The server's user (uid ${owner.uid}) can no longer enter "${tote}".`,
      {
        where: inside,
        fix: `let it pass (chmod o+x on each folder above), or delete ${inside} to begin with an empty server`,
      },
    )
  }
  const folder = await claimOutside(tote, user)
  await writeRecord(tote, { folder, tote })
  const note = `user ${user.uid} cannot enter ${tote}: the embedded PostgreSQL lives in ${folder}`
  return { folder, user, note }
}

function isRoot(): boolean {
  return process.getuid?.() === 0
}

async function readRecord(tote: string): Promise<Outside | undefined> {
  const text = await readFile(join(tote, RECORD), 'utf8').catch(() => undefined)
  if (text === undefined) return undefined
  let record: Outside
  try {
    record = JSON.parse(text) as Outside
  } catch {
    return undefined
  }
  if (record.tote === tote) return record
  const original = await readFile(join(record.tote, RECORD), 'utf8').catch(() => undefined)
  if (original === text) return undefined
  // The original is gone: the project was moved, and its server moves with it.
  await writeRecord(tote, { folder: record.folder, tote })
  return record
}

async function writeRecord(tote: string, record: Outside): Promise<void> {
  const temporary = join(tote, `${RECORD}.${randomBytes(6).toString('hex')}.tmp`)
  await writeFile(temporary, `${JSON.stringify(record, null, 2)}\n`)
  await rename(temporary, join(tote, RECORD))
}

async function refuseForeign(folder: string): Promise<void> {
  const places = [folder, join(folder, 'cluster', 'data')]
  for (const place of places) {
    const found = await stat(place).catch(() => undefined)
    if (found === undefined || process.getuid === undefined || found.uid === process.getuid())
      continue
    throw new ToteError(
      'EmbeddedFailed',
      `The embedded PostgreSQL in "${folder}" belongs to another user (uid ${found.uid}).`,
      {
        where: folder,
        fix: `run as the user who created it, or let them delete ${folder} to begin with an empty server`,
      },
    )
  }
}

/** Who owns an existing cluster: it must go on running as that user. */
async function ownerOfCluster(home: string): Promise<ServerUser | undefined> {
  const found = await stat(join(home, 'cluster', 'data')).catch(() => undefined)
  return found === undefined || found.uid === 0 ? undefined : { uid: found.uid, gid: found.gid }
}

async function findServerUser(): Promise<ServerUser> {
  const passwd = await readFile('/etc/passwd', 'utf8').catch(() => '')
  const user = parseServerUser(passwd)
  if (user !== undefined) return user
  throw new ToteError(
    'EmbeddedFailed',
    'PostgreSQL refuses to run as root, and there is no user "postgres" or "nobody" here.',
    {
      where: '/etc/passwd',
      fix: 'useradd --system postgres, or run as a user other than root',
    },
  )
}

/** `postgres`, else `nobody`, of an /etc/passwd. initdb insists on a user with an entry there. */
export function parseServerUser(passwd: string): ServerUser | undefined {
  for (const name of ['postgres', '_postgres', 'nobody']) {
    const line = passwd.split('\n').find((entry) => entry.startsWith(`${name}:`))
    const [, , uid, gid] = (line ?? '').split(':').map(Number)
    if (uid !== undefined && gid !== undefined && uid > 0) return { uid, gid }
  }
  return undefined
}

/** Whether `user` may pass through `folder` and every folder above it, by their mode bits. */
export async function canEnter(folder: string, user: ServerUser): Promise<boolean> {
  for (let path = folder; ; path = dirname(path)) {
    if (!(await mayUse(path, user, 0o1))) return false
    if (path === parse(path).root) return true
  }
}

/** Whether the mode bits of `path` give `user` the rights in `bits` (4 read, 2 write, 1 execute or enter). */
export async function mayUse(path: string, user: ServerUser, bits: number): Promise<boolean> {
  const found = await stat(path).catch(() => undefined)
  if (found === undefined) return false
  const shift = found.uid === user.uid ? 6 : found.gid === user.gid ? 3 : 0
  return ((found.mode >> shift) & bits) === bits
}

async function claimOutside(tote: string, user: ServerUser): Promise<string> {
  const digest = createHash('sha256').update(tote).digest('hex').slice(0, 12)
  const project = basename(dirname(tote)).replaceAll(/[^A-Za-z0-9._-]/g, '_')
  // First where nothing is cleaned away by age: it is a database, not a cache.
  const bases = ['/var/lib', '/var/tmp', tmpdir(), '/tmp'].map((base) => join(base, 'tote'))
  for (const base of bases) {
    const folder = join(base, `${project}-${digest}`)
    if (!(await claim(base, user)) || !(await canEnter(await realpath(base), user))) continue
    if (await claim(folder, user)) return folder
  }
  throw new ToteError(
    'EmbeddedFailed',
    `The server's user (uid ${user.uid}) cannot enter "${tote}", nor a folder outside.`,
    {
      where: tote,
      problems: bases.map((base) => ({
        where: base,
        message: 'cannot be created, or is not ours, or cannot be entered',
      })),
      fix: 'run as a user other than root, or put the project where others may enter',
    },
  )
}

/** Makes a folder of root's that others can only pass through, and sees that owners and modes hold there. */
async function claim(folder: string, user: ServerUser): Promise<boolean> {
  let trial: string | undefined
  try {
    await mkdir(folder, { recursive: true, mode: 0o711 })
    if (!(await isOwnFolder(folder))) return false
    await chmod(folder, 0o711)
    // Some mounts ignore or refuse owners and modes; the server would refuse to start there.
    trial = await mkdtemp(join(folder, 'trial-'))
    await chown(trial, user.uid, user.gid)
    await chmod(trial, 0o700)
    const made = await stat(trial)
    return made.uid === user.uid && (made.mode & 0o777) === 0o700
  } catch {
    return false
  } finally {
    if (trial !== undefined) await rmdir(trial).catch(() => undefined)
  }
}

/** A folder, no link, that is ours and that nobody else may write to. */
async function isOwnFolder(folder: string): Promise<boolean> {
  const found = await lstat(folder).catch(() => undefined)
  if (found === undefined || !found.isDirectory()) return false
  return found.uid === (process.getuid?.() ?? found.uid) && (found.mode & 0o022) === 0
}
