/** A bank at the source whose own transactions go on while we read, so many a second, each timed (own-transactions-main.js). */
import { fork } from 'node:child_process'
import { execute, type BenchDatabase } from './place.ts'

export interface BankSizes {
  readonly accounts: number
  readonly tellers: number
  readonly branches: number
}

export interface OwnTransactions {
  readonly pid: number
  /** Milliseconds of each that has ended since this was last asked, in the order of their ends. */
  take(): Promise<readonly number[]>
  /** No more of them begin; resolves when the last has ended. */
  end(): Promise<void>
}

/** pgbench's four tables, with ten accounts to every hundred thousand of its rows' bytes; each with a key. */
export async function createBank(
  source: BenchDatabase,
  reader: string,
  { accounts, tellers, branches }: BankSizes,
): Promise<void> {
  const owned = (table: string, rows: number): string =>
    `create table ${table} (${table}_id integer primary key, balance integer not null, changed timestamptz, filler char(84) not null default '');
     insert into ${table} (${table}_id, balance) select n, 0 from generate_series(1, ${rows}) as n`
  const statements = [
    owned('account', accounts),
    owned('teller', tellers),
    owned('branch', branches),
    `create table movement (movement_id bigint generated always as identity primary key, account_id integer not null,
       teller_id integer not null, branch_id integer not null, amount integer not null, moved_at timestamptz not null default now())`,
    `grant select on all tables in schema public to ${reader}`,
    'analyze',
  ]
  await execute(source.ownerUrl, statements.join('; '))
}

/** Begins transactions at random moments, `perSecond` of them on average: as many whatever the server does. */
export async function beginTransactions(
  url: string,
  load: { readonly perSecond: number; readonly sizes: BankSizes },
): Promise<OwnTransactions> {
  const child = fork(new URL('own-transactions-main.js', import.meta.url), {
    execArgv: [],
    // A session of its own: Linux shares the cores out among sessions, and ours must not starve it.
    detached: true,
  })
  const ask = async (message: object): Promise<readonly number[]> =>
    new Promise((resolve, reject) => {
      const died = (code: number | null): void => reject(new Error(`the bank ended with ${code}`))
      child.once('exit', died)
      child.once('message', ({ took, error }: { took: readonly number[]; error?: string }) => {
        child.off('exit', died)
        if (error === undefined) resolve(took)
        else reject(new Error(error))
      })
      child.send(message)
    })
  await ask({ task: 'begin', url, seed: 1, ...load })
  return {
    pid: child.pid ?? Number.NaN,
    take: async () => ask({ task: 'take' }),
    end: async () => {
      try {
        await ask({ task: 'end' })
      } finally {
        const ended = new Promise((resolve) => child.once('exit', resolve))
        child.disconnect()
        await ended
      }
    },
  }
}
