/** The source of a life, the config and the seeds as its owner has written them, and how they change. */
import type { ConfigPieces } from '../support/project.ts'
import type { Chance } from './chance.ts'
import { CRM_KEPT } from './crm.ts'
import { THING } from './thing.ts'

/** Rows of six tables; what the oracle keeps stands in a schema of its own, which no pattern takes. */
export const SETUP = `
create table place (place_id integer primary key, city text not null, region text);
create table item (item_id integer primary key, name text not null, price numeric(8,2) not null, email text, stock integer);
create table sale (sale_id integer primary key, item_id integer not null references item, place_id integer not null references place,
  units integer not null, price numeric(8,2) not null, note text, touched timestamp(6) not null default clock_timestamp());
create table tag (a integer, b text);
create table beat (id integer primary key, n integer not null);
insert into place select n, 'City ' || n, case when n % 2 = 0 then 'R' || n % 3 end from generate_series(1, 5) n;
insert into item select n, 'Item ' || n, n * 1.25, case when n % 3 > 0 then 'i' || n || '@example.com' end, n * 10 from generate_series(1, 6) n;
insert into sale select n, 1 + n % 6, 1 + n % 5, n % 8, n * 0.5, case when n % 3 = 0 then 'note ' || n end from generate_series(1, 12) n;
insert into tag select n % 3, 't' || n % 2 from generate_series(1, 7) n;
insert into beat values (1, 0);
create schema kept; create schema mirror;
create table kept.place (batch integer, place_id integer, city text, region text);
create table kept.item (batch integer, item_id integer, name text, price numeric(8,2), email text, stock integer);
create table kept.sale (batch integer, sale_id integer, item_id integer, place_id integer, units bigint, price numeric(8,2), note text,
  touched timestamp(6), extra integer);
create table kept.tag (batch integer, a integer, b text);
create table kept.beat (batch integer, id integer, n integer);
create table kept.region (batch integer, code text, label text);
create table kept.hash (secret text, value text, hash text);
${['place', 'item', 'sale', 'tag', 'beat']
  .map(
    (table) =>
      `create view mirror.${table} as select * from kept.${table} where batch = current_setting('lives.shop')::integer;`,
  )
  .join('\n')}
${THING}
${CRM_KEPT}
create view mirror.region as select * from kept.region where batch = current_setting('lives.seeds')::integer;
`

export type Mask = 'none' | 'hash' | 'redact' | 'drop'
export type Strategy = 'default' | 'auto' | 'compare' | 'xmin' | 'cursor'

/** What the config says. */
export interface Settings {
  excluded: boolean
  mask: Mask
  /** Of the places' regions. */
  region: Mask
  stockOut: boolean
  all: 'auto' | 'xmin' | 'compare'
  crm: 'auto' | 'xmin' | 'compare'
  placeKey: boolean
  secret: string
  where: 'true' | 'place_id <> 2' | 'item_id > 1'
  strategy: Record<'sale' | 'item' | 'place', Strategy>
  format: 'parquet' | 'csv' | 'json'
  baseAfter: number
  tagLeftOut: boolean
  lake: string
  memory: string
}

export const FIRST: Settings = {
  excluded: false,
  mask: 'none',
  region: 'none',
  stockOut: false,
  all: 'auto',
  crm: 'auto',
  placeKey: false,
  secret: 'the first secret of all',
  where: 'true',
  strategy: { sale: 'default', item: 'default', place: 'default' },
  format: 'parquet',
  baseAfter: 32,
  tagLeftOut: false,
  lake: 'lake',
  memory: '',
}

/** The pieces of the config, as createProject takes them. */
export function configOf(settings: Settings): Required<Omit<ConfigPieces, 'warehouse'>> {
  const { strategy } = settings
  const said = (table: 'sale' | 'item' | 'place'): string =>
    strategy[table] === 'default'
      ? ''
      : `strategy: '${strategy[table]}',${
          strategy[table] === 'cursor' ? ` cursor: { column: 'touched', lookBack: '1h' },` : ''
        }`
  const tables = [
    `place: { ${said('place')} ${settings.region === 'none' ? '' : `mask: { region: '${settings.region}' },`} ${settings.placeKey && settings.strategy.place !== 'xmin' ? `key: ['place_id'],` : ''} }`,
    `item: { ${said('item')} ${
      settings.excluded || settings.stockOut
        ? `columns: { exclude: [${[...(settings.excluded ? [`'email'`] : []), ...(settings.stockOut ? [`'stock'`] : [])].join(', ')}] },`
        : ''
    } ${
      settings.mask === 'none' || settings.excluded ? '' : `mask: { email: '${settings.mask}' },`
    } }`,
    `sale: { ${said('sale')} ${settings.where === 'true' ? '' : `where: '${settings.where}',`} }`,
  ]
  return {
    sources: `crm: { type: 'postgres', url: env('CRM_URL'), strategy: '${settings.crm}' },`,
    source: `strategy: '${settings.all}', tables: { include: ['*'], exclude: [${settings.tagLeftOut ? `'tag'` : ''}] }, table: { ${tables.join(', ')} }`,
    lake: `ingestion: '${settings.lake}/ingestion', processed: '${settings.lake}/processed', format: '${settings.format}', baseAfter: { files: ${settings.baseAfter} },`,
    project: `maskSecret: env('MASK_SECRET'), environments: { dev: { warehouse: { schema: 'dev' } } }, ${settings.memory}`,
  }
}

/** One change of the source's rows; every one is a batch, since the beat changes with it. */
export function changeSql(chance: Chance, settings: Settings): string {
  const n = 1 + chance.below(14)
  const p = 1 + chance.below(6)
  const touch = 'touched = clock_timestamp()'
  const changes = [
    `update sale set units = units + 1, ${touch} where sale_id = ${n}`,
    `update sale set units = (units * 7) % 9, note = case when note is null then 'n' || sale_id end, ${touch} where sale_id % 3 = ${n % 3}`,
    `insert into sale (sale_id, item_id, place_id, units, price, note) select ${n}, (select min(item_id) from item), (select max(place_id) from place), ${n % 5}, ${n}.5, null
       on conflict (sale_id) do update set price = sale.price + 0.01, ${touch}`,
    `insert into sale (sale_id, item_id, place_id, units, price, note) select coalesce(max(sale_id), 0) + 1, (select max(item_id) from item), (select min(place_id) from place), ${n % 5}, ${n}.5, '' from sale`,
    `update place set region = case when region is null then 'R${p % 3}' end where place_id = ${p}`,
    `update place set city = city || '.' where place_id % 2 = ${p % 2}`,
    `insert into place values (${p}, 'New ${n}', 'R${n % 4}') on conflict (place_id) do update set city = excluded.city`,
    `update item set email = 'i${n}@example.org' where item_id % 2 = ${p % 2}`,
    `update item set price = price + 0.01, stock = nullif(stock, 30) where item_id = ${p}`,
    `insert into item values (${n}, 'Item ${n}', ${n}.1, null, ${p}) on conflict (item_id) do update set name = item.name || 'x'`,
    `insert into tag values (${p % 4}, 't${n % 3}'), (${p % 4}, null)`,
    `delete from tag where ctid in (select ctid from tag where a = ${p % 4} limit 2)`,
    // There and back, and rewritten: no change of these rows.
    `update sale set units = units + 1; update sale set units = units - 1`,
    `update item set name = name, price = price`,
    ...(settings.strategy.sale === 'cursor'
      ? []
      : [
          `delete from sale where sale_id = ${n}`,
          `delete from sale where sale_id % 4 = ${n % 4}`,
          `delete from place where place_id = ${p} and not exists (select from sale where sale.place_id = place.place_id)`,
          `delete from item where item_id = ${p} and not exists (select from sale where sale.item_id = item.item_id)`,
          // Two rows change their keys.
          `update sale set sale_id = -sale_id where sale_id in (1, 2); update sale set sale_id = 3 + sale_id where sale_id < 0`,
        ]),
  ]
  return `${chance.of(changes)}; update beat set n = n + 1`
}
