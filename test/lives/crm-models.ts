/** Models over the second source, alone and joined with the first; one of its tables has keys that can be spelled in two ways. */
import type { Column, Kind, Recipe } from './recipe.ts'

const asText = (name: string): { readonly star: string; readonly lake: string } => ({
  star: `t.${name}::text`,
  lake: `t.${name}`,
})

/** `1 mon`, `30 days` and `720:00:00` are one interval. */
function hoursOf(text: string): string {
  const found = (pattern: RegExp): number => Number(pattern.exec(text)?.[1] ?? 0)
  const days = found(/(\d+) mon/) * 30 + found(/(\d+) day/)
  return String(days * 24 + found(/(\d+):00:00/))
}

/** Columns of the table whose keys are spelled in two ways; `c` is no case-insensitive text in the warehouse, unless it has the type. */
function twinColumns(isFolded: boolean): Readonly<Record<string, Column>> {
  const column = (
    name: string,
    star: (text: string) => string,
    lake: (text: string) => string = (text) => text,
  ): Column => ({ name, duck: name, pg: name, shown: asText(name), same: { star, lake } })
  const float: Column = {
    ...column('f', (text) => String(Number(text) + 0)),
    shown: {
      star: 't.f::text',
      lake: `case when t.f = 0 then case when signbit(t.f) then '-0' else '0' end else cast(cast(t.f as integer) as varchar) end`,
    },
    same: { star: (text) => text.replace(/^-0$/, '0'), lake: (text) => text.replace(/^-0$/, '0') },
  }
  return {
    n: column('n', (text) => String(Number(text))),
    f: float,
    i: column('i', hoursOf),
    c: column('c', (text) => (isFolded ? text.toLowerCase() : text)),
    j: column('j', (text) => text.replaceAll(/\.0+/g, '')),
    v: { name: 'v', duck: 'v', pg: 'v' },
  }
}

/** Whether the warehouse has the type of `c`; each life draws it. */
export const twinTypes = { isFolded: false }

const TWIN_KEYS = [
  ['n'],
  ['f'],
  ['i'],
  ['j'],
  ['c', 'n'],
  ['f', 'i', 'n', 'c', 'j'],
  ['i', 'f'],
  ['c'],
] as const

function twinRecipe(kinds: readonly Kind[], referring: boolean): Recipe {
  return {
    kinds,
    parts: { key: referring ? TWIN_KEYS.length : 1, rows: 3, driven: 2, refers: referring ? 2 : 1 },
    draft: ({ key = 0, rows = 0, driven = 0, refers = 0 }) => {
      const names = TWIN_KEYS[key] ?? TWIN_KEYS[0]
      const columns = twinColumns(twinTypes.isFolded)
      const where = ['', 'where v % 2 = 0', 'where v <> 3'][rows] ?? ''
      const of = (list: readonly string[]): readonly Column[] =>
        list.flatMap((name) => columns[name] ?? [])
      return {
        key: names,
        columns: of([
          ...names,
          ...Object.keys(columns).filter((one) => !names.some((name) => name === one)),
        ]),
        duckFrom: `crm.twin ${where}`,
        pgFrom: `twin ${where}`,
        references: refers === 1 ? [{ column: 'n', model: 'dim_twin' }] : [],
        // Whatever the source's key is, all of it is in this one.
        header: driven === 1 && names.length === 5 ? ['driven by: crm.twin'] : [],
      }
    },
  }
}

export const CRM_RECIPES: Readonly<Record<string, Recipe>> = {
  dim_twin: twinRecipe(['dimension', 'history', 'table'], false),
  fact_twin: twinRecipe(['fact', 'history', 'dimension', 'table'], true),
  place_clients: {
    kinds: ['fact', 'dimension', 'history'],
    parts: { inner: 2, level: 2, driven: 2 },
    draft: ({ inner = 0, level = 0, driven = 0 }) => {
      const join = ['left join', 'join'][inner] ?? ''
      const from = (place: string, client: string): string =>
        `${place} as p ${join} (select place_id, count(*) as clients, max(level) as level from ${client} group by 1) as c on c.place_id = p.place_id`
      return {
        key: ['place_id'],
        columns: [
          { name: 'place_id', duck: 'p.place_id', pg: 'p.place_id' },
          { name: 'city', duck: 'p.city', pg: 'p.city' },
          { name: 'clients', duck: 'coalesce(c.clients, 0)', pg: 'coalesce(c.clients, 0)' },
          ...(level === 0
            ? []
            : [{ name: 'level', duck: 'c.level', pg: 'c.level', nullable: true }]),
        ],
        duckFrom: from('shop.place', 'crm.client'),
        pgFrom: from('place', 'client'),
        header: driven === 1 ? ['driven by: shop.place'] : [],
      }
    },
  },
  client_items: {
    kinds: ['fact', 'table', 'dimension', 'history'],
    parts: { both: 2, driven: 2, cost: 2 },
    draft: ({ both = 0, driven = 0, cost = 0 }) => {
      const join = ['left join', 'join'][both] ?? ''
      const from = (shop: string, crm: string, item: string): string =>
        `${crm}client as c ${join} ${item} as ci on ci.item_id = c.client_id ${join} ${shop}item as i on i.item_id = ci.item_id`
      return {
        key: ['client_id'],
        columns: [
          { name: 'client_id', duck: 'c.client_id', pg: 'c.client_id' },
          { name: 'name', duck: 'c.name', pg: 'c.name' },
          { name: 'label', duck: 'ci.label', pg: 'ci.label', nullable: true },
          { name: 'item', duck: 'i.name', pg: 'i.name', nullable: true },
          ...(cost === 0 ? [] : [{ name: 'cost', duck: 'ci.cost', pg: 'ci.cost', nullable: true }]),
        ],
        duckFrom: from('shop.', 'crm.', 'crm.item'),
        pgFrom: from('', '', 'crm_item'),
        header: driven === 1 ? ['driven by: crm.client'] : [],
      }
    },
  },
}
