/**
 * The attack: a server of its own, a project, attackers, a reader, and runs again and again; after every batch
 * the lake is compared with what the journal says that its snapshot saw, and in the end the warehouse with every
 * version that a batch saw. Used by the suite for a minute and by `npm run torture` for as long as one likes.
 */
import { mkdir, mkdtemp, rm, writeFile, chmod } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { startEmbedded } from '../../src/embedded/server.ts'
import { run, type RunOptions } from '../../src/pipeline/run.ts'
import { openProject } from '../../src/project/project.ts'
import { COLUMNS, fieldSql, models, TABLES } from './field.ts'
import {
  differences,
  journalState,
  labelsAt,
  lakeState,
  openLake,
  queriedState,
  readBatches,
  versionProblems,
  Versions,
  type State,
} from './oracle.ts'
import { newReach, type Cursor } from './cursor.ts'
import { openRandom } from './random.ts'
import { READER_VIEWS, readWarehouse, type Reads } from './reader.ts'
import { changeTables, newTally, writeRows, type Tally } from './writers.ts'

export interface AttackOptions {
  readonly seed: number
  readonly seconds: number
  /** How many sessions write at once. */
  readonly sessions: number
  /** The longest transaction, in milliseconds. */
  readonly longestMs: number
  readonly strategy: Strategy
  /** Also moves that change the columns of tables. */
  readonly columns: boolean
  readonly log?: (text: string) => void
}

/** How a source under attack is read. */
export interface Strategy {
  /** Its settings in the config. */
  readonly source: string
  /** What it may miss. */
  readonly cursor?: Cursor
}

export const STRATEGIES: Readonly<Record<string, Strategy>> = {
  compare: { source: `strategy: 'compare'` },
  xmin: { source: `strategy: 'xmin'` },
  cursor: {
    source: `strategy: 'compare', table: { orders: { strategy: 'cursor',
      cursor: { column: 'last_updated', lookBack: '2d', reconcile: '7d' } } }`,
    cursor: { table: 'orders', column: 'last_updated', lookBackMs: 2 * 86_400_000 },
  },
}

export interface Attacked {
  readonly tally: Tally
  readonly reads: Reads
  /** Batches that were compared with the journal, table by table. */
  readonly batches: number
  readonly runs: number
  /** Runs that gave way, were not given a lock, or not answered in time when they connected. */
  readonly busy: number
  /** Rows that differed from their source in some batch, as the strategy's docs say they may. */
  readonly missed: number
  /** Versions of facts that were compared in the warehouse. */
  readonly versions: number
  readonly problems: readonly string[]
}

const SETTINGS = {
  fsync: 'off',
  synchronous_commit: 'off',
  full_page_writes: 'off',
  max_connections: '400',
  max_prepared_transactions: '400',
  autovacuum_naptime: '5s',
}

/** A lock that it did not get, or a machine too busy to answer who connects. */
const NOT_ITS_TURN =
  /^SourceBusy|^(Source|Warehouse)Unreachable: .* \(timeout\) while trying to connect/

/** Attacks for as long as told, and says what was found; a fault of the attack itself is thrown. */
export async function attack(options: AttackOptions): Promise<Attacked> {
  const folder = await mkdtemp(join(tmpdir(), 'tote-attack-'))
  await chmod(folder, 0o755)
  const server = await startEmbedded({ folder: join(folder, 'server'), settings: SETTINGS })
  try {
    const url = (database: string, role?: string): string => server.url(database, role)
    await prepare(url, server.password)
    const project = join(folder, 'project')
    await writeProject(project, options.strategy, {
      source: url('field', 'tote_reader'),
      warehouse: url('star', 'tote_loader'),
    })
    return await fight(options, project, url)
  } finally {
    await server.release()
    await rm(folder, { recursive: true, force: true })
  }
}

async function prepare(
  url: (database: string) => string,
  password: (role: string) => string,
): Promise<void> {
  const role = (name: string): string => `create role ${name} login password '${password(name)}'`
  await once(url('postgres'), [
    role('tote_reader'),
    role('tote_loader'),
    role('bi'),
    'create database field',
    'create database star owner tote_loader',
  ])
  await once(url('field'), [fieldSql('tote_reader')])
}

async function once(url: string, statements: readonly string[]): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    for (const statement of statements) await client.query(statement)
  } finally {
    await client.end()
  }
}

async function writeProject(
  folder: string,
  { source, cursor }: Strategy,
  urls: { readonly source: string; readonly warehouse: string },
): Promise<void> {
  await mkdir(join(folder, 'models'), { recursive: true })
  await writeFile(join(folder, '.env'), `FIELD_URL=${urls.source}\nSTAR_URL=${urls.warehouse}\n`)
  await writeFile(
    join(folder, 'tote.config.ts'),
    `import { defineProject, env } from 'totedata'

export default defineProject({
  name: 'attack',
  sources: { field: { type: 'postgres', url: env('FIELD_URL'), shrinkLimit: { share: 1 },
    // Slow, so that much happens while a batch is read.
    rateLimit: '100kB/s', giveWayAfter: '10s', lockTimeout: '10s', ${source} } },
  lake: { ingestion: 'lake/ingestion', processed: 'lake/processed', baseAfter: { files: 8 } },
  warehouse: { url: env('STAR_URL'), readers: ['bi'] },
})
`,
  )
  // A deletion that a cursor misses leaves a reference to what is gone, which would fail its check.
  for (const [name, text] of Object.entries(models(cursor === undefined)))
    await writeFile(join(folder, 'models', `${name}.sql`), text)
}

async function fight(
  options: AttackOptions,
  folder: string,
  url: (database: string, role?: string) => string,
): Promise<Attacked> {
  const random = openRandom(options.seed)
  const stop = new AbortController()
  const tally = newTally()
  const reads: Reads = { queries: 0, repeated: 0, batches: 0, problems: [] }
  const journal = new pg.Client({ connectionString: url('field') })
  const star = new pg.Client({ connectionString: url('star') })
  await Promise.all([journal.connect(), star.connect()])
  await Promise.all([journal, star].map(async (one) => one.query("set timezone = 'UTC'")))
  const judge = await openJudge(folder, journal, options.strategy.cursor)
  const runs = { all: 0, busy: 0 }
  const go = async (only: RunOptions['only'], fullRefresh = false): Promise<boolean> => {
    // Committed before each run, so that every batch has a change of it.
    await journal.query('update pulse set beats = beats + 1')
    runs.all += 1
    const refused = await runProject(folder, { only, fullRefresh })
    if (refused === null) return true
    if (NOT_ITS_TURN.test(refused)) runs.busy += 1
    else judge.problems.push(`run ${runs.all}: ${refused}`)
    return false
  }
  /** What comes after the attack is carried, sooner or later. */
  const goOn = async (fullRefresh = false): Promise<void> => {
    for (let tries = 1; !(await go(undefined, fullRefresh)) && tries < 5; tries += 1);
  }
  try {
    await goOn()
    await once(url('star'), ['create schema bi authorization bi', `set role bi; ${READER_VIEWS}`])
    const orders = {
      url: url('field'),
      longestMs: options.longestMs,
      columns: options.columns,
      // Some 200 transactions a second, however many sessions there are.
      pauseMs: options.sessions * 10,
      tally,
      stop: stop.signal,
    }
    const fighting = [
      ...Array.from({ length: options.sessions }, async (_, session) =>
        writeRows({ ...orders, random: random.fork() }, session),
      ),
      changeTables({ ...orders, random: random.fork() }),
      readWarehouse(url('star', 'bi'), reads, stop.signal),
      readWarehouse(url('star', 'bi'), reads, stop.signal),
    ]
    const over = Promise.all(fighting)
    // Heard below; until then it only ends the attack early.
    over.catch(() => stop.abort())
    const until = performance.now() + options.seconds * 1000
    let told = performance.now()
    while (performance.now() < until && !stop.signal.aborted && judge.problems.length < 5) {
      await go(random.chance(0.4) ? 'extract' : undefined, random.chance(0.05))
      await judge.lookAtBatches()
      if (performance.now() - told > 10_000) {
        told = performance.now()
        options.log?.(
          `${judge.batches} batches, ${tally.transactions} transactions, ${reads.queries} reads, ${runs.busy} of ${runs.all} runs busy`,
        )
      }
    }
    stop.abort()
    await over
    await goOn()
    await judge.lookAtBatches()
    // Finds everything that a cursor has missed.
    await goOn(true)
    judge.healed()
    await judge.lookAtBatches()
    const versions = await judge.lookAtEnd(star)
    return {
      tally,
      reads,
      batches: judge.batches,
      runs: runs.all,
      busy: runs.busy,
      missed: judge.missed,
      versions,
      problems: [...judge.problems, ...reads.problems.slice(0, 5)],
    }
  } finally {
    stop.abort()
    await Promise.all([journal.end(), star.end()])
  }
}

/** What went wrong, or null. */
async function runProject(folder: string, options: RunOptions): Promise<string | null> {
  const project = await openProject({ cwd: folder })
  try {
    const { error } = await run(project, options, {
      run: 'attack',
      signal: new AbortController().signal,
      now: () => new Date(),
      emit: () => undefined,
    })
    if (error === undefined) return null
    return `${error.name}: ${error.message} ${JSON.stringify(error.facts.problems ?? error.facts.terminal ?? '')}`
  } finally {
    await project.close()
  }
}

/** What was done, in words, for whoever watches. */
export function sayAttacked({
  tally,
  reads,
  batches,
  runs,
  busy,
  versions,
  missed,
}: Attacked): string {
  const moves = Object.entries(tally.tables).map(([name, times]) => `${name} ${times}`)
  return [
    `${tally.transactions} transactions (${tally.committed} committed, ${tally.rolledBack} rolled back, ${tally.prepared} prepared, ${tally.savepoints} savepoints rolled back, ${tally.refused} statements refused, the longest ${(tally.longestMs / 1000).toFixed(1)} s)`,
    `changes of tables: ${moves.join(', ')}`,
    `${runs} runs (${busy} gave way), ${batches} batches and ${versions} versions of facts compared, ${missed} rows missed as the docs say`,
    `${reads.queries} reads of the warehouse, ${reads.repeated} transactions that repeated theirs, up to batch ${reads.batches}`,
  ].join('\n')
}

interface Judge {
  readonly problems: string[]
  readonly batches: number
  readonly missed: number
  /** From the next batch on nothing may be missed. */
  healed(): void
  /** Compares every batch since the last look with what its snapshot saw. */
  lookAtBatches(): Promise<void>
  /** Compares the journal with the tables themselves, and the warehouse with all batches; returns how many versions. */
  lookAtEnd(star: pg.Client): Promise<number>
}

async function openJudge(
  folder: string,
  journal: pg.Client,
  cursor: Cursor | undefined,
): Promise<Judge> {
  const lake = await openLake()
  const zone = join(folder, 'lake', 'ingestion')
  const versions = new Map(
    Object.keys(TABLES).map((table) => [table, new Versions(COLUMNS[table] ?? [])]),
  )
  const newest = new Map<string, State>()
  const problems: string[] = []
  let [number, batches, missed] = [0, 0, 0]
  let reach = cursor === undefined ? null : newReach(cursor)
  return {
    problems,
    get missed() {
      return missed
    },
    healed: () => {
      reach = null
    },
    get batches() {
      return batches
    },
    lookAtBatches: async () => {
      for (const one of readBatches(zone, 'field', number)) {
        number = one.number
        if (one.batch === batches) continue
        batches = one.batch
        const labels = await labelsAt(journal, one.position)
        for (const table of Object.keys(TABLES)) {
          const found = await lakeState(lake, table, one.files[table] ?? [])
          const expected = await journalState(journal, table, one.position)
          const caught = reach?.table === table ? reach.caught(expected, found) : null
          missed += caught?.missed ?? 0
          for (const problem of differences(
            caught?.expected ?? expected,
            caught?.found ?? found,
            labels,
          ))
            problems.push(`batch ${one.batch}, ${table}: ${problem}`)
          versions.get(table)?.take(found, one.instant)
          newest.set(table, found)
        }
      }
    },
    lookAtEnd: async (star) => {
      const [now] = (
        await journal.query<{ now: string }>('select pg_current_snapshot()::text as now')
      ).rows
      let count = 0
      for (const [table, { key, model }] of Object.entries(TABLES)) {
        const rows = await queriedState(journal, `select * from ${table}`, key)
        const noted = await journalState(journal, table, now?.now ?? '')
        const labels = await labelsAt(journal, now?.now ?? '')
        for (const problem of differences(noted, rows, labels))
          problems.push(`the journal, ${table}: ${problem}`)
        for (const problem of differences(rows, newest.get(table) ?? new Map(), labels))
          problems.push(`in the end, ${table}: ${problem}`)
        if (model.startsWith('dim_')) {
          const columns = COLUMNS[table] ?? []
          const current = await queriedState(
            star,
            `select ${columns.join(', ')} from ${model} where not is_deleted`,
            key,
          )
          for (const problem of differences(rows, current, labels))
            problems.push(`in the warehouse, ${model}: ${problem}`)
        } else {
          const all = versions.get(table) ?? new Versions([])
          count += all.all.length
          problems.push(...(await versionProblems(star, table, all)))
        }
      }
      return count
    },
  }
}
