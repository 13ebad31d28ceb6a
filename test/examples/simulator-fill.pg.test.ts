import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { fill } from '../../examples/totesys/simulator/fill.ts'
import { testServer, type TestDatabase } from '../support/postgres.ts'

/** The fact sheet's table of the source, word for word: "?" is nullable, "→" a foreign key. */
const FACTS = `
address | address_id pk; address_line_1 text; address_line_2 text?; district text?; city text; postal_code text; country text; phone text; created_at; last_updated
counterparty | counterparty_id pk; counterparty_legal_name text; legal_address_id int → address; commercial_contact text?; delivery_contact text?; created_at; last_updated
currency | currency_id pk; currency_code varchar(3); created_at; last_updated
department | department_id pk; department_name text; location text?; manager text?; created_at; last_updated
design | design_id pk; created_at; design_name text; file_location text; file_name text; last_updated
staff | staff_id pk; first_name text; last_name text; department_id int → department; email_address text; created_at; last_updated
sales_order | sales_order_id pk; created_at; last_updated; design_id int → design; staff_id int → staff; counterparty_id int → counterparty; units_sold int; unit_price numeric(10,2); currency_id int → currency; agreed_delivery_date text; agreed_payment_date text; agreed_delivery_location_id int → address
purchase_order | purchase_order_id pk; created_at; last_updated; staff_id int → staff; counterparty_id int → counterparty; item_code text; item_quantity int; item_unit_price numeric(10,2); currency_id int → currency; agreed_delivery_date text; agreed_payment_date text; agreed_delivery_location_id int → address
payment_type | payment_type_id pk; payment_type_name enum "PaymentTypeName"; created_at; last_updated
transaction | transaction_id pk; transaction_type enum "TransactionType"; sales_order_id int? → sales_order unique; purchase_order_id int? → purchase_order unique; created_at; last_updated
payment | payment_id pk; created_at; last_updated; transaction_id int → transaction unique; counterparty_id int → counterparty; payment_amount numeric(10,2); currency_id int → currency; payment_type_id int → payment_type; paid boolean; payment_date text; company_ac_number int; counterparty_ac_number int`

interface Column {
  table: string
  name: string
  type: string
  nullable: boolean
  default: string
  references: string
  unique: boolean
}

/** What the facts say, in the words of the catalogue. */
function expectedColumns(): Column[] {
  return FACTS.trim()
    .split('\n')
    .flatMap((line) => {
      const [table = '', columns = ''] = line.split(' | ')
      return columns.split('; ').map((text) => expectedColumn(table, text))
    })
}

function expectedColumn(table: string, text: string): Column {
  const [, name = '', given = '', references = '', unique] =
    /^(\w+)(?: (?:enum )?([^→]+?))?(?: → (\w+)( unique)?)?$/.exec(text) ?? []
  const type = given === 'pk' ? 'int' : given.replace('?', '')
  const timestamp = name === 'created_at' || name === 'last_updated'
  const long: Record<string, string> = { int: 'integer', 'varchar(3)': 'character varying(3)' }
  return {
    table,
    name,
    type: timestamp ? 'timestamp(3) without time zone' : (long[type] ?? type),
    nullable: given.endsWith('?'),
    default:
      given === 'pk'
        ? `nextval('${table}_${name}_seq'::regclass)`
        : name === 'created_at'
          ? 'CURRENT_TIMESTAMP'
          : '',
    references: references === '' ? '' : `${references} c ${table === 'transaction' ? 'n' : 'r'}`,
    unique: unique !== undefined,
  }
}

const COLUMNS = `
  select c.relname as "table", a.attname as name, format_type(a.atttypid, a.atttypmod) as type,
    not a.attnotnull as nullable, coalesce(pg_get_expr(d.adbin, d.adrelid), '') as "default",
    coalesce((select format('%s %s %s', f.confrelid::regclass, f.confupdtype, f.confdeltype)
      from pg_constraint f where f.contype = 'f' and f.conrelid = c.oid and f.conkey = array[a.attnum]), '') as "references",
    exists (select from pg_constraint u
      where u.contype = 'u' and u.conrelid = c.oid and u.conkey = array[a.attnum]) as "unique"
  from pg_class c
  join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
  left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
  where c.relnamespace = 'public'::regnamespace and c.relkind = 'r' and c.relname <> '_prisma_migrations'
  order by c.relname, a.attnum`

let database: TestDatabase
let filled: Awaited<ReturnType<typeof fill>>
const owner = `totesys_owner_${process.pid}`
const reader = `totesys_reader_${process.pid}`

beforeAll(async () => {
  const server = await testServer()
  database = await server.createDatabase('totesys')
  for (const role of [owner, reader]) {
    await database.query(`create role "${role}" login password '${role}'`)
  }
  await database.query(`alter database "${database.name}" owner to "${owner}"`)
  filled = await fill(database.roleUrl(owner), { reader })
})

afterAll(async () => {
  const server = await testServer()
  await database.drop()
  const other = await server.createDatabase('totesys')
  await other.query(`drop role "${owner}"; drop role "${reader}"`)
  await other.drop()
})

const one = async (sql: string): Promise<string | null | undefined> =>
  Object.values((await database.query(sql))[0] ?? {})[0]

describe('the schema', () => {
  test('has the columns, keys and references of the fact sheet, in physical order', async () => {
    const rows = await database.query(COLUMNS)
    const found = rows.map((row) => ({
      ...row,
      nullable: row['nullable'] === 't',
      unique: row['unique'] === 't',
    }))
    const byTable = (a: { table?: unknown }, b: { table?: unknown }): number =>
      String(a.table) < String(b.table) ? -1 : String(a.table) > String(b.table) ? 1 : 0
    expect((found as unknown as Column[]).sort(byTable)).toEqual(expectedColumns().sort(byTable))
    expect(found).toHaveLength(86)
  })

  test('has one integer sequence for each key, one index for each key or unique constraint, no trigger', async () => {
    expect(await one('select count(*) from pg_sequences where data_type::text = $$integer$$')).toBe(
      '11',
    )
    expect(
      await one(`
        select count(*) from pg_index i join pg_class c on c.oid = i.indrelid
        where c.relnamespace = 'public'::regnamespace and c.relname <> '_prisma_migrations'`),
    ).toBe('14')
    expect(
      await one(`
        select string_agg(conrelid::regclass || '(' || pg_get_constraintdef(oid) || ')', ' ')
        from pg_constraint where contype = 'p' and conrelid = 'public.transaction'::regclass`),
    ).toBe('transaction(PRIMARY KEY (transaction_id))')
    expect(
      await one(
        `select count(*) from pg_constraint where contype = 'p' and connamespace = 'public'::regnamespace`,
      ),
    ).toBe(
      await one(
        `select count(*) from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace`,
      ),
    )
    expect(await one('select count(*) from pg_trigger where not tgisinternal')).toBe('0')
  })

  test('has the enums with their labels in order', async () => {
    const labels = await database.query(`
      select t.typname || ' ' || string_agg(e.enumlabel, ' ' order by e.enumsortorder) as labels
      from pg_enum e join pg_type t on t.oid = e.enumtypid group by t.typname order by 1`)
    expect(labels.map((row) => row['labels'])).toEqual([
      'PaymentTypeName SALES_RECEIPT SALES_REFUND PURCHASE_PAYMENT PURCHASE_REFUND',
      'TransactionType SALE PURCHASE',
    ])
  })

  test('belongs to the owner role, with a migrations table of its ORM', async () => {
    expect(
      await one(
        `select string_agg(distinct tableowner, ',') from pg_tables where schemaname = 'public'`,
      ),
    ).toBe(owner)
    expect(Number(await one('select count(*) from _prisma_migrations'))).toBeGreaterThan(0)
  })

  test('the sequences stand behind the highest key', async () => {
    expect(await one(`select nextval('sales_order_sales_order_id_seq')`)).toBe('11188')
    expect(await one(`select nextval('currency_currency_id_seq')`)).toBe('4')
  })

  test('P11: the reader may select from the eleven tables and do nothing else to any', async () => {
    const rows = await database.query(
      `select c.relname, p.privilege from pg_class c,
         unnest(array['SELECT','INSERT','UPDATE','DELETE','TRUNCATE','REFERENCES','TRIGGER']) as p (privilege)
       where c.relnamespace = 'public'::regnamespace and c.relkind = 'r'
         and has_table_privilege($1, c.oid, p.privilege)`,
      [reader],
    )
    expect(rows).toHaveLength(11)
    expect(new Set(rows.map((row) => row['privilege']))).toEqual(new Set(['SELECT']))
    expect(rows.map((row) => row['relname'])).not.toContain('_prisma_migrations')
  })
})

describe('the sizes', () => {
  test('are the real ones after two years', async () => {
    const sizes = {
      address: 30,
      counterparty: 20,
      currency: 3,
      department: 8,
      design: 473,
      payment: 15_836,
      payment_type: 4,
      purchase_order: 4_649,
      sales_order: 11_187,
      staff: 20,
      transaction: 15_836,
    }
    expect(filled.rows).toEqual(sizes)
    for (const [table, rows] of Object.entries(sizes)) {
      expect([table, await one(`select count(*) from public."${table}"`)]).toEqual([
        table,
        String(rows),
      ])
    }
  })
})

/** What must never be found. */
const NEVER: readonly (readonly [string, string])[] = [
  [
    'an order outside Monday to Friday, 08:00 to 18:59',
    `
    select from (select created_at from sales_order union all select created_at from purchase_order) o
    where extract(isodow from created_at) > 5 or created_at::time < '08:00' or created_at::time >= '19:00'`,
  ],
  [
    'a payment that is not quantity times price',
    `
    select from payment p join transaction t using (transaction_id)
    left join sales_order s using (sales_order_id) left join purchase_order o using (purchase_order_id)
    where payment_amount is distinct from coalesce(units_sold * unit_price, item_quantity * item_unit_price)`,
  ],
  [
    'parts of one order that differ in stamp, date, currency, counterparty or type',
    `
    select from payment p join transaction t using (transaction_id)
    left join sales_order s using (sales_order_id) left join purchase_order o using (purchase_order_id)
    join payment_type y using (payment_type_id)
    where p.created_at is distinct from coalesce(s.created_at, o.created_at) or t.created_at <> p.created_at
      or p.payment_date is distinct from coalesce(s.agreed_payment_date, o.agreed_payment_date)
      or p.currency_id is distinct from coalesce(s.currency_id, o.currency_id)
      or p.counterparty_id is distinct from coalesce(s.counterparty_id, o.counterparty_id)
      or (transaction_type, payment_type_name) not in (('SALE', 'SALES_RECEIPT'), ('PURCHASE', 'PURCHASE_PAYMENT'))
      or num_nonnulls(t.sales_order_id, t.purchase_order_id) <> 1`,
  ],
  [
    'an order without its transaction and payment',
    `
    select from sales_order o left join transaction t using (sales_order_id) left join payment p using (transaction_id)
    where payment_id is null`,
  ],
  [
    'a sales order out of range',
    `
    select from sales_order where units_sold not between 1001 and 99973 or unit_price not between 2.00 and 4.00
      or agreed_delivery_date::date - created_at::date not between 0 and 7
      or agreed_payment_date::date - created_at::date not between 0 and 6`,
  ],
  [
    'a purchase order out of range',
    `
    select from purchase_order where item_quantity not between 1 and 999 or item_unit_price not between 3.32 and 999.07
      or item_code !~ '^[A-Z0-9]{7}$' or agreed_delivery_date::date - created_at::date not between 0 and 7
      or agreed_payment_date::date - created_at::date not between 0 and 6`,
  ],
  [
    'account numbers of other than eight digits',
    `
    select from payment where company_ac_number not between 10000000 and 99999999
      or counterparty_ac_number not between 10000000 and 99999999`,
  ],
  [
    'a payment not paid by the rule',
    `
    select from payment where paid is distinct from (extract(isodow from payment_date::date) <= 5
      and payment_date::date > created_at::date and payment_date <= '2024-12-31')`,
  ],
  [
    'a last_updated moved by anything but the paid batch of the due day',
    `
    select from payment where case when paid
      then last_updated::date <> payment_date::date or last_updated::time not between '07:55:10' and '07:55:12.999'
      else last_updated <> created_at end
    union all select from sales_order where last_updated <> created_at
    union all select from purchase_order where last_updated <> created_at
    union all select from transaction where last_updated <> created_at
    union all select from design where last_updated <> created_at`,
  ],
  [
    'more than 37 payments that share a last_updated by the batch',
    `
    select last_updated from payment where paid group by 1 having count(*) > 37`,
  ],
  [
    'someone in Sales, or a department without a location',
    `
    select from staff join department using (department_id) where department_name = 'Sales'
    union all select from department where location is null`,
  ],
  [
    'a refund',
    `select from payment join payment_type using (payment_type_id) where payment_type_name::text like '%REFUND'`,
  ],
]

/** What must be found, or the data would be kinder than the real. */
const ALWAYS: readonly (readonly [string, string])[] = [
  ['an apostrophe in a surname', `select from staff where last_name = 'O''Keefe'`],
  [
    'an apostrophe in a country',
    `select from address where country = 'Democratic People''s Republic of Korea'`,
  ],
  ['parentheses', `select from address where country like '%(%)%'`],
  [
    'commas in half the legal names',
    `
    select from counterparty having count(*) filter (where counterparty_legal_name like '%,%') * 2 = count(*)`,
  ],
  ['leading zeros in a postal code', `select from address where postal_code ~ '^0\\d+$'`],
  ['leading zeros in a phone', `select from address where phone like '0%'`],
  ['leading zeros in a house number', `select from address where address_line_1 ~ '^0\\d+ '`],
  ['a misspelt city', `select from department where location = 'Leds'`],
  ['nulls', `select from address where address_line_2 is null and district is null`],
  [
    'a legal address that several counterparties share',
    `
    select from counterparty group by legal_address_id having count(*) > 2`,
  ],
  [
    'seed rows that share one last_updated',
    `
    select from (
      select last_updated from address union all select last_updated from currency union all
      select last_updated from department union all select last_updated from payment_type union all
      select last_updated from design
    ) s group by last_updated having count(*) = 30 + 3 + 8 + 4 + 5`,
  ],
  [
    'payments that share a last_updated',
    `
    select last_updated from payment where paid group by 1 having count(*) > 20`,
  ],
  [
    'a payment due on a weekend, unpaid for ever',
    `
    select from payment where extract(isodow from payment_date::date) > 5 and not paid and payment_date < '2024-12-01'`,
  ],
  [
    'a payment due on its creation day, unpaid for ever',
    `
    select from payment where payment_date::date = created_at::date and extract(isodow from created_at) < 6 and not paid`,
  ],
  [
    'created_at that goes back while the key goes on',
    `
    select from (select created_at < lag(created_at) over (order by sales_order_id) as back from sales_order) o where back`,
  ],
  [
    'a silent update in the past: an order for a design that was made on a later day, last_updated untouched',
    `
    select from sales_order o join design d using (design_id)
    where d.created_at::date > o.created_at::date and o.last_updated = o.created_at`,
  ],
  ['all three currencies', `select from sales_order having count(distinct currency_id) = 3`],
]

describe('the rows', () => {
  test.each(NEVER)('never hold %s', async (_, sql) => {
    expect(await one(`select count(*) from (${sql}) found`)).toBe('0')
  })

  test.each(ALWAYS)('hold %s', async (_, sql) => {
    expect(Number(await one(`select count(*) from (${sql}) found`))).toBeGreaterThan(0)
  })

  test('arrive at the real rates', async () => {
    const perDay = await database.query(`
      select count(*) as orders from sales_order group by created_at::date`)
    expect(perDay).toHaveLength(522)
    const counts = perDay.map((row) => Number(row['orders']))
    expect(Math.min(...counts)).toBeGreaterThan(5)
    expect(Math.max(...counts)).toBeLessThan(40)
  })
})

const digests = async (target: TestDatabase): Promise<unknown> => {
  const tables = await target.query(
    `select tablename from pg_tables where schemaname = 'public' order by 1`,
  )
  const found = []
  for (const { tablename } of tables) {
    const [row] = await target.query(
      `select md5(string_agg(t::text, chr(10) order by t::text collate "C")) as digest from public."${tablename}" t`,
    )
    found.push([tablename, row?.['digest']])
  }
  return found
}

describe('determinism', () => {
  test('the same seed gives the same tables in any time zone, another seed others', async () => {
    const server = await testServer()
    const [first, second] = [await server.createDatabase('sim'), await server.createDatabase('sim')]
    try {
      const hostile = '?options=-c%20timezone%3DAsia%2FKathmandu%20-c%20datestyle%3DGerman'
      const options = { years: 1, scale: 0.3, until: '2024-03-31' }
      await fill(first.url, { ...options, seed: 7 })
      await fill(second.url + hostile, { ...options, seed: 7 })
      const expected = await digests(first)
      expect(await digests(second)).toEqual(expected)
      await fill(second.url, { ...options, seed: 8, existing: 'replace' })
      expect(await digests(second)).not.toEqual(expected)
    } finally {
      await first.drop()
      await second.drop()
    }
  })
})

describe('filling', () => {
  test('refuses tables that are there, and leaves them as they are', async () => {
    await expect(fill(database.roleUrl(owner), {})).rejects.toThrow(
      /^The database already has "_prisma_migrations", "address".*--replace/,
    )
    expect(await one('select count(*) from sales_order')).toBe('11187')
  })

  test('that fails leaves nothing behind', async () => {
    const server = await testServer()
    const empty = await server.createDatabase('sim')
    try {
      const options = { years: 1, scale: 0.1, reader: 'nobody_of_this_name' }
      await expect(fill(empty.url, options)).rejects.toThrow('does not exist')
      expect(await empty.query(`select from pg_tables where schemaname = 'public'`)).toEqual([])
    } finally {
      await empty.drop()
    }
  })

  test('three times the orders are three times the orders', async () => {
    const server = await testServer()
    const large = await server.createDatabase('sim')
    try {
      const { rows } = await fill(large.url, { scale: 3 })
      expect(rows).toMatchObject({
        sales_order: 33_561,
        purchase_order: 13_947,
        payment: 47_508,
        design: 473,
        staff: 20,
      })
      const [row] = await large.query(`
        select count(*) as together from payment where paid group by last_updated order by 1 desc limit 1`)
      expect(row?.['together']).toBe('37')
    } finally {
      await large.drop()
    }
  })
})
