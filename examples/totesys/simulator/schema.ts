/**
 * The source's schema, as its application's ORM left it: column order, types, keys, and what is
 * missing (no default and no index on last_updated, no trigger). Runs on PostgreSQL 13 to 18.
 */
import type { Database } from './database.ts'

export type Value = string | number | boolean | null
export type Row = Readonly<Record<string, Value>>

const KEY = 'serial'
const INT = 'integer not null'
const TEXT = 'text not null'
const MONEY = 'numeric(10,2) not null'
const CREATED = { created_at: 'timestamp(3) without time zone not null default current_timestamp' }
const UPDATED = { last_updated: 'timestamp(3) without time zone not null' }

/** Each table's columns in physical order; the first is the key. A table follows those it refers to. */
const TABLES = {
  address: {
    address_id: KEY,
    address_line_1: TEXT,
    address_line_2: 'text',
    district: 'text',
    city: TEXT,
    postal_code: TEXT,
    country: TEXT,
    phone: TEXT,
    ...CREATED,
    ...UPDATED,
  },
  counterparty: {
    counterparty_id: KEY,
    counterparty_legal_name: TEXT,
    legal_address_id: INT,
    commercial_contact: 'text',
    delivery_contact: 'text',
    ...CREATED,
    ...UPDATED,
  },
  currency: { currency_id: KEY, currency_code: 'varchar(3) not null', ...CREATED, ...UPDATED },
  department: {
    department_id: KEY,
    department_name: TEXT,
    location: 'text',
    manager: 'text',
    ...CREATED,
    ...UPDATED,
  },
  design: {
    design_id: KEY,
    ...CREATED,
    design_name: TEXT,
    file_location: TEXT,
    file_name: TEXT,
    ...UPDATED,
  },
  staff: {
    staff_id: KEY,
    first_name: TEXT,
    last_name: TEXT,
    department_id: INT,
    email_address: TEXT,
    ...CREATED,
    ...UPDATED,
  },
  sales_order: {
    sales_order_id: KEY,
    ...CREATED,
    ...UPDATED,
    design_id: INT,
    staff_id: INT,
    counterparty_id: INT,
    units_sold: INT,
    unit_price: MONEY,
    currency_id: INT,
    agreed_delivery_date: TEXT,
    agreed_payment_date: TEXT,
    agreed_delivery_location_id: INT,
  },
  purchase_order: {
    purchase_order_id: KEY,
    ...CREATED,
    ...UPDATED,
    staff_id: INT,
    counterparty_id: INT,
    item_code: TEXT,
    item_quantity: INT,
    item_unit_price: MONEY,
    currency_id: INT,
    agreed_delivery_date: TEXT,
    agreed_payment_date: TEXT,
    agreed_delivery_location_id: INT,
  },
  payment_type: {
    payment_type_id: KEY,
    payment_type_name: '"PaymentTypeName" not null',
    ...CREATED,
    ...UPDATED,
  },
  transaction: {
    transaction_id: KEY,
    transaction_type: '"TransactionType" not null',
    sales_order_id: 'integer',
    purchase_order_id: 'integer',
    ...CREATED,
    ...UPDATED,
  },
  payment: {
    payment_id: KEY,
    ...CREATED,
    ...UPDATED,
    transaction_id: INT,
    counterparty_id: INT,
    payment_amount: MONEY,
    currency_id: INT,
    payment_type_id: INT,
    paid: 'boolean not null',
    payment_date: TEXT,
    company_ac_number: INT,
    counterparty_ac_number: INT,
  },
} as const satisfies Readonly<Record<string, Readonly<Record<string, string>>>>

export type TableName = keyof typeof TABLES

export const TABLE_NAMES = Object.keys(TABLES) as readonly TableName[]

const UNIQUE: readonly (readonly [TableName, string])[] = [
  ['transaction', 'sales_order_id'],
  ['transaction', 'purchase_order_id'],
  ['payment', 'transaction_id'],
]

/** Table, column, the table referred to. */
const REFERENCES: readonly (readonly [TableName, string, TableName])[] = [
  ['counterparty', 'legal_address_id', 'address'],
  ['staff', 'department_id', 'department'],
  ['sales_order', 'design_id', 'design'],
  ['sales_order', 'staff_id', 'staff'],
  ['sales_order', 'counterparty_id', 'counterparty'],
  ['sales_order', 'currency_id', 'currency'],
  ['sales_order', 'agreed_delivery_location_id', 'address'],
  ['purchase_order', 'staff_id', 'staff'],
  ['purchase_order', 'counterparty_id', 'counterparty'],
  ['purchase_order', 'currency_id', 'currency'],
  ['purchase_order', 'agreed_delivery_location_id', 'address'],
  ['transaction', 'sales_order_id', 'sales_order'],
  ['transaction', 'purchase_order_id', 'purchase_order'],
  ['payment', 'transaction_id', 'transaction'],
  ['payment', 'counterparty_id', 'counterparty'],
  ['payment', 'currency_id', 'currency'],
  ['payment', 'payment_type_id', 'payment_type'],
]

export function columnsOf(table: TableName): readonly string[] {
  return Object.keys(TABLES[table])
}

export function keyOf(table: TableName): string {
  return columnsOf(table)[0] as string
}

export function quote(identifier: string): string {
  return `"${identifier.replaceAll('"', '""')}"`
}

/** Tables and types without keys, so that filling them is quick; `addKeys` follows. */
export async function createTables(database: Database): Promise<void> {
  const tables = TABLE_NAMES.map((table) => {
    const columns = Object.entries(TABLES[table]).map(([name, type]) => `${quote(name)} ${type}`)
    return `create table public.${quote(table)} (${columns.join(', ')});`
  })
  await database.run(`
    create type public."PaymentTypeName" as enum ('SALES_RECEIPT', 'SALES_REFUND', 'PURCHASE_PAYMENT', 'PURCHASE_REFUND');
    create type public."TransactionType" as enum ('SALE', 'PURCHASE');
    ${tables.join('\n')}
    ${MIGRATIONS}`)
}

/** Primary keys, unique constraints and foreign keys, and each sequence after the highest key present. */
export async function addKeys(database: Database): Promise<void> {
  const statements = TABLE_NAMES.flatMap((table) => {
    const key = quote(keyOf(table))
    const sequence = `pg_get_serial_sequence('public.${quote(table)}', '${keyOf(table)}')`
    return [
      `alter table public.${quote(table)} add primary key (${key})`,
      `select setval(${sequence}, coalesce(max(${key}), 0) + 1, false) from public.${quote(table)}`,
    ]
  })
  for (const [table, column] of UNIQUE) {
    statements.push(`alter table public.${quote(table)} add unique (${quote(column)})`)
  }
  for (const [table, column, target] of REFERENCES) {
    // Deleting an order silently changes its transaction: the ORM's default for an optional relation.
    const onDelete = table === 'transaction' ? 'set null' : 'restrict'
    statements.push(
      `alter table public.${quote(table)} add foreign key (${quote(column)})` +
        ` references public.${quote(target)} on update cascade on delete ${onDelete}`,
    )
  }
  await database.run(statements.join(';\n'))
}

/** Removes the schema and every row, but nothing that others built on it: then the server refuses. */
export async function dropTables(database: Database): Promise<void> {
  const tables = [...TABLE_NAMES, '_prisma_migrations'].map((table) => `public.${quote(table)}`)
  await database.run(`
    drop table if exists ${tables.join(', ')};
    drop type if exists public."PaymentTypeName", public."TransactionType"`)
}

/** Lets an existing role read the eleven tables, and nothing else. */
export async function grantReader(database: Database, role: string): Promise<void> {
  const tables = TABLE_NAMES.map((table) => `public.${quote(table)}`)
  await database.run(`
    grant usage on schema public to ${quote(role)};
    grant select on ${tables.join(', ')} to ${quote(role)}`)
}

/** Which of the tables exist already. */
export async function existingTables(database: Database): Promise<string[]> {
  const rows = await database.query(
    `select relname from pg_catalog.pg_class
     where relnamespace = 'public'::regnamespace and relname = any($1::text[]) order by relname`,
    [`{${[...TABLE_NAMES, '_prisma_migrations'].join(',')}}`],
  )
  return rows.map((row) => row['relname'] as string)
}

/** The ORM's own table: not the application's data, and not to be read. */
const MIGRATIONS = `
    create table public."_prisma_migrations" (
      id varchar(36) primary key,
      checksum varchar(64) not null,
      finished_at timestamptz,
      migration_name varchar(255) not null,
      logs text,
      rolled_back_at timestamptz,
      started_at timestamptz not null default now(),
      applied_steps_count integer not null default 0
    );
    insert into public."_prisma_migrations"
      (id, checksum, finished_at, migration_name, started_at, applied_steps_count)
    select md5(name)::uuid::text, md5(name) || md5(name || 'x'), at + interval '250 ms', name, at, 1
    from (values
      ('20221013093622_init', timestamptz '2022-10-13 09:36:22+00'),
      ('20221018142207_orders', timestamptz '2022-10-18 14:22:07+00'),
      ('20221102161540_payments', timestamptz '2022-11-02 16:15:40+00')
    ) as migration (name, at)`
