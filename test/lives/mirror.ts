/**
 * The source's tables as the lake must hold them after each batch, kept by PostgreSQL alone: filter and masks
 * as the config says; of a row that changed, the columns that were not read are null, of any other what they were.
 */
import { createHmac } from 'node:crypto'
import type { TestDatabase } from '../support/postgres.ts'
import type { Mask, Settings } from './world.ts'

const KEYS: Readonly<Record<string, string>> = {
  place: 'place_id',
  item: 'item_id',
  sale: 'sale_id',
  beat: 'id',
}

const COLUMNS: Readonly<Record<string, readonly string[]>> = {
  place: ['city', 'region'],
  item: ['name', 'price', 'email', 'stock'],
  sale: ['item_id', 'place_id', 'units', 'price', 'note', 'touched', 'extra'],
  beat: ['n'],
}

/** What a batch of the source must have seen: `extra` is the attribute number of that column, 0 where there is none. */
export async function capture(
  source: TestDatabase,
  settings: Settings,
  { batch, extraIsNew }: { readonly batch: number; readonly extraIsNew: boolean },
): Promise<void> {
  await keepHashes(source, settings.secret)
  const statements: string[] = [`delete from kept.tag where batch = ${batch}`]
  for (const [table, columns] of Object.entries(COLUMNS)) {
    const key = KEYS[table] ?? ''
    const present = await columnsOf(source, table)
    const carried = columns.filter(
      (name) =>
        present.has(name) &&
        !(name === 'email' && (settings.excluded || settings.mask === 'drop')) &&
        !(name === 'stock' && settings.stockOut) &&
        !(name === 'region' && settings.region === 'drop'),
    )
    const value = (name: string): string =>
      name === 'email'
        ? masked(name, settings.mask, settings.secret)
        : name === 'region'
          ? masked(name, settings.region, settings.secret)
          : `s.${name}`
    const same = carried
      .map((name) => `(${value(name)}) is not distinct from ${before(name)}`)
      .join(' and ')
    function before(name: string): string {
      return name === 'extra' && extraIsNew ? 'null' : `p.${name}`
    }
    const list = columns.map((name) =>
      carried.includes(name)
        ? value(name)
        : `case when p.${key} is not null and ${same || 'true'} then ${before(name)} end`,
    )
    statements.push(
      `delete from kept.${table} where batch = ${batch}`,
      `insert into kept.${table} (batch, ${key}, ${columns.join(', ')})
       select ${batch}, s.${key}, ${list.join(', ')} from public.${table} s
       left join kept.${table} p on p.batch = ${batch - 1} and p.${key} = s.${key}
       where ${table === 'sale' ? settings.where.replace(/(place|item)_id/, 's.$1_id') : 'true'}`,
    )
  }
  statements.push(
    settings.tagLeftOut
      ? `insert into kept.tag select ${batch}, a, b from kept.tag where batch = ${batch - 1}`
      : `insert into kept.tag select ${batch}, a, b from public.tag`,
  )
  await source.query(statements.join(';\n'))
}

export async function columnsOf(source: TestDatabase, table: string): Promise<Set<string>> {
  const rows = await source.query(
    `select attname as name from pg_attribute where attrelid = 'public.${table}'::regclass and attnum > 0 and not attisdropped`,
  )
  return new Set(rows.map(({ name }) => name ?? ''))
}

function masked(name: string, mask: Mask, secret: string): string {
  if (mask === 'redact') return `case when s.${name} is not null then 'redacted' end`
  if (mask === 'hash')
    return `(select h.hash from kept.hash h where h.secret = '${secret}' and h.value = s.${name})`
  return `s.${name}`
}

async function keepHashes(source: TestDatabase, secret: string): Promise<void> {
  const values = await source.query(
    `select value from (select email as value from public.item union select region from public.place) as v
     where value is not null and value not in (select value from kept.hash where secret = '${secret}')`,
  )
  for (const { value } of values) {
    const hash = createHmac('sha256', secret)
      .update(value ?? '')
      .digest('hex')
    await source.query('insert into kept.hash values ($1, $2, $3)', [secret, value, hash])
  }
}
