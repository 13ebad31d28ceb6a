/**
 * From a stranger's database to a first checked warehouse, as somebody types it: `tote init`, `check --live`
 * and `run`, each a process of its own, with every table compared afterwards.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Measured } from './benchmark.ts'
import { compareRows, type Compared } from './equal-rows.ts'
import { execute, type Place } from './place.ts'
import { timeProcess } from './timed-process.ts'

const CLI = fileURLToPath(new URL('../dist/cli.js', import.meta.url))

export interface InitSizes {
  readonly tables: number
  /** Of each table. */
  readonly rows: number
  readonly rounds: number
}

/** Every fifth table is referred to by the four after it. */
function schema({ tables, rows }: InitSizes): string {
  const statements = Array.from({ length: tables }, (_, index) => {
    const head = index - (index % 5)
    const link = index === head ? '' : `, head_id integer not null references t${head} (id)`
    const linked = index === head ? '' : `, 1 + n % ${rows}`
    return `create table t${index} (id integer primary key, name text not null, status text not null
        check (status in ('new', 'done')), amount numeric(12,2) check (amount >= 0), at timestamptz not null,
        on_day date, flag boolean, note text${link});
      insert into t${index} select n, 'name ' || n, case n % 2 when 0 then 'new' else 'done' end, n / 100.0,
        timestamptz '2024-01-01Z' + n * interval '1 minute', date '2024-01-01' + n % 365, n % 3 = 0,
        nullif('note ' || n % 7, 'note 0')${linked} from generate_series(1, ${rows}) n`
  })
  return statements.join(';\n')
}

/** Whether a table became a fact or a dimension does not matter to its rows. */
function comparisons({ tables }: InitSizes): Compared[] {
  const columns = 'id, name, status, amount, at, on_day, flag, note'
  return Array.from({ length: tables }, (_, index) => {
    const isFact = index % 5 !== 0
    return {
      table: `t${index}`,
      source: `select ${columns} from t${index}`,
      warehouse: isFact
        ? `select ${columns} from fact_t${index} where valid_to is null`
        : `select ${columns} from dim_t${index} where not is_deleted`,
    }
  })
}

export async function measureInit(place: Place, sizes: InitSizes): Promise<Measured> {
  const samples: number[] = []
  const compared = []
  const source = await place.createDatabase()
  await execute(source.ownerUrl, `${schema(sizes)}; analyze`)
  await execute(source.ownerUrl, `grant select on all tables in schema public to ${place.reader}`)
  for (let round = 0; round < sizes.rounds; round++) {
    const warehouse = await place.createDatabase()
    const folder = await mkdtemp(join(place.folder, 'init-'))
    const tote = async (...args: string[]): Promise<number> =>
      timeProcess(process.execPath, [CLI, '-C', folder, ...args])
    const urls = ['--source', source.readerUrl, '--warehouse', warehouse.ownerUrl]
    samples.push(
      (await tote('init', ...urls)) + (await tote('check', '--live')) + (await tote('run')),
    )
    const both = { source: source.ownerUrl, warehouse: warehouse.ownerUrl }
    compared.push(...(await compareRows(both, comparisons(sizes))))
    await rm(folder, { recursive: true, force: true })
  }
  const what = `init, check --live and run, ${sizes.tables} tables of ${sizes.rows} rows`
  const goal = { of: 'figure', is: 'at most', bound: 60 } as const
  return { figures: [{ name: `init-${sizes.tables}`, what, unit: 's', samples, goal }], compared }
}
