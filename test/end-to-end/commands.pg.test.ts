/** The commands that only look: check, status, query, explain; good and bad, with and without `--json`. */
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createProject, type TestProject, type Told } from '../support/project.ts'
import { MODELS } from '../support/project-shop.ts'
import { expectRefusal } from '../support/refusal.ts'

let project: TestProject
beforeAll(async () => {
  project = await createProject()
})
afterAll(async () => project.close())

function json(told: Told): Record<string, unknown> {
  return JSON.parse(told.stdout) as Record<string, unknown>
}

describe('before the first run', () => {
  test('check looks at config and headers, and starts nothing', async () => {
    await project.environment({ SHOP_URL: 'postgres://nobody@127.0.0.1:1/none' })
    const told = await project.tote('check')
    expect(told.exit).toBe(0)
    expect(told.stdout).toMatch(/✔ config +\S*tote\.config\.ts\n✔ models +5 headers/)
    expect(told.stdout).toContain('Nothing is wrong. Next: tote check --live')
    await project.environment({})
  })
  test('check --live asks both databases, and checks the models against the source', async () => {
    const told = await project.tote('check', '--live')
    expect(told.stderr).toBe('')
    expect(told.stdout).toMatch(/✔ source shop +7 tables can be read\n/)
    expect(told.stdout).toMatch(/✔ models +5 models\n✔ warehouse +can be loaded/)
    expect(told.stdout).toContain('Next: tote run')
    expect(json(await project.tote('check', '--live', '--json'))).toMatchObject({
      version: 1,
      command: 'check',
      data: { live: true },
    })
  })
  test('check --live says everything that is wrong at once: both databases, and the models', async () => {
    await project.environment({
      SHOP_URL: 'postgres://nobody@127.0.0.1:1/none',
      SHOP_WAREHOUSE_URL: 'postgres://somebody@127.0.0.1:2/none',
    })
    await project.write('models/dim_staff.sql', '-- kind: dimension\nselect 1 as staff_id\n')
    await expectRefusal(project, {
      name: 'SourceUnreachable',
      args: ['check', '--live'],
      says: [
        '3 things are wrong',
        'nobody@127.0.0.1:1',
        'models/dim_staff.sql',
        'somebody@127.0.0.1:2',
      ],
    })
    await project.environment({})
    await project.write('models/dim_staff.sql', MODELS['dim_staff'] ?? '')
  })
  test('check finds a model that the source cannot feed, before anything ran', async () => {
    await project.write(
      'models/extra.sql',
      '-- kind: table\n-- key: sale_id\nselect sale_ids as sale_id from shop.sale\n',
    )
    const told = await expectRefusal(project, {
      name: 'ModelInvalid',
      args: ['check', '--live'],
      says: ['models/extra.sql:3', 'there is no column "sale_ids". Did you mean "sale_id"?'],
    })
    expect(told.stdout).toBe('')
    const asJson = await project.tote('check', '--live', '--json')
    expect(asJson.exit).toBe(2)
    expect(json(asJson)).toMatchObject({
      error: { name: 'ModelInvalid', problems: [{ where: 'models/extra.sql:3:8' }] },
    })
    await project.write(
      'models/extra.sql',
      '-- kind: table\n-- key: sale_id\nselect sale_id from shop.sale\n',
    )
    expect((await project.tote('check', '--live')).stdout).toMatch(/✔ models +6 models/)
  })
  test('status and query have nothing to show, and say what to do', async () => {
    const status = await project.tote('status')
    expect(status.exit).toBe(0)
    expect(status.stdout).toMatch(/nothing carried yet\n +tote run/)
    const query = await project.tote('query', 'select * from fact_sale')
    expect(query.exit).toBe(2)
    expect(query.stderr).toContain('QueryInvalid  ')
    expect(query.stderr).toContain('fact_sale')
    // None of this made a zone, a ledger or a run.
    expect((await project.standing()).manifests).toEqual([])
    expect((await project.standing()).warehouse).toEqual({})
    expect(await readdir(join(project.folder, '.tote'))).not.toContain('runs')
  })
})

describe('after two runs', () => {
  beforeAll(async () => {
    await project.good()
    await project.source.query('update sale set units = 77 where sale_id = 8800103')
    await project.tote('run')
  })

  test('status: the last runs, how fresh each table is, and that nothing waits', async () => {
    const told = await project.tote('status')
    expect(told.exit).toBe(0)
    expect(told.stdout).toMatch(/\w{14} .* ✔ succeeded/)
    expect(told.stdout).toMatch(/shop\.sale +source +2 .* 6\n/)
    expect(told.stdout).toMatch(/fact_sale +fact +2 .* 6\n/)
    expect(told.stdout).toMatch(/✔ the warehouse is at batch 2 .*, nothing left to load/)
    expect(json(await project.tote('status', '--json'))).toMatchObject({
      data: { project: 'shop', pending: 0, ledger: { batch: 2 } },
    })
  })
  test('list: tables and models with their keys and rows', async () => {
    const told = await project.tote('list')
    expect(told.stdout).toMatch(/shop\.sale +sale_id +\d+ +6 +2 /)
    expect(told.stdout).toMatch(/fact_sale +fact +sale_id +6 +2 /)
    expect(told.stdout).toMatch(/1 source, 7 tables with \d+ rows, \d models\n/)
    expect(json(await project.tote('list', '--json'))).toMatchObject({
      version: 1,
      command: 'list',
      data: { project: 'shop', sources: [{ source: 'shop', tables: 7 }] },
    })
  })
  test('show: a model with its columns, where they come from, checks, SQL and rows', async () => {
    const { data } = json(
      await project.onTerminal('show', 'fact_sale', '--json', '--limit', '2'),
    ) as {
      data: { columns: unknown[]; sample: { rows: unknown[] } }
    }
    expect(data).toMatchObject({
      name: 'fact_sale',
      kind: 'fact',
      key: ['sale_id'],
      reads: ['shop.sale'],
      references: [{ model: 'dim_staff' }, { model: 'dim_customer' }],
      sample: { truncated: true },
    })
    expect(data.sample.rows.length).toBe(2)
    expect(data.columns).toContainEqual({
      name: 'sales_staff_id',
      type: 'integer',
      builtin: null,
      lake: 'INTEGER',
      notNull: true,
      from: 'shop.sale.staff_id',
    })
    expect(data.columns).toContainEqual(
      expect.objectContaining({ name: 'created_date', type: 'date', from: null }),
    )
    const { stdout } = await project.onTerminal('show', 'fact_sale', '--no-color')
    expect(stdout).toMatch(
      /unit_price +numeric\(10,2\) +DECIMAL\(10,2\) +not null +shop\.sale\.unit_price/,
    )
    expect(stdout).toMatch(/error +references\(customer_id -> dim_customer\)/)
    expect(stdout).toContain('cast(created_at as date) as created_date')
    for (const line of stdout.split('\n').slice(0, 20)) expect(line.length).toBeLessThanOrEqual(110)
  })
  test('show: a table, by its name with or without the source; the nearest to a mistyped one', async () => {
    const { stdout } = await project.onTerminal('show', 'shop.staff', '--no-color')
    expect(stdout).toMatch(/^shop\.staff {2}source\n/)
    expect(stdout).toMatch(/read by +dim_staff/)
    expect((await project.onTerminal('show', 'staff', '--no-color')).stdout).toBe(stdout)
    const none = await project.tote('show', 'fact_sales')
    expect(none.exit).toBe(2)
    expect(none.stderr).toContain(
      'There is no table or model "fact_sales". Did you mean fact_sale?',
    )
  })
  test('completion knows the names of the project, and loads neither driver nor DuckDB', async () => {
    const complete = async (...words: string[]): Promise<string> =>
      (await project.tote('complete', '--', ...words)).stdout
    expect(await complete('show', 'fact')).toBe('fact_payment\nfact_sale\n')
    expect(await complete('show', 'shop.st')).toBe('shop.staff\n')
    expect(await complete('runs', '')).toMatch(/^\w{14}\n/)
  })
  test('query: the lake by source and model, its changes, and the warehouse', async () => {
    const csv = async (...args: string[]): Promise<string> => {
      const told = await project.tote('query', '--csv', ...args)
      expect(told.stderr).toBe('')
      return told.stdout
    }
    expect(await csv('select sale_id, units from shop.sale where sale_id = 8800103')).toBe(
      'sale_id,units\r\n8800103,77\r\n',
    )
    expect(
      await csv(
        'select _tote_op, _tote_batch, units from changes.fact_sale where sale_id = 8800103 order by _tote_batch',
      ),
    ).toBe('_tote_op,_tote_batch,units\r\nu,1,30\r\nu,2,77\r\n')
    expect(await csv('select count(*) as n from shop_changes.sale')).toBe('n\r\n7\r\n')
    expect(
      await csv('--warehouse', 'select legal_name, phone from dim_customer order by 1 limit 1'),
    ).toBe('legal_name,phone\r\nNULL Qx7,0044 113\r\n')
    expect(await csv('--warehouse', 'select batch from ledger order by 1')).toBe(
      'batch\r\n1\r\n2\r\n',
    )
    const told = await project.tote(
      'query',
      'select last_name, null as nothing from dim_staff order by staff_id',
    )
    expect(told.stdout).toMatch(/^last_name +nothing\n.*\nO'Keefe Qx7 +∅\n/)
    expect(told.stderr).toContain('(3 rows)')
    expect(
      json(
        await project.tote('query', '--json', '--limit', '1', 'select 1 as a union all select 2'),
      ),
    ).toMatchObject({
      data: { columns: [{ name: 'a' }], truncated: true },
    })
  })
  test.each([
    ['lake', "copy (select 1) to 'LAKE/ingestion/x.parquet'"],
    ['lake', 'select 1; drop view fact_sale'],
    ['lake', 'insert into shop.sale select * from shop.sale'],
    ['lake', "attach 'LAKE/x.db' as x"],
    ['lake', "select * from read_text('/etc/passwd')"],
    ['lake', "set allowed_directories = ['/']"],
    ['warehouse', 'delete from fact_sale'],
    ['warehouse', 'select 1; commit; drop table fact_sale'],
    ['warehouse', 'drop table fact_sale'],
    ['warehouse', "copy fact_sale to program 'true'"],
    ['warehouse', 'with gone as (delete from fact_sale returning 1) select * from gone'],
    ['warehouse', 'commit'],
    [
      'warehouse',
      "select set_config('transaction_read_only', 'off', false), pg_notify('a', 'b') from no_such_table",
    ],
  ])('query refuses to write: on the %s, %s', async (on, sql) => {
    const before = await project.standing()
    const statement = sql.replace('LAKE', join(project.folder, 'lake'))
    const told = await project.tote(
      'query',
      ...(on === 'warehouse' ? ['--warehouse'] : []),
      statement,
    )
    expect(told.stderr).toMatch(/QueryInvalid {2}The query was refused/)
    if (on === 'warehouse' && /^(delete|drop|copy|commit)/.test(sql))
      expect(told.stderr).toContain('only a select is answered')
    expect(told.exit).toBe(2)
    expect(told.stdout).toBe('')
    expect(await project.standing()).toEqual(before)
  })
  test('P10: a query that fails over a value shows it on a terminal, not in a pipe', async () => {
    const statement = 'select cast(note as integer) from fact_sale'
    for (const on of [[], ['--warehouse']]) {
      const told = await project.tote('query', ...on, statement)
      expect(told.exit).toBe(2)
      expect(told.stderr).toContain('QueryInvalid  ')
      expect(told.stderr).not.toContain('Qx7')
    }
    expect((await project.onTerminal('query', statement)).stderr).toContain('Qx7')
  })
})

test('explain: every name, one name, and the nearest to a mistyped one; without a project', async () => {
  const all = await project.tote('explain')
  expect(all.stdout).toMatch(/SourceUnreachable +3 +retry +The source did not answer/)
  const one = await project.tote('explain', 'checkfailed')
  expect(one.stdout).toMatch(
    /^CheckFailed\n {2}A check with severity error found rows\.\n {2}Correct the rows at the source.*\n {2}exit 1: /,
  )
  const none = await project.tote('explain', 'CheckFailled')
  expect(none.exit).toBe(2)
  expect(none.stderr).toContain('There is no error named "CheckFailled". Did you mean CheckFailed?')
})
