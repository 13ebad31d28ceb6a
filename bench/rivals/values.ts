/** What each of them alters: one table for each type, its values at the edges, loaded and compared as PostgreSQL's own text. */
import { execute, type BenchDatabase, type Place } from '../place.ts'
import type { Carrier, Table } from './carrier.ts'

/** A type, and values of it that are easily lost. */
const VALUES: readonly (readonly [type: string, values: readonly string[]])[] = [
  ['numeric', ['1.500', '123456789012345678901234567890.123456789', '0.1', 'NaN']],
  ['numeric(10,2)', ['0.10', '99999999.99']],
  ['bigint', ['9223372036854775807', '-9223372036854775808']],
  ['double precision', ['0.1', '-0', 'NaN', 'Infinity', '1e-310']],
  ['text', ['', 'NULL', 'None', '08841', 'a "b", c', 'back\\slash', 'two\nlines', "O'Keefe"]],
  ['timestamp', ['2024-02-29 23:59:59.123456', 'infinity', '0044-03-15 12:00:00 BC']],
  ['timestamptz', ['2024-10-27 01:30:00.123456+02', '294276-12-31 23:59:59+00']],
  ['date', ['2024-02-29', '0044-03-15 BC', 'infinity']],
  ['time', ['23:59:59.999999', '24:00:00']],
  ['timetz', ['23:59:59.999999+05:30']],
  ['interval', ['1 year 2 mons 3 days 04:05:06.000007', '-00:00:00.000001']],
  ['bytea', ['\\x', '\\x00ff10']],
  ['uuid', ['00000000-0000-0000-0000-000000000000']],
  ['jsonb', ['{"a": 12345678901234567890.123, "b": null}', '"text"', 'null']],
  ['integer[]', ['{1,NULL,3}', '{{1,2},{3,4}}', '{}']],
  ['text[]', ['{"a,b",NULL,"NULL",""}']],
  ['inet', ['10.0.0.1', '10.0.0.0/8']],
  ['bit(3)', ['101']],
  ['money', ['12345.67']],
  ['mood', ['ok', "it's"]],
]

export interface Altered {
  readonly type: string
  /** What became of it: nothing, or in words. */
  readonly fate: string
}

export interface Carried {
  readonly name: string
  readonly types: readonly Altered[]
}

export async function carryValues(
  place: Place,
  open: (source: BenchDatabase, table: Table) => Promise<Carrier>,
): Promise<Carried> {
  const types: Altered[] = []
  let name = ''
  for (const [type, values] of VALUES) {
    const source = await place.createDatabase()
    const rows = values.map((value, n) => `(${n + 1}, $v$${value}$v$)`)
    await execute(
      source.ownerUrl,
      `create type mood as enum ('ok', 'it''s');
       create table value (id integer primary key, v ${type}, last_updated timestamp(3) default '2026-01-01');
       insert into value (id, v) select id, v::${type} from (values ${rows.join(', ')}) as t (id, v);
       insert into value (id, v) values (${rows.length + 1}, null);
       grant select on value to ${place.reader}`,
    )
    const carrier = await open(source, { name: 'value', key: 'id', cursor: 'last_updated' })
    name = carrier.name
    try {
      types.push({ type, fate: await fateOf(source, carrier) })
    } finally {
      await carrier.close()
    }
  }
  return { name, types }
}

async function fateOf(source: BenchDatabase, carrier: Carrier): Promise<string> {
  try {
    await carrier.carry('whole')
  } catch {
    return 'the load fails'
  }
  const text = (table: string, where: string): string =>
    `select id::text as id, v::text as v, pg_typeof(v)::text as type from ${table} where ${where} order by id`
  const there = await execute(source.ownerUrl, text('value', 'true'))
  const here = await execute(carrier.warehouseUrl, text(carrier.table, carrier.current)).catch(
    () => null,
  )
  if (here === null) return 'the column is not there'
  const altered = there.filter(({ id, v }) => {
    const found = here.filter((other) => other['id'] === id)
    return found.length !== 1 || found[0]?.['v'] !== v
  })
  const other = here.find((row) => row['type'] !== there[0]?.['type'])?.['type']
  const said = [
    ...(altered.length === 0 ? [] : [`${altered.length} of ${there.length} values differ`]),
    ...(other === undefined || other === null ? [] : [`is ${other}`]),
  ]
  return said.length === 0 ? '' : said.join('; ')
}
