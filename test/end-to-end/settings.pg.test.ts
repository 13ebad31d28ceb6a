/**
 * The settings of single tables, from a source to the warehouse: columns, rows, keys, and values that
 * must not reach the lake, nor any file on the way to it (P10).
 */
import { createHmac } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openEngine } from '../../src/columns/engine.ts'
import { run } from '../../src/pipeline/run.ts'
import { createProject, type TestProject } from '../support/project.ts'
import { SECRET } from '../support/project-shop.ts'
import { expectRefusal } from '../support/refusal.ts'

const MASK_SECRET = `${SECRET}-for-masks`
/** Stands in every value that is masked, and nowhere else. */
const PLANTED = 'Zx9planted'
/** Stands in a value that is not masked: whoever looks for PLANTED must be able to find this. */
const SHOWN = 'Zx9shown'

const SETUP = `
create schema "Odd Schema";
create table customer (email text primary key, legal_name text not null, phone text, born date, note text,
  country text not null, secret_code integer not null);
insert into customer values
  ('${PLANTED}@example.org', '${SHOWN} & Co', '${PLANTED} 113', '1970-01-01', '${PLANTED}, "quoted"
over two lines', 'GB', 77001),
  ('b@example.org', 'B', null, null, null, 'GB', 77002),
  ('c@example.org', 'C', '1', '1970-01-02', '', 'FR', 77003);
create table "Odd Schema"."Order.Line ""x""" ("Line No" integer primary key, email text not null, amount numeric(10,2) not null);
insert into "Odd Schema"."Order.Line ""x""" values (1, '${PLANTED}@example.org', 1.50), (2, 'b@example.org', 2.50);
create table keyless (a integer not null, b text, c text);
insert into keyless values (1, 'x', 'one'), (1, 'y', 'two');
grant usage on schema "Odd Schema" to public;
grant select on all tables in schema "Odd Schema" to public`

const MODELS = {
  dim_customer: `-- kind: dimension
-- key: email
-- nullable: phone, born, note
select email, legal_name, phone, born, note from shop.customer
`,
  fact_line: `-- kind: fact
-- key: line_no
-- record id: line_record_id
-- references: email -> dim_customer
select "Line No" as line_no, email, amount from shop."Odd Schema.Order.Line ""x""" where email in (select email from shop.customer)
`,
}

const TABLE = `
  table: {
    customer: {
      columns: { exclude: ['secret_code'] },
      where: "country = 'GB' -- of those at home",
      mask: { email: 'hash', phone: 'redact', born: 'redact', note: 'hash' },
    },
    '"Odd Schema"."Order.Line ""x"""': { mask: { email: 'hash' } },
    keyless: { key: ['a', 'b'], columns: { exclude: ['c'] } },
  },
  tables: { include: ['customer', '"Odd Schema"."Order.Line ""x"""', 'keyless'] },`
const PROJECT = `maskSecret: env('MASK_SECRET'),`

let project: TestProject
beforeAll(async () => {
  project = await createProject({ setup: SETUP, models: MODELS, source: TABLE, project: PROJECT })
  await project.environment({ MASK_SECRET })
})
afterAll(async () => project.close())

function hmac(value: string): string {
  return createHmac('sha256', MASK_SECRET).update(value).digest('hex')
}

function filesUnder(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
}

/** Which of the two words the files of the project hold, Parquet unpacked. */
async function wordsInFiles(): Promise<{ planted: string[]; shown: string[] }> {
  const found = { planted: [] as string[], shown: [] as string[] }
  const engine = await openEngine({ tempFolder: project.folder, signal: undefined })
  try {
    for (const path of filesUnder(project.folder)) {
      const text = path.endsWith('.parquet')
        ? JSON.stringify(
            await engine.rows(`select columns(*)::varchar from read_parquet('${path}')`),
          )
        : readFileSync(path, 'latin1')
      if (text.includes(PLANTED)) found.planted.push(path)
      if (text.includes(SHOWN)) found.shown.push(path)
    }
  } finally {
    engine.close()
  }
  return found
}

test('P10: a masked value reaches no file, not even a temporary one, nor the warehouse', async () => {
  const during: string[] = []
  let pieces = 0
  const { error } = await project.opened(async (opened) =>
    run(
      opened,
      {},
      {
        run: 'masked',
        signal: new AbortController().signal,
        now: () => new Date(),
        // Among them the moments when rows have left the source, and their pieces still lie there.
        emit: () => {
          for (const path of filesUnder(project.folder)) {
            const text = readFileSync(path, 'latin1')
            if (path.endsWith('.csv') && text.includes(SHOWN)) pieces += 1
            if (text.includes(PLANTED)) during.push(path)
          }
        },
      },
    ),
  )
  if (error !== undefined) throw error
  expect(pieces, 'pieces that were looked into').toBeGreaterThan(0)
  expect(during).toEqual([])

  const shape = await project.opened(
    async ({ ingestion }) => (await ingestion.chain('shop').newest())?.tables['customer']?.shape,
  )
  expect(shape).toMatch(
    /; where [0-9a-f]{64}; hash "email"; redact "phone"; redact "born"; hash "note"; secret [0-9a-f]{16}$/,
  )
  const { planted, shown } = await wordsInFiles()
  expect(planted).toEqual([])
  expect(shown.filter((path) => path.includes('/ingestion/'))).toHaveLength(1)
  expect(shown.filter((path) => path.includes('/processed/'))).toHaveLength(1)
  expect(
    await project.warehouse.query(
      'select email, legal_name, phone, born, note from dim_customer order by legal_name desc',
    ),
  ).toEqual([
    {
      email: hmac(`${PLANTED}@example.org`),
      legal_name: `${SHOWN} & Co`,
      phone: 'redacted',
      born: null,
      note: hmac(`${PLANTED}, "quoted"\nover two lines`),
    },
    { email: hmac('b@example.org'), legal_name: 'B', phone: null, born: null, note: null },
  ])
})

test('hashed keys join: the fact refers to its dimension', async () => {
  expect(
    await project.warehouse.query(
      'select line_no, legal_name, amount from fact_line join dim_customer using (email) order by 1',
    ),
  ).toEqual([
    { line_no: '1', legal_name: `${SHOWN} & Co`, amount: '1.50' },
    { line_no: '2', legal_name: 'B', amount: '2.50' },
  ])
})

test('the lake does not know columns that are left out, and keeps what is known of rows by the given key', async () => {
  const { stdout } = await project.tote('query', '--csv', 'select * from shop.keyless order by b')
  expect(stdout).toBe('a,b\r\n1,x\r\n1,y\r\n')
  const none = await project.tote('query', 'select secret_code from shop.customer')
  expect(none.stderr).toContain('"secret_code" not found')
})

test('P2: a row that leaves the filter is deleted, one that enters it is inserted, others are no business of ours', async () => {
  await project.source.query(
    `update customer set country = 'GB' where email = 'c@example.org';
     update customer set country = 'FR', note = 'x' where email = 'b@example.org';
     update customer set secret_code = 1`,
  )
  await project.source.query(`delete from "Odd Schema"."Order.Line ""x""" where "Line No" = 2`)
  const { tables } = await project.good()
  expect(tables.find(({ table }) => table === 'customer')).toMatchObject({
    inserted: 1,
    updated: 0,
    deleted: 1,
    rowsInSource: 2,
    rowsInLake: 2,
  })
  expect((await project.good()).outcome).toBe('nothing to do')
})

test('another filter, another mask or another secret is an ordinary difference', async () => {
  const changed = async (source: string): Promise<readonly number[]> => {
    await project.configure({ source, project: PROJECT })
    const { tables } = await project.good()
    const table = tables.find((one) => one.table === 'customer')
    return [table?.inserted ?? 0, table?.updated ?? 0, table?.deleted ?? 0]
  }
  expect(await changed(TABLE.replace("country = 'GB'", "country <> ''"))).toEqual([1, 0, 0])
  // Born is NULL, and stays so: what was masked differently is the phone.
  expect(await changed(TABLE.replace("phone: 'redact'", "phone: 'hash'"))).toEqual([0, 2, 1])
  expect(await changed(TABLE)).toEqual([0, 2, 0])
  // The key is a hash: under another secret every row is another one.
  await project.environment({ MASK_SECRET: `${MASK_SECRET}-2` })
  const { tables } = await project.good()
  expect(tables.find(({ table }) => table === 'customer')).toMatchObject({
    inserted: 2,
    deleted: 2,
  })
  await project.environment({ MASK_SECRET })
  await project.good()
})

test('a mask that comes late is warned of, once: earlier batches keep what they have', async () => {
  const warned = async (): Promise<string[]> => {
    const { events } = await project.run()
    return events.flatMap((event) =>
      event.type === 'note' && event.level === 'warn' ? [event.text] : [],
    )
  }
  await project.configure({
    source: TABLE.replace('mask: { email', "mask: { legal_name: 'hash', email"),
    project: PROJECT,
  })
  expect(await warned()).toEqual([
    expect.stringContaining('table "customer": hash "legal_name" holds from this batch on'),
  ])
  expect(await warned()).toEqual([])
  await project.configure({ source: TABLE, project: PROJECT })
  await project.good()
})

test('a column that is in the lake and is left out keeps what rows had, and comes back as the same', async () => {
  const names = async (): Promise<unknown> =>
    project.warehouse.query('select legal_name from dim_customer where not is_deleted order by 1')
  const before = await names()
  const source = TABLE.replace("['secret_code']", "['secret_code', 'legal_name']")
  await project.configure({ project: PROJECT, source })
  const { events, error } = await project.run()
  expect(error).toBeUndefined()
  expect(events).toContainEqual(
    expect.objectContaining({
      type: 'note',
      level: 'warn',
      text: 'customer.legal_name is in the lake, and left out by columns.exclude of the config: rows keep what they had until they change',
    }),
  )
  expect(await names()).toEqual(before)
  await project.configure({ source: TABLE, project: PROJECT })
  const { tables } = await project.good()
  expect(tables.every(({ inserted, updated, deleted }) => inserted + updated + deleted === 0)).toBe(
    true,
  )
  expect(await names()).toEqual(before)
})

test('a new column at the source holds nothing up when the contract is to freeze and the config leaves it out', async () => {
  await project.source.query("alter table customer add column colour text default 'red'")
  const frozen = `contract: 'freeze', ${TABLE}`
  await project.configure({ project: PROJECT, source: frozen })
  await expectRefusal(project, {
    name: 'SourceChanged',
    says: ['customer.colour is new (text)', 'leave the tables or columns out'],
  })
  await project.configure({
    project: PROJECT,
    source: frozen.replace("['secret_code']", "['secret_code', 'colour']"),
  })
  expect((await project.good()).outcome).toBe('nothing to do')
  await project.source.query('alter table customer drop column colour')
  await project.configure({ source: TABLE, project: PROJECT })
})

test('a given key that does not tell rows apart is refused, without a value', async () => {
  await project.source.query("insert into keyless values (1, 'x', 'three'), (2, null, 'four')")
  await expectRefusal(project, {
    name: 'SourceKeyInvalid',
    says: [
      'The key (a, b) that the config gives to table "keyless"',
      '1 rows have NULL in it',
      '2 rows share it with another',
      'nothing was committed',
    ],
  })
  await project.source.query("delete from keyless where c in ('three', 'four')")
})

test.each([
  ["country = 'GB' and", 'syntax error'],
  ["true) or (country = 'GB'", 'syntax error'],
  ["country = 'GB' limit 1", 'syntax error'],
  ["country = 'GB'; select 1", 'syntax error'],
  ["country = 'GB' /* not closed", 'unterminated /* comment'],
  ['kountry is null', 'column "kountry" does not exist'],
  ['country', 'argument of WHERE must be type boolean, not type text'],
  ['nobody(country)', 'function nobody(text) does not exist'],
])('a row filter that is not one condition is refused at its line: %s', async (where, says) => {
  await project.configure({
    project: PROJECT,
    source: TABLE.replace(/where: ".*"/, `where: ${JSON.stringify(where)}`),
  })
  await expectRefusal(project, {
    name: 'ConfigInvalid',
    args: ['check', '--live'],
    says: ['tote.config.ts:10:7', 'row filter', says],
  })
  await project.configure({ source: TABLE, project: PROJECT })
})

test('settings that do not fit their tables are all said by check --live, each at its line', async () => {
  await project.configure({
    project: PROJECT,
    source: `table: {
      customer: {
        mask: { email: 'redact' },
        columns: { exclude: ['fone'] },
      },
    }`,
  })
  await expectRefusal(project, {
    name: 'ConfigInvalid',
    args: ['check', '--live'],
    says: [
      'tote.config.ts:9:30 public.customer has no column "fone". Did you mean "phone"?',
      'column "email" is part of the key, and mask takes it away',
    ],
  })
  await project.configure({ project: PROJECT, source: `table: { costumer: {} }` })
  await expectRefusal(project, {
    name: 'SourceTableUnknown',
    args: ['check', '--live'],
    says: ['tote.config.ts:6', 'Did you mean "public.customer"?'],
  })
  await project.configure({ source: TABLE, project: PROJECT })
})
