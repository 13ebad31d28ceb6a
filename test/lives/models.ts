/** The models of a life: every variant as its owner writes it, and the same by hand in PostgreSQL. */
import type { Chance } from './chance.ts'
import { CRM_RECIPES } from './crm-models.ts'
import type { Column, Kind, Recipe } from './recipe.ts'

/** How one model reads now. */
export interface Variant {
  readonly kind: Kind
  /** Each picks one of the ways in which a part of the model can be written. */
  readonly parts: Readonly<Record<string, number>>
}

export interface Written {
  /** The file. */
  readonly text: string
  /** A select of the same columns over the tables of one batch; models that it reads go by their names. */
  readonly sql: string
  readonly columns: readonly string[]
  readonly key: readonly string[]
  readonly reads: readonly string[]
  readonly references: readonly { readonly column: string; readonly model: string }[]
  readonly demanded: readonly string[]
  /** By column, where it is not what every other variant has. */
  readonly types: Readonly<Record<string, string>>
  /** It takes all columns of the thing: here the key, and one object of all others. */
  readonly whole: boolean
  /** The column of record ids, or null. */
  readonly recordId: string | null
  /** A column of the warehouse's table `t`, or of the lake's, as the oracle has its values. */
  shown(side: 'star' | 'lake', column: string): string
  /** One text for all keys of rows that are the same. */
  keyOf(side: 'star' | 'lake', row: Readonly<Record<string, unknown>>): string
}

/** All columns of the thing, whatever they are called. */
function wholeRecipe(kinds: readonly Kind[]): Recipe {
  return {
    kinds,
    parts: { rows: 3, driven: 2 },
    draft: ({ rows = 0, driven = 0 }) => {
      const where = ['', 'where id <> 3', 'where id % 2 = 0'][rows] ?? ''
      return {
        key: ['id'],
        columns: [
          { name: 'id', duck: 'id', pg: 'id' },
          { name: 'row', duck: 'row', pg: 'row', nullable: true },
        ],
        duckFrom: `shop.thing ${where}`,
        pgFrom: `thing ${where}`,
        header: driven === 1 ? ['driven by: shop.thing'] : [],
        whole: true,
      }
    },
  }
}

const RECIPES: Readonly<Record<string, Recipe>> = {
  dim_place: {
    kinds: ['dimension', 'history', 'table'],
    parts: { city: 4, region: 3, rows: 3 },
    draft: ({ city = 0, region = 0, rows = 0 }) => ({
      key: ['place_id'],
      columns: [
        { name: 'place_id', duck: 'p.place_id', pg: 'p.place_id' },
        [
          { name: 'city', duck: 'p.city', pg: 'p.city' },
          { name: 'town', duck: 'p.city', pg: 'p.city' },
          { name: 'city', duck: 'upper(p.city)', pg: 'upper(p.city)' },
          { name: 'city', duck: 'length(p.city)', pg: 'length(p.city)::bigint', type: 'bigint' },
        ][city] as Column,
        ...([
          [{ name: 'region', duck: 'p.region', pg: 'p.region', nullable: true }],
          [
            { name: 'region', duck: `coalesce(r.label, 'none')`, pg: `coalesce(r.label, 'none')` },
            { name: 'code', duck: 'r.code', pg: 'r.code', nullable: true },
          ],
          [],
        ][region] as Column[]),
      ],
      duckFrom: `shop.place as p ${region === 1 ? 'left join seeds.region as r on r.code = p.region' : ''} ${['', 'where p.place_id <> 3', 'where p.region is not null'][rows]}`,
      pgFrom: `place as p ${region === 1 ? 'left join region as r on r.code = p.region' : ''} ${['', 'where p.place_id <> 3', 'where p.region is not null'][rows]}`,
    }),
  },
  fact_sale: {
    kinds: ['fact', 'fact', 'fact', 'table', 'history'],
    parts: {
      units: 5,
      more: 5,
      rows: 4,
      key: 2,
      refers: 4,
      driven: 2,
      price: 2,
      space: 2,
      says: 6,
    },
    draft: ({
      units = 0,
      more = 0,
      rows = 0,
      key = 0,
      refers = 0,
      driven = 0,
      price = 0,
      space = 0,
      says = 0,
    }) => {
      const where = ['', 'where s.units > 2', 'where s.place_id <> 2', 'where i.price < 6'][rows]
      const joins = more === 2 || rows === 3
      return {
        key: key === 0 ? ['sale_id'] : ['sale_id', 'item_id'],
        columns: [
          { name: 'sale_id', duck: 's.sale_id', pg: 's.sale_id' },
          { name: 'item_id', duck: 's.item_id', pg: 's.item_id' },
          { name: 'place_id', duck: 's.place_id', pg: 's.place_id' },
          [
            { name: 'units', duck: 's.units', pg: 's.units' },
            { name: 'units', duck: 's.units * 2', pg: 's.units * 2' },
            { name: 'units', duck: 's.units // 4', pg: 's.units / 4' },
            { name: 'units', duck: 'cast(s.units as varchar)', pg: 's.units::text', type: 'text' },
            { name: 'units', duck: 's.units + 0', pg: 's.units' },
          ][units] as Column,
          { name: ['price', 'unit_price'][price] ?? '', duck: 's.price', pg: 's.price' },
          ...([
            [{ name: 'note', duck: 's.note', pg: 's.note', nullable: true }],
            [
              { name: 'note', duck: 'upper(s.note)', pg: 'upper(s.note)', nullable: true },
              { name: 'twice', duck: 's.units * 2', pg: 's.units * 2' },
            ],
            [{ name: 'item', duck: 'i.name', pg: 'i.name' }],
            [],
            [{ name: 'note', duck: 's.note', pg: 's.note' }],
          ][more] as Column[]),
        ],
        duckFrom: `${space === 1 ? '/* sales */ ' : ''}shop.sale as s ${joins ? 'join shop.item as i on i.item_id = s.item_id' : ''} ${where}`,
        pgFrom: `sale as s ${joins ? 'join item as i on i.item_id = s.item_id' : ''} ${where}`,
        references: refers === 1 ? [{ column: 'place_id', model: 'dim_place' }] : [],
        header: [
          ...(driven === 1 && !joins ? ['driven by: shop.sale'] : []),
          ...([
            [],
            ['comment: every sale'],
            [`types: ${['price', 'unit_price'][price]} numeric(12,4)`],
            ['check warn: place_id <> 3'],
            ['unique: sale_id, item_id'],
            ['check: sale_id is not null'],
          ][says] ?? []),
        ],
        recordIds: says === 5 ? 'sale_record_id' : undefined,
      }
    },
  },
  fact_totals: {
    kinds: ['fact', 'dimension'],
    parts: { by: 2, sum: 2 },
    draft: ({ by = 0, sum = 0 }) => ({
      key: [by === 0 ? 'place_id' : 'item_id'],
      columns: [
        {
          name: by === 0 ? 'place_id' : 'item_id',
          duck: by === 0 ? 'f.place_id' : 'f.item_id',
          pg: by === 0 ? 'f.place_id' : 'f.item_id',
        },
        { name: 'sales', duck: 'count(*)', pg: 'count(*)' },
        sum === 0
          ? {
              name: 'units',
              duck: 'cast(sum(cast(f.units as bigint)) as bigint)',
              pg: 'sum(f.units::bigint)::bigint',
            }
          : { name: 'first', duck: 'min(f.sale_id)', pg: 'min(f.sale_id)' },
      ],
      duckFrom: 'fact_sale as f group by 1',
      pgFrom: 'fact_sale as f group by 1',
      reads: ['fact_sale'],
    }),
  },
  all_item: {
    kinds: ['table', 'fact', 'dimension'],
    parts: { email: 2, stock: 2 },
    draft: ({ email = 0, stock = 0 }) => ({
      key: ['item_id'],
      columns: [
        { name: 'item_id', duck: 'item_id', pg: 'item_id' },
        { name: 'name', duck: 'name', pg: 'name' },
        { name: 'price', duck: 'price', pg: 'price' },
        ...(email === 0 ? [{ name: 'email', duck: 'email', pg: 'email', nullable: true }] : []),
        ...(stock === 0
          ? [{ name: 'stock', duck: 'stock', pg: 'stock', nullable: true }]
          : [{ name: 'stock', duck: 'coalesce(stock, -1)', pg: 'coalesce(stock, -1)' }]),
      ],
      duckFrom: 'shop.item',
      pgFrom: 'item',
    }),
  },
  tags: {
    kinds: ['table', 'history'],
    parts: { b: 2 },
    draft: ({ b = 0 }) => ({
      key: ['a'],
      columns: [
        { name: 'a', duck: 'a', pg: 'a' },
        { name: 'n', duck: 'count(*)', pg: 'count(*)' },
        ...(b === 0
          ? []
          : [{ name: 'b', duck: 'max(b)', pg: 'max(b collate "C")', nullable: true }]),
      ],
      duckFrom: 'shop.tag group by 1',
      pgFrom: 'tag group by 1',
    }),
  },
  all_thing: wholeRecipe(['table', 'fact', 'history']),
  fact_thing: wholeRecipe(['fact', 'dimension']),
  sale_ranks: {
    kinds: ['fact', 'history', 'table'],
    parts: { order: 2, before: 2, rows: 2 },
    draft: ({ order = 0, before = 0, rows = 0 }) => {
      const over = `over (partition by s.item_id order by s.${order === 0 ? 'sale_id' : 'units desc, s.sale_id'})`
      const rank = `row_number() ${over}`
      const from = `sale as s ${rows === 0 ? '' : 'where s.units > 1'}`
      const lag = `lag(s.units) ${over}`
      return {
        key: ['item_id', 'rank'],
        columns: [
          { name: 'item_id', duck: 's.item_id', pg: 's.item_id' },
          { name: 'rank', duck: rank, pg: rank },
          { name: 'sale_id', duck: 's.sale_id', pg: 's.sale_id' },
          ...(before === 0 ? [] : [{ name: 'before', duck: lag, pg: lag, nullable: true }]),
        ],
        duckFrom: `shop.${from}`,
        pgFrom: from,
      }
    },
  },
  item_sums: {
    kinds: ['history', 'fact', 'dimension'],
    parts: { sums: 2, driven: 2, places: 2, union: 2 },
    draft: ({ sums = 0, driven = 0, places = 0, union = 0 }) => {
      const sum = ['sum', 'max'][sums] ?? ''
      const join = (shop: string): string =>
        `${shop}item as i left join (select item_id, cast(${sum}(cast(units as bigint)) as bigint) as units, count(distinct place_id) as places
         from ${shop}sale group by 1) as t on t.item_id = i.item_id`
      const count = (shop: string): string =>
        `(select count(*) from ${shop}place where region is not null)`
      return {
        key: ['item_id'],
        columns: [
          { name: 'item_id', duck: 'i.item_id', pg: 'i.item_id' },
          { name: 'units', duck: 't.units', pg: 't.units', nullable: true },
          { name: 'places', duck: 'coalesce(t.places, 0)', pg: 'coalesce(t.places, 0)' },
          ...(places === 0 ? [] : [{ name: 'regions', duck: count('shop.'), pg: count('') }]),
        ],
        duckFrom: `${join('shop.')} ${union === 0 ? '' : 'where exists (select from shop.sale as e where e.item_id = i.item_id)'.replace('select from', 'select 1 from')}`,
        pgFrom: `${join('')} ${union === 0 ? '' : 'where exists (select 1 from sale as e where e.item_id = i.item_id)'}`,
        header: driven === 1 ? ['driven by: shop.item'] : [],
      }
    },
  },
  tops: {
    kinds: ['table', 'fact'],
    parts: { of: 2 },
    draft: ({ of = 0 }) => ({
      key: ['kind', 'n'],
      columns: [
        { name: 'kind', duck: 'u.kind', pg: 'u.kind' },
        { name: 'n', duck: 'u.n', pg: 'u.n' },
        { name: 'items', duck: 'count(*)', pg: 'count(*)' },
        { name: 'best', duck: 'max(u.id)', pg: 'max(u.id)' },
      ],
      duckFrom: `(select 'a' as kind, coalesce(units, -1) as n, item_id as id from item_sums union all select 'b', rank, ${of === 0 ? 'sale_id' : '-sale_id'} from sale_ranks) as u group by 1, 2`,
      pgFrom: `(select 'a' as kind, coalesce(units, -1) as n, item_id as id from item_sums union all select 'b', rank, ${of === 0 ? 'sale_id' : '-sale_id'} from sale_ranks) as u group by 1, 2`,
      reads: ['item_sums', 'sale_ranks'],
    }),
  },
  fact_beat: {
    kinds: ['fact'],
    parts: { n: 1 },
    draft: () => ({
      key: ['id'],
      columns: [
        { name: 'id', duck: 'id', pg: 'id' },
        { name: 'n', duck: 'n', pg: 'n' },
      ],
      duckFrom: 'shop.beat',
      pgFrom: 'beat',
    }),
  },
  ...CRM_RECIPES,
}

export const FIRST_VARIANTS: Readonly<Record<string, Variant>> = Object.fromEntries(
  Object.entries(RECIPES).map(([name, { kinds }]) => [
    name,
    { kind: kinds[0] ?? 'table', parts: {} },
  ]),
)

/** The recipe of a model, whatever its file is called now. */
function recipeOf(name: string): string {
  return name.replace(/_renamed$/, '')
}

export function write(name: string, { kind, parts }: Variant): Written {
  const recipe = RECIPES[recipeOf(name)]
  if (recipe === undefined) throw new Error(`no recipe for ${name}`)
  const {
    key,
    columns,
    duckFrom,
    pgFrom,
    reads = [],
    whole = false,
    references = [],
    header = [],
    recordIds,
  } = recipe.draft(parts, name)
  const nullable = columns.flatMap(({ name: column, nullable: may }) =>
    may === true ? [column] : [],
  )
  const recordId =
    kind === 'fact'
      ? (recordIds ?? `${recipeOf(name)}_id`)
      : kind === 'history'
        ? 'record_id'
        : null
  const lines = [
    `kind: ${kind === 'history' ? 'dimension' : kind}`,
    `key: ${key.join(', ')}`,
    ...(kind === 'fact' ? [`record id: ${recordId}`] : []),
    ...(kind === 'history' ? ['history: true'] : []),
    ...(nullable.length === 0 ? [] : [`nullable: ${whole ? 'all' : nullable.join(', ')}`]),
    ...references.map(({ column, model }) => `references: ${column} -> ${model}`),
    ...header,
  ]
  const list = (side: 'duck' | 'pg'): string =>
    columns.map((column) => `${column[side]} as ${column.name}`).join(', ')
  const of = (name: string): Column | undefined => columns.find((column) => column.name === name)
  return {
    text: `${lines.map((line) => `-- ${line}\n`).join('')}select ${whole ? '*' : list('duck')}\nfrom ${duckFrom}\n`,
    whole,
    recordId,
    sql: `select ${list('pg')} from ${pgFrom}`,
    columns: columns.map(({ name: column }) => column),
    key,
    reads,
    references,
    shown: (side, column) => of(column)?.shown?.[side] ?? `t.${column}`,
    keyOf: (side, row) =>
      JSON.stringify(
        key.map((column) => {
          const same = of(column)?.same
          return same === undefined ? row[column] : same[side](String(row[column]))
        }),
      ),
    demanded: columns.flatMap(({ name: column, nullable: may }) => (may === true ? [] : [column])),
    types: Object.fromEntries(
      columns.flatMap(({ name: column, type }) => (type === undefined ? [] : [[column, type]])),
    ),
  }
}

/** One part, or the kind, written otherwise. */
export function edited(name: string, variant: Variant, chance: Chance): Variant {
  const recipe = RECIPES[recipeOf(name)]
  if (recipe === undefined) throw new Error(`no recipe for ${name}`)
  const others = recipe.kinds.filter((kind) => kind !== variant.kind)
  if (others.length > 0 && chance.yes(0.15)) return { ...variant, kind: chance.of(others) }
  // Each part that has more than one way, and then another one than now.
  const parts = Object.entries(recipe.parts).filter(([, ways]) => ways > 1)
  if (parts.length === 0) return variant
  const [part, ways] = chance.of(parts)
  const next = ((variant.parts[part] ?? 0) + 1 + chance.below(ways - 1)) % ways
  return { ...variant, parts: { ...variant.parts, [part]: next } }
}
