/**
 * A table whose columns change in every way that is followed, and the models that take all of them. Its rows are kept by the
 * ids of columns, counted here, so that a column is the same whatever it is called.
 */
import { expect } from 'vitest'
import type { TestDatabase } from '../support/postgres.ts'
import type { Chance } from './chance.ts'
import { WIDER } from '../support/wider.ts'

export const THING = `
create type mood as enum ('low', 'high');
create table thing (id integer primary key, a text, b integer, c varchar(9), d numeric(8,2), e mood, f double precision);
insert into thing select n, 'a' || n, n, 'c' || n % 3, n / 4.0, case when n % 2 = 0 then 'low'::mood end, n / 8.0 from generate_series(1, 7) n;
create table kept.thing (batch integer, id integer, row jsonb);
create view mirror.thing as select id, row from kept.thing where batch = current_setting('lives.shop')::integer;
`

interface Column {
  readonly id: number
  readonly attribute: number
  readonly name: string
  readonly type: string
}

/** What a lost column is called is known until another one has its name. */
type Lost = Column & { readonly isClear: boolean }

export interface Thing {
  readonly oid: string
  readonly live: readonly Column[]
  readonly lost: readonly Lost[]
  /** Attributes whose next type is another column's. */
  readonly retyped: ReadonlySet<number>
  readonly highest: number
  /** How often a column became another one of its name. */
  readonly retypes: number
}

export const NO_THING: Thing = {
  oid: '',
  live: [],
  lost: [],
  retyped: new Set(),
  highest: 0,
  retypes: 0,
}

/** Names by which the warehouse has columns, with their ids. */
function namesOf({ live, lost }: Thing): ReadonlyMap<string, number> {
  return new Map(
    [...live, ...lost.filter(({ isClear }) => isClear)].map(({ name, id }) => [name, id]),
  )
}

interface Found {
  readonly oid: string
  readonly isPartitioned: boolean
  readonly columns: readonly (Omit<Column, 'id'> & { readonly generated: string })[]
}

async function look(source: TestDatabase): Promise<Found> {
  const rows = await source.query(
    `select (select oid from pg_database where datname = current_database()) || '/' || c.oid as oid, c.relkind as kind, a.attnum as attribute, a.attname as name, format_type(a.atttypid, a.atttypmod) as type, a.attgenerated as generated
     from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
     where c.oid = 'public.thing'::regclass order by a.attnum`,
  )
  return {
    oid: String(rows[0]?.['oid']),
    isPartitioned: rows[0]?.['kind'] === 'p',
    columns: rows.map((row) => ({
      attribute: Number(row['attribute']),
      name: String(row['name']),
      type: String(row['type']),
      generated: String(row['generated']),
    })),
  }
}

/** The text of a value, whatever the scale of its number. */
const textOf = (name: string, type: string): string =>
  /^(integer|bigint|numeric)/.test(type)
    ? `case when "${name}"::text = 'NaN' then 'NaN' else trim_scale("${name}"::numeric)::text end`
    : `"${name}"::text`

const objectOf = (columns: readonly { id: number; name: string; type: string }[]): string =>
  `jsonb_strip_nulls('{}' || ${
    // A function takes a hundred arguments.
    columns
      .filter(({ name }) => name !== 'id')
      .map(({ id, name, type }) => `jsonb_build_object('${id}', ${textOf(name, type)})`)
      .join(' || ') || `'{}'`
  })`

/** What a batch saw of it; rows that did not change keep what columns that are gone held. */
export async function captureThing(
  source: TestDatabase,
  before: Thing,
  batch: number,
): Promise<Thing> {
  const found = await look(source)
  const isSame = found.oid === before.oid
  let { highest } = before
  const live = found.columns.map(({ attribute, name, type }): Column => {
    const known = before.live.find((one) =>
      isSame ? one.attribute === attribute && !before.retyped.has(attribute) : one.name === name,
    )
    return { id: known?.id ?? ++highest, attribute, name, type }
  })
  const taken = new Set(live.map(({ name }) => name))
  const lost = [
    ...before.lost,
    ...before.live
      .filter(({ id }) => !live.some((one) => one.id === id))
      .map((column): Lost => ({ ...column, isClear: true })),
  ].map((column) => ({
    ...column,
    isClear: column.isClear && !taken.has(column.name),
    attribute: isSame ? column.attribute : 0,
  }))
  const own = objectOf(live)
  const ids = live.map(({ id }) => `'${id}'`).join(', ')
  await source.query(
    `delete from kept.thing where batch = ${batch};
     insert into kept.thing select ${batch}, s.id,
       case when p.row is not null and s.row = coalesce((select jsonb_object_agg(key, value) from jsonb_each(p.row) where key in (${ids})), '{}') then p.row else s.row end
     from (select id, ${own} as row from public.thing) s left join kept.thing p on p.batch = ${batch - 1} and p.id = s.id`,
  )
  return {
    oid: found.oid,
    live,
    lost,
    retyped: new Set(),
    highest,
    retypes: before.retypes + before.retyped.size,
  }
}

/** Rows of the warehouse's table as the oracle writes them; ids of columns that have no name here are left out on both sides. */
export async function thingSelect(
  warehouse: TestDatabase,
  table: string,
  thing: Thing,
): Promise<string> {
  const names = namesOf(thing)
  const columns = await warehouse.query(
    `select attname as name, format_type(atttypid, atttypmod) as type from pg_attribute
     where attrelid = '${table}'::regclass and attnum > 0 and not attisdropped`,
  )
  const known = columns.flatMap(({ name, type }) => {
    const id = names.get(String(name))
    return id === undefined ? [] : [{ id, name: String(name), type: String(type) }]
  })
  expect(known.map(({ name }) => name).toSorted(), `columns of ${table}`).toEqual(
    [...names.keys()].toSorted(),
  )
  return `id, ${objectOf(known)} as row`
}

/** Of a row that was kept, what has a name. */
export function named(row: unknown, thing: Thing): Record<string, unknown> {
  const ids = new Set([...namesOf(thing).values()].map(String))
  return Object.fromEntries(Object.entries(row as object).filter(([id]) => ids.has(id)))
}

const VALUES: Readonly<Record<string, readonly string[]>> = {
  text: [`'x'`, `''`, `'é"\\,;'`, `E'a\\nb\\t'`, 'null', `'NULL'`],
  integer: ['1', '-7', '2147483647', 'null'],
  bigint: ['1', '9223372036854775807', 'null'],
  numeric: ['1.25', '0', `'NaN'`, 'null', '-3.5'],
  'double precision': ['0.1', `'-0'`, `'NaN'`, `'-Infinity'`, '1e300', 'null'],
  timestamp: [
    `'2026-03-29 02:30:00.000001'`,
    `'infinity'`,
    `'0044-03-15 12:00:00 BC'`,
    `'294276-01-01'`,
    'null',
  ],
  date: [`'2026-02-28'`, `'-infinity'`, `'0044-03-15 BC'`, `'5874897-12-31'`, 'null'],
  'text[]': [`'{a,NULL,"b c"}'`, `'{}'`, `'{""}'`, 'null'],
  jsonb: [`'{"a": 1.10, "b": null}'`, `'null'`, `'"x"'`, 'null'],
  bytea: [`'\\x00ff'`, `''`, 'null'],
  interval: [`'1 year -2 days 00:00:00.5'`, `'0'`, 'null'],
  mood: [`(enum_range(null::mood))[1]`, `(enum_range(null::mood))[2]`, 'null'],
  boolean: ['true', 'false', 'null'],
}

function valueOf(type: string, chance: Chance): string {
  const kind = /^(character varying|varchar)/.test(type)
    ? 'text'
    : type.startsWith('numeric')
      ? 'numeric'
      : type.startsWith('timestamp')
        ? 'timestamp'
        : type
  const value = chance.of(VALUES[kind] ?? ['null'])
  return value === 'null' ? 'null' : `${value}::${type}`
}

const NEW_TYPES = [
  'integer',
  'text',
  'numeric(8,2)',
  'double precision',
  'timestamp(3) without time zone',
  'date',
  'text[]',
  'jsonb',
  'bytea',
  'interval',
  'mood',
  'boolean',
  'character varying(20)',
]

/** A change of rows. */
export async function thingRows(source: TestDatabase, chance: Chance): Promise<string> {
  const { columns } = await look(source)
  const own = columns.filter(({ name, generated }) => name !== 'id' && generated === '')
  const n = 1 + chance.below(9)
  if (own.length === 0 || chance.yes(0.15)) return `delete from thing where id % 4 = ${n % 4}`
  if (chance.yes(0.3))
    return `insert into thing (id, ${own.map(({ name }) => name).join(', ')})
      select ${n}, ${own.map(({ type }) => valueOf(type, chance)).join(', ')} where not exists (select from thing where id = ${n})`
  if (chance.yes(0.05)) return 'truncate thing'
  const some = own.filter(() => chance.yes(0.4))
  const set = (some.length === 0 ? own.slice(0, 1) : some).map(
    ({ name, type }) => `${name} = ${valueOf(type, chance)}`,
  )
  return `update thing set ${set.join(', ')} where id % 3 = ${n % 3}`
}

export interface ThingChange {
  readonly sql: string
  /** The next run is refused until this table is accepted. */
  readonly refused?: boolean
  readonly retyped?: number
  /** It cannot wait: what came before must have been seen. */
  readonly first?: boolean
  readonly accept?: string
}

/** Hundreds of columns come, go or are renamed at once. PostgreSQL counts those that are gone among its 1,600. */
export async function thingWidth(
  source: TestDatabase,
  chance: Chance,
  { thing, width }: { readonly thing: Thing; readonly width: number },
): Promise<ThingChange> {
  const { columns } = await look(source)
  const wide = columns.filter(({ name }) => name.startsWith('w'))
  const all = (action: (name: string) => string): ThingChange => ({
    sql: `alter table thing ${wide.map(({ name }) => action(name)).join(', ')}`,
  })
  const ways: (() => ThingChange)[] = []
  const name = `w${chance.below(1_000_000)}`
  if (thing.highest < 4 * width)
    ways.push(() => ({
      sql: `alter table thing ${Array.from({ length: width }, (_, n) => {
        const type = chance.of(NEW_TYPES)
        return `add column ${name}_${n} ${type} ${chance.yes(0.3) ? `default ${valueOf(type, chance)}` : ''}`
      }).join(', ')}`,
    }))
  if (wide.length > 0) {
    const some = wide.filter(() => chance.yes(0.7))
    ways.push(
      () => all((name) => `drop column ${name}`),
      () => ({
        sql: `alter table thing ${(some.length === 0 ? wide : some).map(({ name }) => `drop column ${name}`).join(', ')}`,
      }),
      () => ({
        sql: wide
          .map(({ name }) => `alter table thing rename column ${name} to ${name}r`)
          .join(';'),
      }),
    )
  }
  return ways.length === 0 ? thingSchema(source, chance, thing) : chance.of(ways)()
}

/** A change of its columns, its key, or of the table itself. */
export async function thingSchema(
  source: TestDatabase,
  chance: Chance,
  thing: Thing,
): Promise<ThingChange> {
  const { columns, isPartitioned } = await look(source)
  const others = columns.filter(({ name }) => name !== 'id')
  const own = others.filter(({ generated }) => generated === '')
  const names = new Set(columns.map(({ name }) => name))
  const numberless = thing.lost.filter(({ attribute }) => attribute === 0).map(({ name }) => name)
  const free = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'k', 'm', 'o', 'p', 'q'].filter(
    (name) => !names.has(name) && !numberless.includes(name),
  )
  const fresh = (): string => chance.of(free)
  const add = (): ThingChange => {
    const type = chance.of(NEW_TYPES)
    const byDefault = chance.yes(0.4) ? `default ${valueOf(type, chance)}` : ''
    return { sql: `alter table thing add column ${fresh()} ${type} ${byDefault}` }
  }
  const ways: (() => ThingChange | Promise<ThingChange>)[] = [add, add]
  if (others.length < 14)
    ways.push(() => ({
      sql: `alter table thing add column ${fresh()} bigint generated always as (id * 3) stored`,
    }))
  if (own.length > 1) {
    const [one, two] = [chance.of(own), chance.of(own)]
    ways.push(
      () => ({ sql: `alter table thing drop column ${one.name}` }),
      () => ({
        sql: `alter table thing drop column ${one.name}; alter table thing add column ${one.name} ${one.type}`,
      }),
      () => ({ sql: `alter table thing rename column ${one.name} to ${fresh()}` }),
      () =>
        one === two
          ? add()
          : {
              sql: `alter table thing rename column ${one.name} to z; alter table thing rename column ${two.name} to ${one.name};
              alter table thing rename column z to ${two.name}`,
            },
      () => ({
        sql: `alter table thing rename column ${one.name} to ${fresh()}; alter table thing add column ${one.name} ${chance.of(NEW_TYPES)}`,
      }),
    )
    const wider = own.find(({ type }) => WIDER[type] !== undefined)
    if (wider !== undefined)
      ways.push(() => ({
        sql: `alter table thing alter column ${wider.name} type ${WIDER[wider.type]}`,
        first: true,
      }))
    const other = own.find(({ type }) => type === 'integer' || type === 'text')
    if (other !== undefined)
      ways.push(() => ({
        sql: `alter table thing alter column ${other.name} type ${other.type === 'text' ? `integer using length(${other.name})` : `date using date '2020-01-01' + (${other.name} % 1000)`}`,
        first: true,
        refused: true,
        retyped: other.attribute,
      }))
  }
  ways.push(
    async () => {
      const [key] = await source.query(
        `select conname as name from pg_constraint where conrelid = 'thing'::regclass and contype = 'p'`,
      )
      return {
        sql:
          key === undefined
            ? 'alter table thing add primary key (id)'
            : `alter table thing drop constraint "${key['name']}"`,
      }
    },
    async () => {
      const labels = await source.query(
        `select enumlabel as label from pg_enum where enumtypid = 'mood'::regtype order by enumsortorder`,
      )
      const label = String(chance.of(labels)['label'])
      return {
        sql: chance.yes(0.5)
          ? `alter type mood rename value '${label}' to 'l${chance.below(1000)}${label.slice(0, 3)}'`
          : `alter type mood add value if not exists 'n${chance.below(1000)}' before '${label}'`,
      }
    },
    // Made anew, also in partitions.
    () => {
      const list = own.map(({ name }) => `"${name}"`).join(', ')
      const parts = !isPartitioned && chance.yes(0.6)
      const all = own.length === 0 ? 'id' : `id, ${list}`
      return {
        first: true,
        sql: `create table fresh (like thing including defaults including generated) ${parts ? 'partition by range (id)' : ''};
          ${parts ? 'create table thing_low partition of fresh for values from (minvalue) to (4); create table thing_rest partition of fresh default;' : ''}
          insert into fresh (${all}) select ${all} from thing; drop table thing; alter table fresh rename to thing;
          ${chance.yes(0.8) ? 'alter table thing add primary key (id)' : ''}`,
      }
    },
    () => ({ sql: 'vacuum full thing' }),
  )
  return chance.of(ways)()
}
