/**
 * A small project for end-to-end tests: a shop in a folder of its own, with its own source and
 * warehouse, read as a role that may only SELECT, and driven through the built command line.
 *
 * Every text cell of the shop holds MARK and every key of a sale begins with 88001; the passwords
 * hold SECRET. Whatever `tote` answers is searched for them, and for a stack, unless the test asks for
 * the values (P10).
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect } from 'vitest'
import { buildWhenStale } from '../../scripts/build.js'
import { pipeline } from '../../src/cli/pipeline.ts'
import type { NewEvent } from '../../src/events.ts'
import { openProject, type Project } from '../../src/project/project.ts'
import { run, type RunOptions, type RunResult } from '../../src/pipeline/run.ts'
import { contextHere } from './here.ts'
import { openFiles, readStanding, type Standing } from './project-standing.ts'
import { MODELS, SECRET, SHOP } from './project-shop.ts'
import { testServer, type TestDatabase, type TestServer } from './postgres.ts'
import { play, type Played } from './surface.ts'

const CLI = fileURLToPath(new URL('../../dist/cli.js', import.meta.url))

export interface Told {
  readonly exit: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface TestProject {
  readonly folder: string
  readonly source: TestDatabase
  readonly warehouse: TestDatabase
  /** The two roles that the project connects as. */
  readonly reader: string
  readonly loader: string
  readonly urls: { readonly source: string; readonly warehouse: string }
  /** One command line of the built CLI in the project's folder; its output is searched for leaks. */
  tote(...args: string[]): Promise<Told>
  /** The same, not waited for, and not searched. */
  start(...args: string[]): { readonly child: ChildProcess; readonly ended: Promise<Told> }
  /** The same command line in this process, before a person's own terminal: values may show, secrets not. */
  onTerminal(...args: string[]): Promise<Played>
  /** One run in this process; `events` are what it said. */
  run(options?: RunOptions): Promise<RunResult & { readonly events: readonly NewEvent[] }>
  /** A run in this process that must succeed. */
  good(options?: RunOptions): Promise<RunResult['summary']>
  opened<T>(work: (project: Project) => Promise<T>): Promise<T>
  write(path: string, text: string): Promise<void>
  /** Writes tote.config.ts anew; each piece is the inside of its braces. */
  configure(pieces: ConfigPieces): Promise<void>
  /** What `.env` says: the URLs, and whatever is given in their place. */
  environment(given: Readonly<Record<string, string>>): Promise<void>
  /** Everything that a refused run must leave as it was. */
  standing(): Promise<Standing>
  close(): Promise<void>
}

export interface ConfigPieces {
  /** Settings of the project itself. */
  readonly project?: string
  readonly source?: string
  /** Other sources, each with its name. */
  readonly sources?: string
  readonly lake?: string
  readonly warehouse?: string
}

export interface ProjectOptions extends ConfigPieces {
  /** SQL that makes the source; the shop when not given. */
  readonly setup?: string
  /** By name; the shop's when not given. */
  readonly models?: Readonly<Record<string, string>>
  /** Servers of the test's own; both databases are made on the one of this run when not given. */
  readonly servers?: { readonly source: TestServer; readonly warehouse: TestServer }
}

/** Creates the databases, the roles and the folder. Throws when src/ does not build. */
export async function createProject(options: ProjectOptions = {}): Promise<TestProject> {
  if (!buildWhenStale()) throw new Error('dist/ is not built: see above')
  const servers = options.servers ?? { source: await testServer(), warehouse: await testServer() }
  const source = await servers.source.createDatabase('e2e_source')
  const warehouse = await servers.warehouse.createDatabase('e2e_warehouse')
  const id = randomBytes(6).toString('hex')
  const [reader, loader] = [`reader_${id}`, `loader_${id}`]
  await source.query(`create role ${reader} login password '${SECRET}-reader'`)
  await source.query(options.setup ?? SHOP)
  await source.query(
    `grant select on all tables in schema public to ${reader};
     alter default privileges in schema public grant select on tables to ${reader}`,
  )
  await warehouse.query(
    `create role ${loader} login password '${SECRET}-loader'; alter database ${warehouse.name} owner to ${loader}`,
  )
  const urls = {
    source: withPassword(source.roleUrl(reader), `${SECRET}-reader`),
    warehouse: withPassword(warehouse.roleUrl(loader), `${SECRET}-loader`),
  }
  const folder = await mkdtemp(join(tmpdir(), 'tote-e2e-'))
  const write = async (path: string, text: string): Promise<void> => {
    await mkdir(dirname(join(folder, path)), { recursive: true })
    await writeFile(join(folder, path), text)
  }
  const configure = async (pieces: ConfigPieces): Promise<void> =>
    write('tote.config.ts', configText(pieces))
  const environment = async (given: Readonly<Record<string, string>>): Promise<void> => {
    const all = { SHOP_URL: urls.source, SHOP_WAREHOUSE_URL: urls.warehouse, ...given }
    await write(
      '.env',
      Object.entries(all)
        .map(([name, value]) => `${name}=${value}\n`)
        .join(''),
    )
  }
  await configure(options)
  await environment({})
  for (const [name, text] of Object.entries(options.models ?? MODELS))
    await write(`models/${name}.sql`, text)

  const start: TestProject['start'] = (...args) => startCli(folder, args)
  const opened: TestProject['opened'] = async (work) => {
    const project = await openProject({ cwd: folder })
    try {
      return await work(project)
    } finally {
      await project.close()
    }
  }
  const runHere: TestProject['run'] = async (runOptions = {}) => {
    const events: NewEvent[] = []
    const context = contextHere((event) => void events.push(event))
    return { ...(await opened(async (project) => run(project, runOptions, context))), events }
  }
  return {
    folder,
    source,
    warehouse,
    reader,
    loader,
    urls,
    start,
    opened,
    write,
    configure,
    environment,
    run: runHere,
    tote: async (...args) => {
      const told = await start(...args).ended
      expectNoLeak(`${told.stdout}\n${told.stderr}\n${await history(folder)}`, args)
      return told
    },
    onTerminal: async (...args) => {
      const played = await play(args, {
        pipeline,
        terminal: true,
        surface: { cwd: folder, now: () => new Date(), random: (bytes) => randomBytes(bytes) },
      })
      expect(played.stdout + played.stderr, 'a secret').not.toContain(SECRET)
      return played
    },
    good: async (runOptions) => {
      const { summary, error } = await runHere(runOptions)
      if (error !== undefined) throw error
      return summary
    },
    standing: async () => readStanding(folder, warehouse),
    close: async () => {
      await warehouse.drop()
      // On servers of the test's own roles go with them.
      if (options.servers === undefined)
        await source.query(`drop owned by ${reader}; drop role ${loader}, ${reader}`)
      await source.drop()
      expect(await openFiles(folder), 'temporary files that stay').toEqual([])
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** A command line of the built CLI, with nothing of this process's environment but what it needs. */
export function startCli(
  folder: string,
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): { readonly child: ChildProcess; readonly ended: Promise<Told> } {
  const { PATH = '', HOME = '' } = process.env
  const child = spawn(process.execPath, [CLI, ...args], {
    cwd: folder,
    env: { PATH, HOME, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 110_000,
    killSignal: 'SIGKILL',
  })
  const ended = new Promise<Told>((resolve, reject) => {
    const text = { stdout: '', stderr: '' }
    for (const stream of ['stdout', 'stderr'] as const) {
      child[stream]?.setEncoding('utf8').on('data', (more: string) => (text[stream] += more))
    }
    child.on('error', reject)
    child.on('close', (exit) => resolve({ exit, ...text }))
  })
  return { child, ended }
}

/** `query` answers with values, and so does a query of wrong SQL with its own text. */
function expectNoLeak(text: string, args: readonly string[]): void {
  expect(text, 'a secret').not.toContain(SECRET)
  // Asked for twice, a stack is an answer.
  if (!args.includes('-vv')) expect(text, 'a stack').not.toMatch(/^\s+at .+:\d+:\d+\)?$/m)
  if (args[0] === 'query') return
  expect(text, 'a cell value').not.toMatch(/Qx7|\b88001\d\d\b/)
}

async function history(folder: string): Promise<string> {
  const runs = join(folder, '.tote/runs')
  const names = await readdir(runs).catch(() => [])
  return (await Promise.all(names.map(async (name) => readFile(join(runs, name), 'utf8')))).join('')
}

function configText({
  project = '',
  source = '',
  sources = '',
  lake = '',
  warehouse = '',
}: ConfigPieces): string {
  return `import { defineProject, env } from 'totedata'

export default defineProject({
  name: 'shop',
  sources: {
    shop: { type: 'postgres', url: env('SHOP_URL'), ${source} },${sources}
  },
  lake: { ingestion: 'lake/ingestion', processed: 'lake/processed', ${lake} },
  warehouse: { url: env('SHOP_WAREHOUSE_URL'), ${warehouse} },
  ${project}
})
`
}

export function withPassword(url: string, password: string): string {
  const parsed = new URL(url)
  parsed.password = password
  return parsed.href
}
