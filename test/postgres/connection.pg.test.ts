/** One connection: values as text, COPY both ways, errors in our words, nothing left behind. */
import { createServer, type AddressInfo } from 'node:net'
import { inspect } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { ToteError } from '../../src/errors.ts'
import { connect, type Connection, type ConnectOptions } from '../../src/postgres/connection.ts'
import { quoteIdentifier, quoteLiteral } from '../../src/postgres/identifiers.ts'
import { beginReading } from '../../src/postgres/session.ts'
import { testServer, type TestDatabase } from '../support/postgres.ts'

let database: TestDatabase

beforeAll(async () => {
  database = await (await testServer()).createDatabase('connection')
})

afterAll(async () => {
  await database.drop()
})

async function withConnection<T>(
  action: (connection: Connection) => Promise<T>,
  options: Partial<ConnectOptions> = {},
): Promise<T> {
  const connection = await connect({ side: 'source', name: 'shop', url: database.url, ...options })
  try {
    return await action(connection)
  } finally {
    await connection.close()
  }
}

/** What was thrown, and all that may be stored or sent of it. */
async function failure(promise: Promise<unknown>): Promise<{ error: ToteError; stored: string }> {
  const error: unknown = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  if (!(error instanceof ToteError)) throw new Error(`not a ToteError: ${inspect(error)}`)
  return { error, stored: JSON.stringify(error) + error.message }
}

test('several statements in one round trip: the rows of each, and a failure told as its own', async () => {
  await withConnection(async (connection) => {
    const ask = (doing: string, text: string): { doing: string; text: string } => ({ doing, text })
    expect(await connection.queryAll([])).toEqual([])
    const one = await connection.queryAll([ask('ask', 'select 1 as n')])
    expect(one.map(({ rows }) => rows)).toEqual([[{ n: '1' }]])
    const many = await connection.queryAll([
      ask('make', 'create temp table t (n integer)'),
      ask('fill', 'insert into t values (1), (2)'),
      ask('count', 'select count(*) as n from t'),
      ask('look', 'select n from t where n > 5'),
    ])
    expect(many.map(({ rows }) => rows)).toEqual([[], [], [{ n: '2' }], []])
    const { error } = await failure(
      connection.queryAll([
        ask('begin', 'begin'),
        ask('divide', 'select 1/0'),
        ask('go on', 'select 1'),
      ]),
    )
    expect(error.message).toContain('refused to divide')
    await connection.query('roll back', 'rollback')
    expect(await connection.query('ask', 'select 2 as n')).toEqual([{ n: '2' }])
  })
})

test('P8: values are the text that the server prints', async () => {
  await withConnection(async (connection) => {
    expect(
      await connection.query(
        'ask',
        `select 1::bigint as n, 1.50::numeric(10,2) as amount, true as yes, null::text as nothing, '{1,2}'::int[] as list, '2026-11-20'::date as day, $1 as given`,
        ["a'b"],
      ),
    ).toEqual([
      {
        n: '1',
        amount: '1.50',
        yes: 't',
        nothing: null,
        list: '{1,2}',
        day: '2026-11-20',
        given: "a'b",
      },
    ])
    expect(await connection.query('ask', 'select 1 as a; select 2 as b')).toEqual([{ b: '2' }])
    expect(connection.pid).toBeGreaterThan(0)
  })
})

test('a port where nobody listens, or nobody answers, is unreachable within the timeout', async () => {
  const silent = createServer()
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
  const { port } = silent.address() as AddressInfo
  try {
    const slow = await failure(
      connect({
        side: 'source',
        name: 'shop',
        url: `postgres://me:secret@127.0.0.1:${port}/db`,
        silenceMs: 200,
      }),
    )
    expect(slow.error).toMatchObject({ name: 'SourceUnreachable', retry: true })
    expect(slow.error.message).toContain('timeout')
    expect(slow.stored).not.toContain('secret')
  } finally {
    silent.close()
  }
  const refused = await failure(
    connect({
      side: 'warehouse',
      name: 'warehouse',
      url: `postgres://me:secret@127.0.0.1:${port}/db`,
    }),
  )
  expect(refused.error).toMatchObject({
    name: 'WarehouseUnreachable',
    facts: { where: `me@127.0.0.1:${port}/db` },
  })
  expect(refused.error.message).toContain('ECONNREFUSED')
  expect(refused.stored).not.toContain('secret')
})

test('an abort while connecting ends it at once, with its own reason', async () => {
  const silent = createServer()
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
  const { port } = silent.address() as AddressInfo
  try {
    const controller = new AbortController()
    const reason = new ToteError('RunCancelled', 'stop')
    const startedAt = performance.now()
    setTimeout(() => controller.abort(reason), 100)
    await expect(
      connect({
        side: 'source',
        name: 'shop',
        url: `postgres://me@127.0.0.1:${port}/db`,
        signal: controller.signal,
      }),
    ).rejects.toBe(reason)
    // Without it, after ten seconds.
    expect(performance.now() - startedAt).toBeLessThan(8_000)
    await expect(
      connect({ side: 'source', name: 'shop', url: database.url, signal: controller.signal }),
    ).rejects.toBe(reason)
  } finally {
    silent.close()
  }
})

test('a missing database and a missing role are refused with their SQLSTATE and no retry', async () => {
  const server = await testServer()
  expect(
    (await failure(connect({ side: 'source', name: 'shop', url: server.url('no such database') })))
      .error,
  ).toMatchObject({ name: 'SourceRefused', retry: false, facts: { sqlstate: '3D000' } })
  const login = await failure(
    connect({
      side: 'warehouse',
      name: 'warehouse',
      url: server.url(database.name, 'no_such_role'),
    }),
  )
  expect(login.error).toMatchObject({ name: 'WarehouseRefused', retry: false })
  expect(login.error.facts.sqlstate).toMatch(/^28/)
})

test('P10: no error shows a value, whatever the server says of it', async () => {
  // So many digits that no port, process or name of a database has them by chance.
  const digits = '1471108154'
  const planted = `planted-${digits}`
  await database.query(`
    create table t (id text primary key, n integer check (n < 10));
    insert into t values ('${planted}', 1);
    create function complain() returns trigger language plpgsql as $$ begin raise exception 'no % here', new.id; end $$;
    create table u (id text); create trigger complain before insert on u for each row execute function complain();
    create function refuse(id text, code text) returns text language plpgsql as $$ begin raise '% is not yours', id using errcode = code; end $$;
  `)
  // One connection for all: each that is opened is one more that a busy machine may not answer in time.
  await withConnection(async (connection) => {
    for (const [statement, sqlstate] of [
      [`select '${planted}'::integer`, '22P02'],
      [`insert into t values ('${planted}', 1)`, '23505'],
      [`insert into t values ('${planted}x', ${digits})`, '23514'],
      [`insert into u values ('${planted}')`, 'P0001'],
      [`select repeat('${planted}', 1)::date`, '22007'],
      // Any SQLSTATE may come from a function of theirs, with any words.
      [`select refuse(id, '42501') from t`, '42501'],
      [`select refuse(id, 'MY001') from t`, 'MY001'],
      [`select refuse(id, '40001') from t`, '40001'],
    ] as const) {
      const { error, stored } = await failure(connection.query('try it', statement))
      expect(error.facts.sqlstate, `${statement}`).toBe(sqlstate)
      expect(stored, `${statement}`).not.toContain(digits)
    }
    const copied = await failure(
      connection.copyIn(
        'load',
        'copy t from stdin',
        chunks(`${planted}\tnot a number ${planted}\n`),
      ),
    )
    expect(copied.error.facts.sqlstate).toBe('22P02')
    expect(copied.stored).not.toContain(digits)
  })
})

async function* chunks(...texts: string[]): AsyncIterable<Uint8Array> {
  for (const text of texts) {
    await Promise.resolve()
    yield Buffer.from(text)
  }
}

test('rows copied in are counted; a refused row, or chunks that fail, leave none, and the connection is good', async () => {
  await database.query('create table copied (id integer primary key)')
  await withConnection(async (connection) => {
    expect(await connection.copyIn('load', 'copy copied from stdin', chunks('1\n2', '\n3\n'))).toBe(
      3,
    )
    expect(
      (await failure(connection.copyIn('load', 'copy copied from stdin', chunks('4\n1\n')))).error
        .facts.sqlstate,
    ).toBe('23505')
    const own = new Error('the lake is gone')
    await expect(
      connection.copyIn(
        'load',
        'copy copied from stdin',
        (async function* failing() {
          yield* chunks('5\n')
          throw own
        })(),
      ),
    ).rejects.toBe(own)
    expect(
      (await failure(connection.copyIn('load', 'copy nowhere from stdin', chunks('1\n')))).error
        .facts.sqlstate,
    ).toBe('42P01')
    expect(
      (
        await failure(
          connection.copyOut('read', 'copy nowhere to stdout', {
            row: () => undefined,
            ready: () => undefined,
          }),
        )
      ).error.facts.sqlstate,
    ).toBe('42P01')
    expect(await connection.query('count', 'select count(*)::text as n from copied')).toEqual([
      { n: '3' },
    ])
  })
})

test('copied out, each call is one row, also when the reader is slow and rows are long', async () => {
  await withConnection(async (connection) => {
    const lengths: number[] = []
    let open = 0
    const sent = await connection.copyOut(
      'read',
      `copy (select repeat('x', n * 100) from generate_series(1, 2000) n) to stdout (format csv)`,
      {
        row: (row) => {
          if (row.at(-1) === 10) lengths.push(row.length)
        },
        ready: () => {
          if (lengths.length % 100 !== 0) return undefined
          open += 1
          return new Promise((resolve) =>
            setTimeout(() => {
              open -= 1
              resolve()
            }, 1),
          )
        },
      },
    )
    expect([sent, open]).toEqual([2000, 0])
    expect(lengths).toEqual(Array.from({ length: 2000 }, (_, index) => (index + 1) * 100 + 1))
  })
})

test('a session leaves nothing at the server: after a reading transaction every setting is as before', async () => {
  await withConnection(async (connection) => {
    const settings = async (): Promise<unknown> =>
      connection.query(
        'look',
        `select name, setting from pg_settings where source <> 'default' or setting <> reset_val order by name`,
      )
    await connection.query('set', `set datestyle = 'German'; set timezone = 'Asia/Kathmandu'`)
    const before = await settings()
    await connection.query(
      'begin',
      beginReading('repeatable read', { lockTimeoutMs: 1_234, statementTimeoutMs: 5_678 }),
    )
    expect(
      await connection.query(
        'look',
        `select current_setting('timezone') as zone, current_setting('lock_timeout') as lock, current_setting('statement_timeout') as statement, current_setting('transaction_read_only') as reading, current_setting('transaction_isolation') as isolation, current_setting('search_path') as path, current_setting('jit') as jit, now()::text ~ '[+]00$' as utc`,
      ),
    ).toEqual([
      {
        zone: 'UTC',
        lock: '1234ms',
        statement: '5678ms',
        reading: 'on',
        isolation: 'repeatable read',
        path: '""',
        jit: 'off',
        utc: 't',
      },
    ])
    expect(
      (await failure(connection.query('write', 'create table written (a integer)'))).error.facts
        .sqlstate,
    ).toBe('25006')
    await connection.query('end', 'rollback')
    expect(await settings()).toEqual(before)
    // A pooler may hand the connection on after a commit, too.
    await connection.query(
      'begin',
      beginReading('read committed', { lockTimeoutMs: 1_234, statementTimeoutMs: 5_678 }),
    )
    await connection.query('end', 'commit')
    expect(await settings()).toEqual(before)
  })
})

test('P10: quoted names and texts reach the server as they are', async () => {
  await withConnection(async (connection) => {
    for (const name of ['plain', 'select', 'a"b', "a'b", 'ÄÖÜ', ' ', 'a\\b', '--', 'a\nb', '$1']) {
      const [row] = await connection.query(
        'ask',
        `select ${quoteLiteral(name)} as ${quoteIdentifier(name)}`,
      )
      expect(row).toEqual({ [name]: name })
      await connection.query('set', 'set standard_conforming_strings = off')
      expect(await connection.query('ask', `select ${quoteLiteral(name)} as x`)).toEqual([
        { x: name },
      ])
      await connection.query('set', 'set standard_conforming_strings = on')
    }
  })
})

test('a person’s query: one statement, at most so many rows, names and types; nothing else gets through', async () => {
  await withConnection(async (connection) => {
    await connection.query(
      'begin',
      beginReading('repeatable read', { lockTimeoutMs: 1_000, statementTimeoutMs: 5_000 }),
    )
    expect(
      await connection.read(
        'answer',
        `select n as "N", n::text as t, null::numeric(10,2) as d from generate_series(1, 5) n`,
        3,
      ),
    ).toEqual({
      columns: [
        { name: 'N', type: 'integer' },
        { name: 't', type: 'text' },
        { name: 'd', type: 'numeric' },
      ],
      rows: [
        ['1', '1', null],
        ['2', '2', null],
        ['3', '3', null],
      ],
      truncated: true,
    })
  })
  for (const statement of [
    'select 1; commit; create table escaped ()',
    'delete from copied',
    'create table escaped ()',
    'commit',
  ]) {
    await failure(
      withConnection(async (connection) => {
        await connection.query(
          'begin',
          beginReading('repeatable read', { lockTimeoutMs: 1_000, statementTimeoutMs: 5_000 }),
        )
        return connection.read('answer', statement, 3)
      }),
    )
  }
  expect(
    await database.query(
      `select to_regclass('escaped')::text as t, (select count(*)::text from copied) as n`,
    ),
  ).toEqual([{ t: null, n: '3' }])
})

test('closing twice is fine, and an open transaction does not outlive it', async () => {
  const connection = await connect({ side: 'source', name: 'shop', url: database.url })
  await connection.query('begin', 'begin; insert into copied values (99)')
  await Promise.all([connection.close(), connection.close()])
  await connection.close()
  expect(await database.query('select count(*)::text as n from copied where id = 99')).toEqual([
    { n: '0' },
  ])
  await expect(connection.query('ask', 'select 1')).rejects.toMatchObject({
    name: 'SourceUnreachable',
  })
})
