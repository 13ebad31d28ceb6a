/** What may stand between Tote and its databases: a transaction pooler, an SSH tunnel. Both real, or skipped with the reason. */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createProject, type TestProject } from '../support/project.ts'

let project: TestProject
let folder: string
const children: ChildProcess[] = []
beforeAll(async () => {
  project = await createProject()
  folder = await mkdtemp(join(tmpdir(), 'tote-network-'))
  // The pooler gives up root and must still read its files.
  await chmod(folder, 0o755)
})
afterAll(async () => {
  for (const child of children) child.kill('SIGKILL')
  await rm(folder, { recursive: true, force: true })
  await project.close()
})

const root = userInfo().uid === 0

function missing(...programs: readonly string[]): string | undefined {
  const absent = programs.filter((program) => {
    try {
      execFileSync('sh', ['-c', `command -v ${program}`], { env: withSbin })
      return false
    } catch {
      return true
    }
  })
  return absent.length === 0 ? undefined : `not installed: ${absent.join(', ')}`
}

const withSbin = { ...process.env, PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin` }

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}

/** Starts a program and waits until its port answers. */
async function serve(port: number, program: string, args: readonly string[]): Promise<void> {
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'], env: withSbin })
  children.push(child)
  let said = ''
  child.stderr?.on('data', (text) => (said += String(text)))
  for (let tries = 0; tries < 100; tries++) {
    if (child.exitCode !== null) break
    if (await answers(port)) return
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  throw new Error(`${program} did not start: ${said}`)
}

async function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}

/** Two runs with a change between, the second of which finds just that change. */
async function expectRuns(): Promise<void> {
  const check = await project.tote('check', '--live')
  expect(check.stderr + check.stdout).toContain('Nothing is wrong')
  expect((await project.tote('run')).exit).toBe(0)
  await project.source.query("update staff set last_name = last_name || '.' where staff_id = 1")
  const told = await project.tote('run', '--json')
  expect(told.exit).toBe(0)
  const { summary } = JSON.parse(told.stdout.trim().split('\n').at(-1) ?? '') as {
    summary: { outcome: string; tables: { table: string; updated: number }[] }
  }
  expect(summary.outcome).toBe('succeeded')
  expect(summary.tables.filter(({ updated }) => updated > 0)).toMatchObject([
    { table: 'staff', updated: 1 },
  ])
}

test('both databases behind a transaction pooler', async (ctx) => {
  const absent = missing('pgbouncer')
  if (absent !== undefined) return ctx.skip(absent)
  const port = await freePort()
  const [source, warehouse] = [new URL(project.urls.source), new URL(project.urls.warehouse)]
  const database = (name: string, url: URL): string =>
    `${name} = host=127.0.0.1 port=${url.port} dbname=${url.pathname.slice(1)} user=${url.username} password='${decodeURIComponent(url.password)}'`
  await writeFile(
    join(folder, 'pgbouncer.ini'),
    [
      '[databases]',
      database('source', source),
      database('warehouse', warehouse),
      '[pgbouncer]',
      'listen_addr = 127.0.0.1',
      `listen_port = ${port}`,
      'unix_socket_dir =',
      'auth_type = any',
      'pool_mode = transaction',
      'default_pool_size = 4',
      // What one transaction leaves behind, the next would meet.
      'server_reset_query =',
    ].join('\n'),
  )
  await serve(port, 'pgbouncer', [...(root ? ['-u', 'nobody'] : []), join(folder, 'pgbouncer.ini')])
  await project.environment({
    SHOP_URL: `postgres://me@127.0.0.1:${port}/source`,
    SHOP_WAREHOUSE_URL: `postgres://me@127.0.0.1:${port}/warehouse`,
  })
  await expectRuns()
  await project.environment({})
})

test('the source behind an SSH tunnel', async (ctx) => {
  const absent = missing('ssh', 'sshd', 'ssh-keygen')
  if (absent !== undefined) return ctx.skip(absent)
  const [sshPort, tunnelPort] = [await freePort(), await freePort()]
  const file = (name: string): string => join(folder, name)
  for (const key of ['host', 'client'])
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', file(key)])
  if (root) await mkdir('/run/sshd', { recursive: true })
  await writeFile(
    file('sshd_config'),
    [
      `Port ${sshPort}`,
      'ListenAddress 127.0.0.1',
      `HostKey ${file('host')}`,
      `AuthorizedKeysFile ${file('client.pub')}`,
      'PasswordAuthentication no',
      'PermitRootLogin prohibit-password',
      'StrictModes no',
      'UsePAM no',
      'PidFile none',
    ].join('\n'),
  )
  const sshd = execFileSync('sh', ['-c', 'command -v sshd'], { env: withSbin }).toString().trim()
  await serve(sshPort, sshd, ['-D', '-e', '-f', file('sshd_config')])
  const source = new URL(project.urls.source)
  const options = [
    `-N -F none -p ${sshPort} -i ${file('client')}`,
    '-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null',
    '-o IdentitiesOnly=yes -o ExitOnForwardFailure=yes',
    `-L 127.0.0.1:${tunnelPort}:127.0.0.1:${source.port}`,
    `${userInfo().username}@127.0.0.1`,
  ]
  await serve(tunnelPort, 'ssh', options.join(' ').split(' '))
  source.port = String(tunnelPort)
  await project.environment({ SHOP_URL: source.href })
  await expectRuns()
  await project.environment({})
})
