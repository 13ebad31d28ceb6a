/**
 * What `tote verify --repair` asks the source for: only the ranges of keys that differ, in the snapshot in which they
 * were found; and that source, lake and warehouse are equal afterwards, whatever was wrong, and all else as it was.
 */
import fc from 'fast-check'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { quoteName } from '../../src/columns/sql.ts'
import { toText } from '../../src/columns/text.ts'
import { rowsAsOf } from '../../src/lake/read.ts'
import { extract } from '../../src/pipeline/extract.ts'
import { openProject, type Project } from '../../src/project/project.ts'
import type { SourceReading, SourceSnapshot } from '../../src/sources/source.ts'
import { differingRows, nameOf } from '../../src/terminal/verified.ts'
import type { RemadeTable } from '../../src/warehouse/warehouse.ts'
import { verify, type VerifyOptions } from '../../src/verification/verify.ts'
import { contextHere } from '../support/here.ts'
import { createProject, type TestProject } from '../support/project.ts'
import { rebuilt, wholeStar } from '../support/rebuild.ts'
import { tamperLake } from '../support/tamper-lake.ts'

const ROWS = 10_000

interface Keyed {
  readonly key: readonly string[]
  readonly ddl: string
  /** An expression for DuckDB and PostgreSQL: a key that no row has, made of a number; the number itself when not given. */
  readonly madeUp?: (n: string | number) => string
}

const asUuid = (n: string | number): string =>
  `('00000000-0000-4000-8000-00000000' || cast(${n} as varchar))::uuid`
const asMoment = (n: string | number): string =>
  `'2031-01-01 00:00:00+00'::timestamptz + ${n} * interval '1 second'`

/** Keys of every kind: with gaps, below zero and at both ends of eight bytes, of two columns, without end and before Christ, text, and none. */
const TABLES: Readonly<Record<string, Keyed>> = {
  plain: { key: ['id'], ddl: 'id integer primary key, v text' },
  wide: { key: ['id'], ddl: 'id bigint primary key, v text' },
  pair: { key: ['id', 'part'], ddl: 'id smallint, part text, v text, primary key (id, part)' },
  globally: { key: ['id'], ddl: 'id uuid primary key, v text', madeUp: asUuid },
  moment: { key: ['id'], ddl: 'id timestamptz primary key, v text', madeUp: asMoment },
  day: {
    key: ['id', 'part'],
    ddl: 'id date, part text, v text, primary key (id, part)',
    madeUp: (n) => `'2031-01-01'::date + ${n}`,
  },
  amount: { key: ['id'], ddl: 'id numeric(12,3) primary key, v text' },
  named: { key: ['id'], ddl: 'id text primary key, v text' },
  loose: { key: [], ddl: 'id integer, v text' },
}
const KEYED = Object.entries(TABLES).filter(([, { key }]) => key.length > 0)
const ORDINARY = { fullRefresh: false, acceptSource: false, acceptShrink: [], acceptChange: [] }
const keyText = (key: readonly string[]): string => key.join(', ')

/** Of each kind that a server can be asked for in ranges, `id` of the number n; and one that no row has. */
const LARGE: Readonly<Record<string, { type: string; id: string; madeUp: string }>> = {
  large: { type: 'integer', id: 'n', madeUp: String(ROWS + 3) },
  large_unique: {
    type: 'uuid',
    id: 'md5(n::text)::uuid',
    madeUp: "'ffffffff-0000-4000-8000-000000000000'::uuid",
  },
  large_moment: {
    type: 'moment_of_ours',
    id: "'2026-11-27 12:00:00+00'::timestamptz + n * interval '1 minute 1 microsecond'",
    madeUp: "'infinity'::timestamptz",
  },
}

const SETUP = `create domain moment_of_ours as timestamptz;
${Object.entries(TABLES)
  .map(([name, { ddl }]) => `create table ${name} (${ddl});`)
  .join('\n')}
${Object.entries(LARGE)
  .map(
    ([name, { type, id }]) =>
      `create table ${name} (id ${type} primary key, v text);
insert into ${name} select ${id}, 'v' || n from generate_series(1, ${ROWS}) n;`,
  )
  .join('\n')}
insert into plain select n * 7 - 700, 'v' || n from generate_series(1, 300) n;
insert into wide select n * 1000003, 'v' || n from generate_series(-150, 150) n;
insert into wide values (-9223372036854775808, 'least'), (9223372036854775807, 'greatest');
insert into pair select n / 3, 'part ' || n % 3, 'v' || n from generate_series(-150, 150) n;
insert into globally select md5(n::text)::uuid, 'v' || n from generate_series(1, 100) n;
insert into globally values ('00000000-0000-0000-0000-000000000000', 'least'), ('ffffffff-ffff-ffff-ffff-ffffffffffff', 'greatest');
insert into moment select '2026-11-27 12:00:00.000001+00'::timestamptz + n * interval '61 minutes', 'v' || n from generate_series(1, 100) n;
insert into moment values ('-infinity', 'least'), ('0044-03-15 12:00:00+00 BC', 'before'), ('infinity', 'greatest');
insert into day select '1999-12-01'::date + n / 2, 'part ' || n % 2, 'v' || n from generate_series(1, 100) n;
insert into day values ('-infinity', '', 'least'), ('0044-03-15 BC', '', 'before'), ('infinity', '', 'greatest');
insert into amount select n * 1.125, 'v' || n from generate_series(-50, 50) n;
insert into named select 'k' || n, 'v' || n from generate_series(1, 100) n;
create table late (id timestamptz primary key, number integer, v text);
create index on late (number);
insert into late select '2026-11-27 12:00:00+00'::timestamptz + n * interval '1 hour', n, 'v' || n from generate_series(1, 2000) n;
insert into loose select n % 50, 'v' || n % 50 from generate_series(1, 100) n;`

/** Without record ids: what the warehouse can be asked for by ranges is the model's own key. */
const LISTS = {
  dim_globally: { kind: 'dimension', from: 'globally' },
  dim_day: { kind: 'dimension', from: 'day' },
  list_amount: { kind: 'table', from: 'amount' },
  dim_named: { kind: 'dimension', from: 'named' },
} as const
const LONG_LISTS = {
  dim_unique: { kind: 'dimension', from: 'large_unique' },
  list_moment: { kind: 'table', from: 'large_moment' },
} as const

const modelOf = (kind: string, from: string, more = ''): string => {
  const key = keyText(TABLES[from]?.key ?? ['id'])
  return `-- kind: ${kind}\n-- key: ${key}\n${more}-- nullable: v\nselect ${key}, v from shop.${from}\n`
}
const MODELS = Object.fromEntries([
  ...[...KEYED.map(([name]) => name), ...Object.keys(LARGE)].map((name) => [
    `fact_${name}`,
    modelOf('fact', name, '-- record id: record_id\n'),
  ]),
  ...Object.entries({ ...LISTS, ...LONG_LISTS }).map(([name, { kind, from }]) => [
    name,
    modelOf(kind, from),
  ]),
])

let shop: TestProject
let project: Project
beforeAll(async () => {
  shop = await createProject({
    setup: SETUP,
    models: MODELS,
    source: `table: { ${Object.keys(LARGE)
      .map((name) => `${name}: { strategy: 'xmin' }`)
      .join(', ')},
      late: { strategy: 'cursor', cursor: { column: 'number', lookBack: 1, reconcile: '24h' } } }`,
  })
  await shop.good()
  project = await openProject({ cwd: shop.folder })
})
afterAll(async () => {
  await project.close()
  await shop.close()
})

interface Sent {
  readonly table: string
  readonly how: 'all' | 'ranges' | 'other'
  /** As the server counted them. */
  readonly rows: number
}
let sent: Sent[] = []
/** Rows that were sent to the warehouse, to be compared or to take the place of others. */
let shipped = 0
/** Called before rows of ranges are asked for. */
let onRanges: () => Promise<void> = async () => undefined
/** Called before the warehouse is put right. */
let onRepair: () => Promise<void> = async () => undefined
afterEach(() => {
  onRanges = async () => undefined
  onRepair = async () => undefined
})

/** A table of which rows are counted as they are sent. */
const counted = (remade: RemadeTable): RemadeTable => ({
  ...remade,
  rows: {
    chunks: async function* (select) {
      for await (const chunk of remade.rows.chunks(select)) {
        shipped += chunk.rowCount
        yield chunk
      }
    },
  },
})

/** The project, with all that its source sends and its warehouse is sent written down. */
function watched(): Project {
  const watch = (snapshot: SourceSnapshot): SourceSnapshot => ({
    ...snapshot,
    copy: async (table, sink, reading: SourceReading = {}) => {
      if (reading.ranges !== undefined) await onRanges()
      const rows = await snapshot.copy(table, sink, reading)
      const isPart = (reading.columns ?? 'rows') === 'places' || reading.places !== undefined
      const how = reading.ranges === undefined ? (isPart ? 'other' : 'all') : 'ranges'
      sent.push({ table: table.name, how, rows })
      return rows
    },
  })
  const sources = project.sources.map((from) => ({
    ...from,
    source: {
      ...from.source,
      snapshot: async (asked: Parameters<typeof from.source.snapshot>[0]) =>
        watch(await from.source.snapshot(asked)),
    },
  }))
  const warehouse: Project['warehouse'] = {
    ...project.warehouse,
    reading: async (work) =>
      project.warehouse.reading(async (star) =>
        work({
          ...star,
          compare: async (remade, ...rest) => star.compare(counted(remade), ...rest),
        }),
      ),
    repair: async (repair, context) => {
      await onRepair()
      return project.warehouse.repair({ ...repair, remade: repair.remade.map(counted) }, context)
    },
  }
  return { ...project, sources, warehouse }
}

/** What differs, or what went wrong. */
async function verified(options: VerifyOptions = {}): Promise<string[]> {
  sent = []
  shipped = 0
  const { error, summary } = await verify(watched(), options, contextHere())
  const found = (summary.verified ?? []).filter((table) => differingRows(table) > 0)
  const told = found.map((table) => `${nameOf(table)}${table.repaired ? ' repaired' : ''}`)
  return error === undefined || error.name === 'DifferenceFound' ? told : [error.message]
}

const rowsSent = (how: Sent['how'], table?: string): number =>
  sent
    .filter((one) => one.how === how && (table === undefined || one.table === table))
    .reduce((sum, { rows }) => sum + rows, 0)

const damageLarge = async (at: number, table = 'large'): Promise<void> =>
  tamperLake(
    project,
    project.ingestion,
    table,
    (rows) => `select 'd' as _tote_op, id, null::varchar as v from ${rows} where v = 'v${at}'
      union all select 'u', id, v || '.' from ${rows} where v = 'v${at + 5000}'
      union all select 'u', ${LARGE[table]?.madeUp}, 'made up'`,
  )

test.each(Object.keys(LARGE))(
  'P11: a repair of "%s" asks the source for the ranges that differ and for nothing else',
  async (table) => {
    await damageLarge(3, table)
    expect(await verified()).toEqual([`shop.${table}`])
    // Once as whole lines, once to see in which ranges they differ, and these for their keys.
    expect(rowsSent('all', table)).toBe(2 * ROWS)
    expect(rowsSent('ranges')).toBeLessThan(ROWS / 20)
    const looking = sent
    expect(await verified({ repair: true })).toEqual([`shop.${table} repaired`])
    expect(rowsSent('all', table)).toBe(2 * ROWS)
    // Of the two ends and one in the middle, of 1,024; once more for the batch.
    expect(rowsSent('ranges')).toBeLessThan(ROWS / 10)
    expect(sent.filter(({ how }) => how === 'ranges')).toHaveLength(2)
    // Nor for any other table than a verification without a repair does.
    const others = (one: Sent): boolean => one.how !== 'ranges'
    expect(sent.filter(others)).toEqual(looking.filter(others))
    expect(await verified()).toEqual([])
    expect(rowsSent('ranges')).toBe(0)
    const [wrong] = await shop.warehouse.query(
      `select count(*) as n from fact_${table} where v ~ '^v[0-9]+$' and v not in ('v3', 'v5003') and (valid_to is not null or batch <> 1)`,
    )
    expect(wrong?.['n']).toBe('0')
  },
)

test('P2: pairs say what they said, so that the run after a repair reads nothing and later changes are found', async () => {
  sent = []
  const [from] = watched().sources
  if (from === undefined) throw new Error('no source')
  expect((await extract(watched(), from, ORDINARY, contextHere())).changed).toBe(false)
  expect(rowsSent('all', 'large')).toBe(0)
  await shop.source.query(`update large set v = 'later' where id in (3, 5003, 9000)`)
  await shop.good()
  expect(await verified()).toEqual([])
})

test('P3: runs that commit between the comparison and the repair are not undone', async () => {
  await damageLarge(300)
  let asked = 0
  onRanges = async () => {
    asked += 1
    // While the keys of what differs are looked for, and when they have been found once more and are read for the batch.
    if (asked !== 1 && asked !== 3) return
    await shop.source.query(
      `update large set v = 'meanwhile ${asked}' where id = 301; delete from large where id = ${302 + asked}`,
    )
    const [from] = project.sources
    if (from === undefined) throw new Error('no source')
    await extract(project, from, ORDINARY, contextHere())
  }
  expect(await verified({ repair: true })).toEqual(['shop.large repaired'])
  expect(asked).toBe(5)
  expect(await verified()).toEqual([])
  await expectAllEqual('large', ['id'])
})

test('P8, P11: a repair by ranges that brings a key which no file carries makes the column text, and ranges are of its values still', async () => {
  await shop.source.query(
    `insert into late values ('294276-12-31 23:59:59.999999+00', 1, 'last'), ('4714-11-24 00:00:00+00 BC', 1, 'first')`,
  )
  expect(await verified({ repair: true })).toEqual(['shop.late repaired'])
  // Those of the two ends; by the cursor it is read whole, once as lines and once for its ranges.
  expect(rowsSent('ranges', 'late')).toBeLessThan(200)
  expect(await carriedBy('late', 'id')).toBe('VARCHAR')
  expect(await verified()).toEqual([])
  await tamperLake(
    project,
    project.ingestion,
    'late',
    (
      rows,
    ) => `select 'd' as _tote_op, id, null::integer as number, null::varchar as v from ${rows} where v in ('last', 'v1000')
      union all select 'u', id, number, v || '.' from ${rows} where v in ('first', 'v1200')`,
  )
  expect(await verified({ repair: true })).toEqual(['shop.late repaired'])
  expect(rowsSent('ranges', 'late')).toBeLessThan(200)
  expect(await verified()).toEqual([])
})

test.each([
  ['fact_large', `record_id, id, v, valid_from, batch`, `900000, ${ROWS + 900}, 'W', now(), 1`],
  ['dim_unique', 'id, v', `'ffffffff-ffff-4000-8000-000000000000', 'W'`],
  ['list_moment', 'id, v', `'-infinity', 'W'`],
])(
  'P6, P11: of "%s" in the warehouse only rows of ranges that differ are sent, and no other is touched',
  async (table, columns, values) => {
    const untouched = async (): Promise<unknown> =>
      shop.warehouse.query(
        `select count(*), md5(string_agg(ctid || ' ' || xmin, ',' order by ctid)) from ${table} where v not in ('v77', 'v9100', 'v9100!', 'W')`,
      )
    const before = await untouched()
    await shop.warehouse.query(
      `delete from ${table} where v = 'v77'; update ${table} set v = v || '!' where v = 'v9100';
       insert into ${table} (${columns}) values (${values})`,
    )
    const { summary } = await verify(watched(), {}, contextHere())
    const [found] = (summary.verified ?? []).filter((one) => differingRows(one) > 0)
    expect(found).toMatchObject({ table, missing: 1, extra: 1, different: 1, columns: { v: 1 } })
    shipped = 0
    expect(await verified({ repair: true })).toEqual([`${table} repaired`])
    // Of three ranges among 1,024; once to see what differs, and once to put it right.
    expect(shipped).toBeGreaterThan(3)
    expect(shipped).toBeLessThan(ROWS / 20)
    expect(await verified()).toEqual([])
    expect(shipped).toBe(0)
    expect(await untouched()).toEqual(before)
  },
)

test('P6: what somebody writes elsewhere in a table between its comparison and its repair is found, and put right as well', async () => {
  await shop.warehouse.query(`update fact_large set v = v || '!' where v = 'v77'`)
  let tries = 0
  onRepair = async () => {
    tries += 1
    if (tries > 1) return
    await shop.warehouse.query(
      `delete from fact_large where v = 'v4077'; update fact_large set v = v || '!' where v = 'v8077'`,
    )
  }
  expect(await verified({ repair: true })).toEqual(['fact_large repaired'])
  expect(tries).toBe(2)
  expect(await verified()).toEqual([])
  // As many rows as there ought to be tell nothing: they are compared once more.
  await shop.warehouse.query(`update fact_large set v = v || '!' where v = 'v77'`)
  onRepair = async () => {
    await shop.warehouse.query(`update fact_large set v = v || '!' where v = 'v8077'`)
  }
  expect(await verified({ repair: true })).toEqual(['fact_large'])
  expect(await verified()).toEqual(['fact_large'])
  onRepair = async () => undefined
  expect(await verified({ repair: true })).toEqual(['fact_large repaired'])
  expect(await verified()).toEqual([])
})

async function carriedBy(table: string, column: string): Promise<string | undefined> {
  const manifest = await project.ingestion.chain('shop').newest()
  return manifest?.tables[table]?.columns.find(({ name }) => name === column)?.carried
}

/** By PostgreSQL and by the lake's own rows, in the same text. */
async function expectAllEqual(table: string, key: readonly string[]): Promise<void> {
  const textOf = (names: readonly string[], order = ''): string =>
    `string_agg(concat_ws('|', ${[...names, "coalesce(v, '∅')"].join(', ')}), chr(10) order by ${names.map((name) => `${name}${order}`).join(', ')})`
  const text = textOf(
    key.map((name) => `${name}::text`),
    ' collate "C"',
  )
  const utc = "set timezone = 'UTC'"
  const [source] = await shop.source.query(`${utc}; select ${text} as t from ${table}`)
  const [warehouse] = await shop.warehouse.query(
    `${utc}; select ${text} as t from fact_${table}_current`,
  )
  expect(warehouse?.['t']).toBe(source?.['t'])
  const manifest = await project.ingestion.chain('shop').newest()
  if (manifest === null) throw new Error('no lake')
  const engine = await project.engine()
  try {
    const rows = await rowsAsOf(project.ingestion, manifest, table, manifest.batch)
    const columns = manifest.tables[table]?.columns ?? []
    const keys = key.map((name) => {
      const carried = columns.find((column) => column.name === name)?.carried ?? ''
      return toText(quoteName(name), carried)
    })
    const [lake] = await engine.rows(`select ${textOf(keys)} as t from (${rows})`)
    expect(lake?.['t']).toBe(source?.['t'])
  } finally {
    engine.close()
  }
}

/** Which of a table's rows, by their place in the order of the key, and in which way. */
const damage = fc.record({
  lost: fc.uniqueArray(fc.nat(90), { maxLength: 3 }),
  altered: fc.uniqueArray(fc.nat(90), { maxLength: 3 }),
  extra: fc.uniqueArray(fc.integer({ min: 2000, max: 2100 }), { maxLength: 2 }),
})
interface Damage {
  readonly lost: readonly number[]
  readonly altered: readonly number[]
  readonly extra: readonly number[]
}
interface Damages {
  readonly lake: Damage
  readonly warehouse: Damage
}
const world = fc.record({
  tables: fc.record(
    Object.fromEntries(
      KEYED.map(([name]) => [name, fc.record({ lake: damage, warehouse: damage })]),
    ),
  ),
  loose: fc.nat(3),
  loaded: fc.boolean(),
  meanwhile: fc.nat(90),
})

const among = (places: readonly number[]): string => `(${[-1, ...places].join(', ')})`

function damagedRows({ key, madeUp = String }: Keyed, { lost, altered, extra }: Damage) {
  return (rows: string): string => {
    const numbered = `(select *, row_number() over (order by ${keyText(key)}) - 1 as place from ${rows})`
    const added = extra.map(
      (n) =>
        `select 'u', ${key.map((_, i) => (i === 0 ? madeUp(n) : `'x'`)).join(', ')}, 'made up'`,
    )
    return [
      `select 'd' as _tote_op, ${keyText(key)}, null::varchar as v from ${numbered} where place in ${among(lost)}`,
      `select 'u', ${keyText(key)}, coalesce(v, '') || '.' from ${numbered} where place in ${among(altered)} and place not in ${among(lost)}`,
      ...added,
    ].join(' union all ')
  }
}

async function damageWarehouse(
  table: string,
  { key, madeUp = String }: Keyed,
  what: Damage,
): Promise<void> {
  const isFact = table.startsWith('fact_')
  const chosen = (places: readonly number[]): string =>
    `(${keyText(key)}) in (select ${keyText(key)} from (select ${keyText(key)}, row_number() over (order by ${keyText(key)}) - 1 as place
       from ${table}${isFact ? ' where valid_to is null' : ''}) as r where place in ${among(places)})${isFact ? ' and valid_to is null' : ''}`
  const added = key.map((_, i) => (i === 0 ? madeUp('n') : `'w'`)).join(', ')
  const from = `unnest('{${what.extra.map((n) => n + 200).join(',')}}'::int[]) n`
  await shop.warehouse.query(
    `update ${table} set v = coalesce(v, '') || '!' where ${chosen(what.altered)};
     delete from ${table} where ${chosen(what.lost)};
     ${
       isFact
         ? `insert into ${table} (record_id, ${keyText(key)}, v, valid_from, batch) select 900000 + n, ${added}, 'W', now(), 1 from ${from}`
         : `insert into ${table} (${keyText(key)}, v) select ${added}, 'W' from ${from}`
     }`,
  )
}

test(
  'P2, P6, P7: whatever rows of lake and warehouse are lost, altered or made up, a repair makes all sides equal and leaves other versions',
  { timeout: 180_000 },
  async () => {
    await fc.assert(
      fc.asyncProperty(world, async ({ tables, loose, loaded, meanwhile }) => {
        const touched = new Map<string, string>()
        for (const [name, keyed] of KEYED) {
          const { lake } = tables[name] as Damages
          await tamperLake(project, project.ingestion, name, damagedRows(keyed, lake))
          touched.set(name, among([...lake.lost, ...lake.altered, meanwhile]))
        }
        await tamperLake(
          project,
          project.ingestion,
          'loose',
          (rows) =>
            `select 'd' as _tote_op, id, v, _tote_row from ${rows} order by _tote_row limit ${loose}`,
        )
        const outside = async (): Promise<unknown> => {
          const versions: unknown[] = []
          for (const [name, { key }] of KEYED)
            versions.push(
              await shop.warehouse.query(
                `select * from fact_${name} where v not in ('made up', 'W') and (${keyText(key)}) not in
                 (select ${keyText(key)} from (select ${keyText(key)}, row_number() over (order by ${keyText(key)}) - 1 as place
                   from (select distinct ${keyText(key)} from fact_${name} where v not in ('made up', 'W')) as k) as r
                  where place in ${touched.get(name) ?? ''}) order by record_id`,
              ),
            )
          return versions
        }
        const before = await outside()
        if (loaded) await shop.good()
        for (const [name, keyed] of KEYED)
          await damageWarehouse(`fact_${name}`, keyed, (tables[name] as Damages).warehouse)
        for (const [name, { from }] of Object.entries(LISTS))
          await damageWarehouse(name, TABLES[from] as Keyed, (tables[from] as Damages).warehouse)
        await shop.source.query(`update plain set v = v || '+' where id = ${meanwhile * 7 - 693}`)
        await verified({ repair: true })
        expect(await verified()).toEqual([])
        for (const [name, { key }] of KEYED) await expectAllEqual(name, key)
        expect(await outside()).toEqual(before)
      }),
      {
        numRuns: 3,
        endOnFailure: true,
        ...(process.env['TOTE_SEED'] === undefined
          ? {}
          : { seed: Number(process.env['TOTE_SEED']) }),
      },
    )
    expect(await rebuilt(shop)).toEqual(await wholeStar(shop.warehouse))
  },
)
