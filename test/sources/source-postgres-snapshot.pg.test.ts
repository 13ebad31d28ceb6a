/** One snapshot under writers: what it sees is one state that existed, and the next one sees the rest. */
import pg from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import type { SourceSnapshot, SourceTable } from '../../src/sources/source.ts'
import { Secret } from '../../src/secrets/secret.ts'
import { testServer, type TestDatabase } from '../support/postgres.ts'
import {
  contextOf,
  keptSourceOn,
  pause,
  rowsOf,
  sourceOn,
  tableOf,
  withSnapshot,
} from './reading.ts'

let database: TestDatabase
/** The application: a second and a third session beside ours. */
let writer: pg.Client
let other: pg.Client

beforeAll(async () => {
  database = await (await testServer()).createDatabase('snapshot')
  writer = new pg.Client({ connectionString: database.url })
  other = new pg.Client({ connectionString: database.url })
  await Promise.all([writer.connect(), other.connect()])
})

afterAll(async () => {
  await Promise.all([writer.end(), other.end()])
  await database.drop()
})

beforeEach(async () => {
  await database.query(`
    create table customer (id integer primary key, name text);
    create table sale (id integer primary key, customer integer references customer);
    create table parted (id integer primary key) partition by range (id);
    create table parted_low partition of parted for values from (0) to (100);
    insert into customer values (1, 'one');
    insert into sale values (1, 1);
    insert into parted values (1);
  `)
})

afterEach(async () => {
  await database.query('drop table if exists sale, customer, parted')
})

const source = sourceOn
const read = async (name: string): Promise<string[]> =>
  withSnapshot(source(database.url), async (snapshot) => rowsOf(snapshot, name))

/** Settled within that time, or still waiting. */
async function state(promise: Promise<unknown>, ms = 300): Promise<'waiting' | 'done' | 'failed'> {
  return Promise.race([
    pause(ms).then(() => 'waiting' as const),
    promise.then(
      () => 'done' as const,
      () => 'failed' as const,
    ),
  ])
}

test('P1: a transaction that touches two tables between our two reads is seen in neither', async () => {
  await withSnapshot(source(database.url), async (snapshot) => {
    expect(await rowsOf(snapshot, 'customer')).toEqual(['1,one\n'])
    await writer.query(
      `begin; insert into customer values (2, 'two'); insert into sale values (2, 2); delete from sale where id = 1; commit`,
    )
    expect(await rowsOf(snapshot, 'sale')).toEqual(['1,1\n'])
    expect(await rowsOf(snapshot, 'customer')).toEqual(['1,one\n'])
  })
  expect(await read('sale')).toEqual(['2,2\n'])
})

test('P2: what commits late, with an id and a time before others, is seen by the next snapshot', async () => {
  await writer.query(`begin; insert into customer values (5, 'late')`)
  await other.query(`insert into customer values (6, 'early')`)
  let position: string | null = null
  let identity: SourceSnapshot['identity'] = {}
  await withSnapshot(source(database.url), async (snapshot) => {
    ;({ position, identity } = snapshot)
    await writer.query('commit')
    expect(await rowsOf(snapshot, 'customer')).toEqual(['1,one\n', '6,early\n'])
  })
  await withSnapshot(source(database.url), async (snapshot) => {
    expect(() => source(database.url).follow(snapshot, { identity, position })).not.toThrow()
    expect(await rowsOf(snapshot, 'customer')).toEqual(['1,one\n', '5,late\n', '6,early\n'])
  })
})

test('P2: a transaction that was rolled back to a savepoint, or rolled back is seen as far as it is committed', async () => {
  await writer.query(
    `begin; insert into customer values (7, 'kept'); savepoint s; insert into customer values (8, 'gone'); rollback to s; commit`,
  )
  await writer.query(`begin; insert into customer values (9, 'never'); rollback`)
  expect(await read('customer')).toEqual(['1,one\n', '7,kept\n'])
})

test.each([
  'truncate sale',
  'truncate parted',
  'truncate parted_low',
  'alter table parted_low add check (id >= 0)',
  'drop table sale',
  'vacuum full sale',
  'cluster sale using sale_pkey',
])('P1: %s waits until we have read, and we read what was there', async (statement) => {
  const table = statement.includes('parted') ? 'parted' : 'sale'
  let waiting: Promise<unknown> = Promise.resolve()
  await withSnapshot(source(database.url), async (snapshot) => {
    waiting = writer.query(statement)
    expect(await state(waiting)).toBe('waiting')
    expect(await rowsOf(snapshot, table)).toEqual([table === 'sale' ? '1,1\n' : '1\n'])
  })
  await waiting.catch(() => undefined)
})

test('P1: a table truncated while we wait for its lock is read empty, and every other table in the same later state', async () => {
  await writer.query(`begin; truncate sale; update customer set name = 'after the truncate'`)
  const opening = source(database.url).snapshot(contextOf())
  expect(await state(opening)).toBe('waiting')
  // A commit that comes while we wait must be in the snapshot, too: the snapshot is younger than the lock.
  await other.query(`insert into customer values (3, 'while we wait')`)
  await writer.query('commit')
  const snapshot = await opening
  try {
    expect(await rowsOf(snapshot, 'sale')).toEqual([])
    expect(await rowsOf(snapshot, 'customer')).toEqual([
      '1,after the truncate\n',
      '3,while we wait\n',
    ])
  } finally {
    await snapshot.close()
  }
})

test('P1: a source that keeps its session sees in every snapshot what was committed since, tables made anew included', async () => {
  const kept = keptSourceOn(database.url)
  const names = new Set<unknown>()
  const look = async (): Promise<string[]> =>
    withSnapshot(kept, async (snapshot) => {
      const [session] = await database.query(
        `select pid::text from pg_stat_activity where datname = current_database() and application_name = 'tote'`,
      )
      names.add(session?.['pid'])
      return rowsOf(snapshot, 'sale')
    })
  try {
    expect(await look()).toEqual(['1,1\n'])
    await writer.query('update sale set customer = null')
    expect(await look()).toEqual(['1,\n'])
    await writer.query(
      `begin; alter table sale rename to sale_old; create table sale (id integer primary key, total text, more text); insert into sale values (9, 'new', 'x'); drop table sale_old; commit`,
    )
    expect(await look()).toEqual(['9,new,x\n'])
    await writer.query('alter table sale drop column total')
    expect(await look()).toEqual(['9,x\n'])
    expect(names.size).toBe(1)
  } finally {
    await kept.close()
  }
})

test('P1: a table re-created or swapped by rename while we wait is read as the new one, with its catalogue', async () => {
  await writer.query(
    `begin; alter table sale rename to sale_old; create table sale (id integer primary key, total text); insert into sale values (9, 'new'); drop table sale_old`,
  )
  const opening = source(database.url).snapshot(contextOf())
  expect(await state(opening)).toBe('waiting')
  await writer.query('commit')
  const snapshot = await opening
  try {
    expect(
      snapshot.tables.find(({ name }) => name === 'sale')?.columns.map(({ name }) => name),
    ).toEqual(['id', 'total'])
    expect(await rowsOf(snapshot, 'sale')).toEqual(['9,new\n'])
  } finally {
    await snapshot.close()
  }
})

test('P11: a lock that is not given in time is SourceBusy, soon, and nothing stays behind', async () => {
  await writer.query('begin; lock table sale in access exclusive mode')
  try {
    const startedAt = performance.now()
    const limits = { lockTimeoutMs: 300, statementTimeoutMs: 60_000 }
    await expect(source(database.url, { limits }).snapshot(contextOf())).rejects.toMatchObject({
      name: 'SourceBusy',
      retry: true,
      facts: { sqlstate: '55P03' },
    })
    // Without it, after a minute.
    expect(performance.now() - startedAt).toBeLessThan(20_000)
  } finally {
    await writer.query('rollback')
  }
  await pause(50)
  expect(await sessions()).toBe(0)
})

test.each([100, 1_500])(
  'P11: a migration that holds one of our tables and, %i ms later, wants another is not the victim of a deadlock',
  async (later) => {
    await writer.query('begin; lock table sale in access exclusive mode')
    const opening = source(database.url, {
      limits: { lockTimeoutMs: 10_000, statementTimeoutMs: 60_000 },
    }).snapshot(contextOf())
    expect(await state(opening, later)).toBe('waiting')
    await writer.query('alter table customer add column note text; commit')
    const snapshot = await opening
    expect(
      snapshot.tables.find(({ name }) => name === 'customer')?.columns.map(({ name }) => name),
    ).toContain('note')
    await snapshot.close()
  },
)

test('P11: a statement that takes too long is ended by the server', async () => {
  await database.query(
    'insert into customer select n, repeat(md5(n::text), 20) from generate_series(2, 60000) n',
  )
  const limits = { lockTimeoutMs: 2_000, statementTimeoutMs: 20 }
  const reading = withSnapshot(source(database.url, { limits }), async (snapshot) =>
    rowsOf(snapshot, 'customer'),
  )
  await expect(reading).rejects.toMatchObject({ facts: { sqlstate: '57014' } })
})

/** Our sessions at the server. */
async function sessions(): Promise<number> {
  const [row] = await database.query(
    `select count(*)::text as n from pg_stat_activity where datname = current_database() and application_name = 'tote'`,
  )
  return Number(row?.['n'])
}

test('P11: an ALTER TABLE that waits for us ends the batch with SourceBusy, and goes through', async () => {
  const giveWayAfterMs = 700
  const snapshot = await source(database.url, { giveWayAfterMs }).snapshot(contextOf())
  const startedAt = performance.now()
  const migration = writer.query('alter table sale add column note text')
  const failed = (async () => {
    for (;;) {
      await rowsOf(snapshot, 'sale')
      await pause(20)
    }
  })()
  await expect(failed).rejects.toMatchObject({ name: 'SourceBusy', retry: true })
  await migration
  expect(performance.now() - startedAt).toBeLessThan(giveWayAfterMs + 1_500)
  await snapshot.close()
  await pause(50)
  expect(await sessions()).toBe(0)
})

test('P11: a migration of a partition, in the middle of one long read, is given way to as well', async () => {
  await database.query(
    'insert into customer select n, repeat(md5(n::text), 20) from generate_series(2, 60000) n',
  )
  const snapshot = await source(database.url, { giveWayAfterMs: 600 }).snapshot(contextOf())
  const startedAt = performance.now()
  const migration = writer.query(
    'alter table parted_low alter column id set statistics 10; alter table parted_low add check (id < 1000)',
  )
  // A reader whose disk is slow: the server waits for it in the middle of COPY.
  const reading = snapshot.copy(
    snapshot.tables.find(({ name }) => name === 'customer') ?? (undefined as never),
    {
      row: () => undefined,
      ready: () => pause(200),
    },
  )
  await expect(reading).rejects.toMatchObject({ name: 'SourceBusy' })
  await migration
  expect(performance.now() - startedAt).toBeLessThan(2_100)
  await snapshot.close()
})

test('P11: who waits for somebody else does not end the batch', async () => {
  const blocker = new pg.Client({ connectionString: database.url })
  await blocker.connect()
  try {
    // An open transaction of the application has written; CREATE INDEX waits for it, not for us.
    await blocker.query(`begin; insert into sale values (50, 1)`)
    const index = writer.query('create index on sale (customer)')
    await withSnapshot(source(database.url, { giveWayAfterMs: 500 }), async (snapshot) => {
      await pause(1_800)
      expect(await rowsOf(snapshot, 'sale')).toEqual(['1,1\n'])
    })
    await blocker.query('rollback')
    await index
  } finally {
    await blocker.end()
  }
})

test('P4: a connection ended by the server in the middle of COPY is SourceUnreachable, and no row count is believed', async () => {
  await database.query(
    'insert into customer select n, repeat(md5(n::text), 20) from generate_series(2, 60000) n',
  )
  const snapshot = await source(database.url).snapshot(contextOf())
  let received = 0
  const reading = snapshot.copy(
    snapshot.tables.find(({ name }) => name === 'customer') ?? (undefined as never),
    {
      row: () => {
        received += 1
        if (received === 1_000)
          void other.query(
            `select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and application_name = 'tote'`,
          )
      },
      ready: () => (received === 1_000 ? pause(300) : undefined),
    },
  )
  await expect(reading).rejects.toMatchObject({ name: 'SourceUnreachable', retry: true })
  expect(received).toBeGreaterThanOrEqual(1_000)
  expect(received).toBeLessThan(60_000)
  await snapshot.close()
  await snapshot.close()
  expect(await sessions()).toBe(0)
})

test('P4: an abort ends a read at once, with its own reason, and leaves no session', async () => {
  await database.query(
    'insert into customer select n, repeat(md5(n::text), 20) from generate_series(2, 60000) n',
  )
  const controller = new AbortController()
  const snapshot = await source(database.url).snapshot(contextOf(controller.signal))
  const reason = new Error('stop')
  const reading = snapshot.copy(
    snapshot.tables.find(({ name }) => name === 'customer') ?? (undefined as never),
    {
      row: () => controller.abort(reason),
      ready: () => undefined,
    },
  )
  await expect(reading).rejects.toBe(reason)
  await snapshot.close()
  await pause(100)
  expect(await sessions()).toBe(0)
})

test('a sink that throws is thrown on as it is, and the connection is still good', async () => {
  await withSnapshot(source(database.url), async (snapshot) => {
    const table = snapshot.tables.find(({ name }) => name === 'customer') ?? (undefined as never)
    const broken = new Error('disk full')
    await expect(
      snapshot.copy(table, { row: () => undefined, ready: () => Promise.reject(broken) }),
    ).rejects.toBe(broken)
    await expect(
      snapshot.copy(table, {
        row: () => {
          throw broken
        },
        ready: () => undefined,
      }),
    ).rejects.toBe(broken)
    expect(await rowsOf(snapshot, 'customer')).toEqual(['1,one\n'])
  })
})

test('P1, P2: divided as before PostgreSQL 14, a table that lies in the order of its key comes in ranges of it, several readers at once', async () => {
  await database.query(`
    create table "Ordered" ("Id" bigint, kind smallint, note text, primary key ("Id", kind));
    insert into "Ordered" select n - 700, n % 3, repeat(md5(n::text), 30) from generate_series(1, 3000) n;
    create table mixed (id integer primary key, note text);
    insert into mixed select (n * 7919::bigint) % 3001, repeat(md5(n::text), 30) from generate_series(1, 3000) n;
    create table named (id text primary key, note text);
    insert into named select lpad(n::text, 5, '0'), repeat(md5(n::text), 30) from generate_series(1, 3000) n;
    analyze`)
  try {
    const dividing = source(database.url, { byKeys: true, partPages: 64, readers: 3 })
    await withSnapshot(dividing, async (snapshot) => {
      const parts = (name: string): SourceTable['parts'] => tableOf(snapshot, name).parts
      // To divide what lies otherwise, each range would read all of it.
      expect([parts('mixed'), parts('named'), parts('sale')]).toEqual([[], [], []])
      const table = tableOf(snapshot, 'Ordered')
      expect(table.parts?.length).toBeGreaterThan(3)
      // A row that changes its part meanwhile is where the snapshot sees it.
      await writer.query(`update "Ordered" set "Id" = 5000 where "Id" = -699`)
      const ids = await Promise.all(
        (table.parts ?? []).map(async (part) => {
          const rows: number[] = []
          const row = (csv: Buffer): void => void rows.push(Number(csv.toString().split(',')[0]))
          await snapshot.copy(table, { row, ready: () => undefined }, { part })
          return rows
        }),
      )
      for (const part of ids) expect(part.length).toBeLessThan(1500)
      expect(ids.flat()).toEqual(Array.from({ length: 3000 }, (_, n) => n - 699))
    })
    // Parts are named by their bounds, and a draft keeps those names.
    const masking = source(database.url, {
      byKeys: true,
      partPages: 64,
      maskSecret: new Secret('s'.repeat(32)),
      table: [
        {
          table: 'public."Ordered"',
          columns: { include: null, exclude: [] },
          where: null,
          mask: { Id: 'hash' },
          key: null,
          strategy: null,
          cursor: null,
          contract: null,
          place: () => 'here',
        },
      ],
    })
    await withSnapshot(masking, async (snapshot) => {
      expect(tableOf(snapshot, 'Ordered').parts, 'P10: a masked key').toEqual([])
    })
  } finally {
    await database.query('drop table "Ordered", mixed, named')
  }
})
