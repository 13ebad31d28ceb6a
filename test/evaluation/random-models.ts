/** Random models over the tables of random-lake.ts: joins of two to four tables, and all else that a query does. */
import fc from 'fast-check'
import type { ModelText } from '../../src/models/model.ts'
import { model } from '../models/totesys-tables.ts'

interface Sketch {
  readonly key: string
  /** The table that drives it, if one may. */
  readonly driving: string | null
  readonly sql: string
}

const join = fc.constantFrom('join', 'left join')
const small = fc.integer({ min: -1, max: 3 })

/** The condition of a `where`, over a and what is joined to it. */
const where = fc.oneof(
  fc.constant(''),
  small.map((n) => `where a.a_val > ${n}`),
  small.map((n) => `where a.a_val is distinct from ${n}`),
  fc.constant("where a.a_txt is null or a.a_txt <> 'x'"),
)

/** a, and look-ups by key: each row of a yields one row at most. */
const lookedUp = fc
  .record({
    toB: join,
    toC: fc.constantFrom('join', 'left join', 'semi join', 'anti join'),
    by: fc.constantFrom('a.c_ref', 'b.c_up'),
    seed: fc.boolean(),
    using: fc.boolean(),
    where,
  })
  .map(({ toB, toC, by, seed, using, where: condition }): Sketch => {
    const seen = !toC.startsWith('semi') && !toC.startsWith('anti')
    const b = using ? `${toB} shop.b as b using (b_ref)` : `${toB} shop.b as b on a.b_ref = b.b_ref`
    const seeds = seed && seen ? 'left join seeds.s as s on s.kind = c.kind' : ''
    return {
      key: 'a_id',
      driving: 'shop.a',
      sql: `select a.a_id, a.a_val, upper(a.a_txt) as txt, b.b_txt, ${using ? 'b_ref' : 'a.b_ref'} as ref${
        seen ? ', coalesce(c.c_num, -9) as num' : ''
      }${seeds === '' ? '' : ', s.label'}
from shop.a as a ${b} ${toC} shop.c as c on c.c_ref = ${by} ${seeds} ${condition}`,
    }
  })

/** One row may yield none, one, or many. */
const fannedOut = fc
  .record({ kind: join, no: small, lateral: fc.boolean() })
  .map(({ kind, no, lateral }): Sketch => {
    const on = lateral
      ? `${kind === 'join' ? ',' : 'left join'} lateral (select x, y, e_val from shop.e where e.b_ref = b.b_ref and e_val is distinct from ${no}) as e ${kind === 'join' ? '' : 'on true'}`
      : `${kind} shop.e as e on e.b_ref = b.b_ref and e.e_val is distinct from ${no}`
    return {
      key: 'b_ref, x, y',
      driving: 'shop.b',
      sql: `select b.b_ref, coalesce(e.x, -1) as x, coalesce(e.y, '') as y, e.e_val, b.b_txt from shop.b as b ${on}`,
    }
  })

/** Subqueries over look-ups may do anything. */
const asked = fc
  .record({
    not: fc.constantFrom('', 'not '),
    no: small,
    n: fc.constantFrom('count(*)', 'max(a_val)', 'sum(a_val)::bigint'),
  })
  .map(({ not, no, n }): Sketch => ({
    key: 'x, y',
    driving: 'shop.e',
    sql: `select e.x, e.y, e.e_val, (select ${n} from shop.a as a where a.b_ref = e.b_ref) as n
from shop.e as e
where ${not}exists (select 1 from shop.b as b where b.b_ref = e.b_ref and b.c_up is distinct from ${no})`,
  }))

const inClauses = fc.record({ kind: join, no: small }).map(({ kind, no }): Sketch => ({
  key: 'id',
  driving: 'shop.a',
  sql: `with chosen as (select a_id as id, c_ref, a_val from shop.a where a_val is distinct from ${no}),
ranked as (select c_ref, kind, row_number() over (partition by kind order by c_num, c_ref) as place from shop.c)
select chosen.id, chosen.a_val, ranked.place, k.n
from chosen ${kind} ranked using (c_ref)
left join (select kind, count(*) as n from shop.c group by kind) as k on k.kind = ranked.kind`,
}))

const plain = fc.constantFrom<Sketch>(
  { key: 'c_ref', driving: 'shop.c', sql: 'from shop.c' },
  {
    key: 'kind',
    driving: 'seeds.s',
    sql: "select kind, coalesce(label, 'none') as label from seeds.s",
  },
  {
    key: 'x, y, part',
    driving: 'shop.e',
    sql: 'select x, y, unnest([1, e_val, null]) as value, unnest([1, 2, 3]) as part from shop.e',
  },
)

const together = fc.constantFrom<Sketch>(
  {
    key: 'ref',
    driving: null,
    sql: 'select coalesce(b_ref, -1) as ref, count(*) as n, sum(a_val) as total, max(a_txt) as txt, count(distinct c_ref) as cs from shop.a group by all',
  },
  {
    key: 'kind',
    driving: null,
    sql: "select coalesce(c.kind, '?') as kind, count(a.a_id) as n, sum(a.a_val) as total from shop.c as c left join shop.a as a using (c_ref) left join shop.b as b using (b_ref) group by 1",
  },
  {
    key: 'a_id',
    driving: null,
    sql: 'select a_id, row_number() over (partition by b_ref order by a_val desc, a_id) as place, lag(a_val) over (order by a_id) as last, s.label from shop.a left join shop.c using (c_ref) left join seeds.s as s using (kind)',
  },
  {
    key: 'b, c',
    driving: null,
    sql: 'select coalesce(b.b_ref, -1) as b, coalesce(c.c_ref, -1) as c, b_txt, kind from shop.b as b full join shop.c as c on b.c_up = c.c_ref',
  },
  {
    key: 'b, x, y',
    driving: null,
    sql: 'select coalesce(b.b_ref, -1) as b, e.x, e.y, b.b_txt from shop.b as b right join shop.e as e using (b_ref)',
  },
  {
    key: 'ref',
    driving: null,
    sql: 'select b_ref as ref from shop.a where b_ref is not null union select b_ref from shop.e where b_ref is not null',
  },
  {
    key: 'one',
    driving: null,
    sql: 'select 1 as one, (select count(*) from shop.e) as es, (select max(label) from seeds.s) as label',
  },
)

const rowByRow = fc.oneof(
  lookedUp,
  lookedUp,
  lookedUp,
  inClauses,
  inClauses,
  fannedOut,
  asked,
  plain,
)

/** A model over a model of the first kind, driven by it or looking it up. */
const onTop = fc.boolean().map((drives) =>
  drives
    ? (below: string): Sketch => ({
        key: 'a_id',
        driving: below,
        sql: `select m.a_id, m.a_val, m.txt, c.kind from ${below} as m left join shop.c as c on c.c_num = m.a_val and c.c_ref = 1`,
      })
    : (below: string): Sketch => ({
        key: 'b_ref',
        driving: 'shop.b',
        sql: `select b.b_ref, b.b_txt, (select count(*) from ${below} as m where m.ref = b.b_ref) as n from shop.b as b`,
      }),
)

/** Three to six models; where one may be driven it mostly is. */
export const randomModels: fc.Arbitrary<ModelText[]> = fc
  .record({
    below: lookedUp,
    rest: fc.array(rowByRow, { minLength: 1, maxLength: 3 }),
    full: fc.option(together, { nil: null, freq: 2 }),
    on: fc.option(onTop, { nil: null }),
    believed: fc.array(fc.nat(9), { minLength: 6, maxLength: 6 }),
  })
  .map(({ below, rest, full, on, believed }) => {
    const sketches = [
      below,
      ...rest,
      ...(full === null ? [] : [full]),
      ...(on === null ? [] : [on('m0')]),
    ]
    return sketches.map(({ key, driving, sql }, index) => {
      const isDriven = driving !== null && believed[index] !== 0
      const header = `-- kind: table\n-- key: ${key}\n-- nullable: all\n${isDriven ? `-- driven by: ${driving}\n` : ''}`
      return model(`m${index}`, `${header}${sql}`)
    })
  })
