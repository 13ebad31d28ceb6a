/**
 * `tote verify`: whatever source, lake and warehouse hold otherwise than they ought to is found, named by key
 * on a person's own terminal alone, and made good by --repair; nothing is said to differ that does not.
 */
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { VerifiedTable } from '../../src/events.ts'
import type { Zone } from '../../src/lake/zone.ts'
import type { RunResult } from '../../src/pipeline/run.ts'
import { openProject, type Project } from '../../src/project/project.ts'
import { differingRows, nameOf } from '../../src/terminal/verified.ts'
import { verify, type VerifyOptions } from '../../src/verification/verify.ts'
import { contextHere } from '../support/here.ts'
import { createProject, type TestProject } from '../support/project.ts'
import { rebuilt, wholeStar } from '../support/rebuild.ts'
import { tamperLake } from '../support/tamper-lake.ts'

let shop: TestProject
let project: Project
beforeAll(async () => {
  shop = await createProject({ models: { ...(await shopModels()), dim_customer_history: HISTORY } })
  await shop.good()
  for (let day = 1; day <= 3; day++) {
    await shop.source.query(DAY.replaceAll('$day', String(day)))
    await shop.good()
  }
  project = await openProject({ cwd: shop.folder })
})
afterAll(async () => {
  await project.close()
  await shop.close()
})

const HISTORY = `-- kind: dimension
-- key: customer_id
-- history: true
-- record id: customer_record_id
select customer_id, legal_name from shop.customer
`
const DAY = `update sale set units = units + $day where sale_id % 2 = $day % 2;
  delete from sale where sale_id = 8800100 + $day;
  update customer set legal_name = 'Renamed Qx7 $day' where customer_id = 1;
  insert into staff values (10 + $day, 'New Qx7', 2);
  insert into payment values (10 + $day, 8800100 + $day, 1, 1.50, true);
  delete from payment where payment_id = 9 + $day`

async function shopModels(): Promise<Readonly<Record<string, string>>> {
  return (await import('../support/project-shop.ts')).MODELS
}

async function verified(options: VerifyOptions = {}): Promise<RunResult> {
  return verify(project, options, contextHere())
}

/** `fact_sale: 1 missing, 0 extra, 0 different ()` for every table that differs. */
function findings({ summary }: RunResult): string[] {
  return (summary.verified ?? [])
    .filter((table) => differingRows(table) > 0)
    .map(
      (table) =>
        `${nameOf(table)}: ${table.missing} missing, ${table.extra} extra, ${table.different} different (${Object.keys(table.columns).join()})${table.repaired ? ' repaired' : ''}`,
    )
}

function keysOf({ summary }: RunResult): string[] {
  return (summary.verified ?? []).flatMap((table: VerifiedTable) => table.keys.value)
}

/** What differs is found and named, exit 5; repaired and then equal; and the history is what it was. */
async function expectFoundAndRepaired(
  tamper: () => Promise<unknown>,
  expected: { readonly findings: readonly string[]; readonly keys: readonly string[] },
  historyStays = true,
): Promise<void> {
  const before = await wholeStar(shop.warehouse)
  await tamper()
  const found = await verified()
  expect(findings(found)).toEqual(expected.findings)
  expect(keysOf(found)).toEqual(expected.keys)
  expect(found.error?.name).toBe('DifferenceFound')
  expect(found.error?.exit).toBe(5)
  const repaired = await verified({ repair: true })
  expect(repaired.error).toBeUndefined()
  expect(findings(repaired)).toEqual(expected.findings.map((text) => `${text} repaired`))
  const after = await verified()
  expect(after.error).toBeUndefined()
  expect(findings(after)).toEqual([])
  if (historyStays) expect(await wholeStar(shop.warehouse)).toEqual(before)
  else expect(await rebuilt(shop)).toEqual(await wholeStar(shop.warehouse))
}

test('P12: after several days source, lake and warehouse are equal, and the counts add up', async () => {
  const { summary, error } = await verified()
  expect(error).toBeUndefined()
  const tables = summary.verified ?? []
  expect(tables.map(nameOf).toSorted()).toEqual(
    [
      ...['address', 'customer', 'department', 'payment', 'payment_type', 'sale', 'staff'].map(
        (name) => `shop.${name}`,
      ),
      ...Object.keys({ ...(await shopModels()), dim_customer_history: '' }).flatMap((name) => [
        `query of ${name}`,
        name,
      ]),
    ].toSorted(),
  )
  expect(tables.filter((table) => table.rowsFound !== table.rowsExpected)).toEqual([])
  const [sales] = await shop.source.query('select count(*) as n from sale')
  const [versions] = await shop.warehouse.query('select count(*) as n from fact_sale')
  const counted = (name: string): number | undefined =>
    tables.find((table) => nameOf(table) === name)?.rowsFound
  expect([counted('shop.sale'), counted('fact_sale')]).toEqual([
    Number(sales?.['n']),
    Number(versions?.['n']),
  ])
  expect(Number(versions?.['n'])).toBeGreaterThan(Number(sales?.['n']))
})

describe('P6: rows of the warehouse that somebody else', () => {
  test('changed', async () => {
    const [row] = await shop.warehouse.query(
      'select sale_record_id as id, sale_id as key from fact_sale where valid_to is null order by 1 limit 1',
    )
    await expectFoundAndRepaired(
      async () =>
        shop.warehouse.query(
          `update fact_sale set units = units + 1, note = '' where sale_record_id = ${row?.['id']}`,
        ),
      {
        findings: ['fact_sale: 0 missing, 0 extra, 1 different (units,note)'],
        keys: [`sale_record_id ${row?.['id']}, sale_id ${row?.['key']} (different)`],
      },
    )
  })
  test('deleted, a version that is no longer current', async () => {
    const [row] = await shop.warehouse.query(
      'select sale_record_id as id, sale_id as key from fact_sale where valid_to is not null order by 1 limit 1',
    )
    await expectFoundAndRepaired(
      async () =>
        shop.warehouse.query(`delete from fact_sale where sale_record_id = ${row?.['id']}`),
      {
        findings: ['fact_sale: 1 missing, 0 extra, 0 different ()'],
        keys: [`sale_record_id ${row?.['id']}, sale_id ${row?.['key']} (missing)`],
      },
    )
  })
  test('added', async () => {
    await expectFoundAndRepaired(
      async () =>
        shop.warehouse.query(
          `insert into dim_staff (staff_id, last_name, department_name, location) values (99, 'X', 'Y', 'Z');
           insert into fact_sale (sale_record_id, sale_id, created_date, created_time, last_updated, sales_staff_id, customer_id, units, unit_price, valid_from, batch)
             values (9999, 9999, '2026-01-01', '00:00', now(), 99, 1, 1, 1, now(), 1)`,
        ),
      {
        findings: [
          'dim_staff: 0 missing, 1 extra, 0 different ()',
          'fact_sale: 0 missing, 1 extra, 0 different ()',
        ],
        keys: ['staff_id 99 (too many)', 'sale_record_id 9999, sale_id 9999 (too many)'],
      },
    )
  })
  test('closed, or marked as deleted', async () => {
    await expectFoundAndRepaired(
      async () =>
        shop.warehouse.query(
          `update fact_payment set valid_to = now() where payment_record_id = 1;
           update dim_customer set is_deleted = true where customer_id = 2;
           update dim_customer_history set valid_from = valid_from + interval '1 microsecond' where customer_record_id = 1`,
        ),
      {
        findings: [
          'dim_customer: 0 missing, 0 extra, 1 different (is_deleted)',
          'dim_customer_history: 0 missing, 0 extra, 1 different (valid_from)',
          'fact_payment: 0 missing, 0 extra, 1 different (valid_to)',
        ],
        keys: [
          'customer_id 2 (different)',
          'customer_record_id 1, customer_id 1 (different)',
          'payment_record_id 1, payment_id 1 (different)',
        ],
      },
    )
  })
  test('swapped between two keys, so that no count and no set of values changed', async () => {
    await expectFoundAndRepaired(
      async () =>
        shop.warehouse.query(
          `update dim_staff as s set last_name = o.last_name from dim_staff as o
           where (s.staff_id, o.staff_id) in ((1, 2), (2, 1))`,
        ),
      {
        findings: ['dim_staff: 0 missing, 0 extra, 2 different (last_name)'],
        keys: ['staff_id 1 (different)', 'staff_id 2 (different)'],
      },
    )
  })
})

/** A batch that says what it ought not to, and what a run makes of it. */
async function tamper(...change: readonly [Zone, string, (rows: string) => string]): Promise<void> {
  await tamperLake(project, ...change)
  await shop.good()
}

test('P2: rows that the lake missed, changed and made up, though nothing tells that the table changed', async () => {
  await expectFoundAndRepaired(
    async () =>
      tamper(
        project.ingestion,
        'staff',
        (
          rows,
        ) => `select 'd' as _tote_op, staff_id, null::varchar as last_name, null::integer as department_id
              from ${rows} where staff_id = 11
            union all select 'u', staff_id, last_name || ' ', department_id from ${rows} where staff_id = 12
            union all select 'u', 77, 'Qx7', 1`,
      ),
    {
      findings: ['shop.staff: 1 missing, 1 extra, 1 different (last_name)'],
      keys: ['staff_id 12 (different)', 'staff_id 77 (too many)', 'staff_id 11 (missing)'],
    },
    // What the lake said went into the warehouse, and dimensions mark what is gone.
    false,
  )
})

async function tamperModel(): Promise<void> {
  await tamper(
    project.processed,
    'dim_payment_type',
    (rows) => `select 'u' as _tote_op, payment_type_id, 'Qx7' as payment_type_name from ${rows}`,
  )
}

test('P7: rows of a model that are not what its query yields', async () => {
  await expectFoundAndRepaired(
    tamperModel,
    {
      findings: ['query of dim_payment_type: 0 missing, 0 extra, 1 different (payment_type_name)'],
      keys: ['payment_type_id 1 (different)'],
    },
    false,
  )
})

test.each([
  ['', 1],
  [', also where a model differs besides', 2],
])(
  'P4, P12: a batch that rows of the star hold up is loaded once they are put right%s',
  async (_, differing) => {
    if (differing === 2) await tamperModel()
    await shop.warehouse.query('update dim_customer set is_deleted = true where customer_id <> 1')
    await shop.source.query(
      `update customer set legal_name = 'Held up Qx7 ${differing}' where customer_id = 1`,
    )
    const { error } = await shop.run()
    expect(error?.name).toBe('CountMismatch')
    const { summary, error: after } = await verified({ repair: true })
    expect(after).toBeUndefined()
    expect(summary.verified?.filter(({ repaired }) => repaired)).toHaveLength(differing)
    expect(summary.batches.warehouse).toEqual(summary.batches.processed)
    expect((await verified()).error).toBeUndefined()
  },
)

test('P3: every file of the lake whose bytes are others is named, and nothing is built on it', async () => {
  const folder = join(shop.folder, 'lake/ingestion/shop/sale')
  const names = (await readdir(folder, { recursive: true })).filter((name) =>
    name.endsWith('.parquet'),
  )
  const damaged = names.slice(0, 2).map((name) => join(folder, name))
  const bodies = await Promise.all(damaged.map(async (path) => readFile(path)))
  for (const [index, path] of damaged.entries()) {
    const body = Buffer.from(bodies[index] ?? '')
    body[body.length >> 1] = (body[body.length >> 1] ?? 0) ^ 1
    await writeFile(path, body)
  }
  // Of another table, which can be read: a batch of it is not committed either.
  await shop.source.query('update staff set last_name = reverse(last_name)')
  const before = await shop.standing()
  const { error, summary } = await verified({ repair: true })
  expect(error?.name).toBe('LakeCorrupt')
  expect(error?.facts.problems?.map(({ where }) => where).toSorted()).toEqual(
    names
      .slice(0, 2)
      .map((name) => `shop/sale/${name}`)
      .toSorted(),
  )
  expect(summary.verified).toEqual([])
  expect(await shop.standing()).toEqual(before)
  for (const [index, path] of damaged.entries()) await writeFile(path, bodies[index] ?? '')
  expect((await verified()).error).toBeUndefined()
})

describe('P10: the command', () => {
  test('names keys on a person’s own terminal, and nowhere else', async () => {
    await shop.warehouse.query('update fact_sale set units = 0 where sale_record_id = 2')
    const [row] = await shop.warehouse.query(
      'select sale_id as key from fact_sale where sale_record_id = 2',
    )
    const shown = await shop.onTerminal('verify')
    expect(shown.exit).toBe(5)
    expect(shown.stdout).toContain(`sale_id ${row?.['key']} (different)`)
    // `tote` looks for keys and cells in all that is written.
    const told = await shop.tote('verify', 'fact_sale')
    expect(told.exit).toBe(5)
    expect(told.stderr).toContain('DifferenceFound')
    expect(told.stdout).toMatch(/fact_sale +lake → warehouse +\d+ +\d+ +– +– +1 +✖ differ/)
    const json = await shop.tote('verify', '--json', 'fact_sale', '--repair')
    expect(json.exit).toBe(0)
    const last = JSON.parse(json.stdout.trim().split('\n').at(-1) ?? '') as {
      summary: { verified: VerifiedTable[] }
    }
    expect(last.summary.verified).toMatchObject([
      { what: 'model', table: 'fact_sale', different: 0 },
      {
        what: 'warehouse',
        table: 'fact_sale',
        different: 1,
        columns: { units: 1 },
        repaired: true,
      },
    ])
    expect((await shop.tote('verify')).exit).toBe(0)
  })
  test('refuses a table that there is not', async () => {
    const told = await shop.tote('verify', 'fact_sales')
    expect(told.exit).toBe(2)
    expect(told.stderr).toContain('fact_sale')
  })
})

test('a model that fails is told while the warehouse is still being compared', async () => {
  const path = join(shop.folder, 'models', 'dim_staff.sql')
  const text = await readFile(path, 'utf8')
  await writeFile(path, `${text}-- and then some\nwhere no_such_column = 1`)
  try {
    // For half a minute nothing can be read there.
    await shop.warehouse.query('begin; lock table fact_sale in access exclusive mode')
    const told = await Promise.race([verified(), delay(20_000)])
    expect(told).toMatchObject({ error: { name: 'ModelInvalid' } })
  } finally {
    await shop.warehouse.query('rollback')
    await writeFile(path, text)
  }
  expect((await verified()).error).toBeUndefined()
})
