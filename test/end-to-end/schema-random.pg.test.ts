/**
 * Random changes of schema and rows, in any order, each followed by a run: whatever happened, the lake's current
 * rows are the source's by name and value, models that take all are their tables (P2, P7), and in the end
 * a rebuild from the lake equals the live warehouse.
 */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createProject, type TestProject } from '../support/project.ts'
import { rowsIn, rowsInLake } from '../support/project-tables.ts'
import { rebuilt, wholeStar } from '../support/rebuild.ts'
import { WIDER } from '../support/wider.ts'

const TABLES = ['p', 'q'] as const
const SETUP = TABLES.map(
  (
    table,
  ) => `create table ${table} (id integer primary key, a text, b integer, c varchar(9), d numeric(8,2));
    insert into ${table} select n, 'Qx7' || n, n, 'Qx7', n / 4.0 from generate_series(1, 6) n;`,
).join('')
const MODELS = Object.fromEntries(
  TABLES.flatMap((table) => [
    [`all_${table}`, `-- kind: table\n-- key: id\n-- nullable: all\nselect * from shop.${table}\n`],
    [
      `fact_${table}`,
      `-- kind: fact\n-- key: id\n-- record id: ${table}_record_id\n-- nullable: all\nselect * from shop.${table}\n`,
    ],
  ]),
)

/** What can happen; `n` chooses among the columns, and makes values. */
const KINDS = [
  'add',
  'add with a default',
  'drop',
  'rename',
  'swap',
  'widen',
  'insert',
  'update',
  'delete',
  'rewrite',
] as const

interface Step {
  readonly kind: (typeof KINDS)[number]
  readonly table: (typeof TABLES)[number]
  readonly n: number
}

const steps = fc.array(
  fc.record({
    kind: fc.constantFrom(...KINDS),
    table: fc.constantFrom(...TABLES),
    n: fc.nat({ max: 5 }),
  }),
  { minLength: 12, maxLength: 16 },
)

/** The SQL of a step, on the columns that the table has now. */
async function sqlOf({ source }: TestProject, { kind, table, n }: Step): Promise<string> {
  const found = await source.query(
    `select attname as name, format_type(atttypid, atttypmod) as type from pg_attribute
     where attrelid = $1::regclass and attnum > 1 and not attisdropped order by attnum`,
    [table],
  )
  const columns = found.map(({ name, type }) => ({ name: name ?? '', type: type ?? '' }))
  const one = columns[n % Math.max(1, columns.length)]
  const other = columns[(n + 1) % Math.max(1, columns.length)]
  // Few names, so that dropped ones come back.
  const free = ['a', 'b', 'c', 'd', 'e', 'f'].find(
    (name, index) => index >= n % 3 && !columns.some((column) => column.name === name),
  )
  const value = (type: string): string => (type.startsWith('num') ? `${n}.5` : String(n + 7))
  const quoted = (type: string): string =>
    type === 'text' || type.startsWith('char') ? `'Qx7 ${n}'` : value(type)
  switch (kind) {
    case 'add':
      return free === undefined ? '' : `alter table ${table} add column ${free} integer`
    case 'add with a default':
      return free === undefined
        ? ''
        : `alter table ${table} add column ${free} text not null default 'Qx7 ${n}'`
    case 'drop':
      return one === undefined ? '' : `alter table ${table} drop column ${one.name}`
    case 'rename':
      return one === undefined || free === undefined
        ? ''
        : `alter table ${table} rename column ${one.name} to ${free}`
    case 'swap':
      return one === undefined || other === undefined || one === other
        ? ''
        : `alter table ${table} rename column ${one.name} to z; alter table ${table} rename column ${other.name} to ${one.name};
           alter table ${table} rename column z to ${other.name}`
    case 'widen': {
      const wider = columns.find(({ type }, index) => index >= n % 3 && WIDER[type] !== undefined)
      return wider === undefined
        ? ''
        : `alter table ${table} alter column ${wider.name} type ${WIDER[wider.type]}`
    }
    case 'insert':
      return `insert into ${table} (id${columns.map(({ name }) => `, ${name}`).join('')})
        select coalesce(max(id), 0) + 1${columns.map(({ type }) => `, ${quoted(type)}`).join('')} from ${table}`
    case 'update':
      return one === undefined
        ? ''
        : `update ${table} set ${one.name} = ${quoted(one.type)} where id % 3 = ${n % 3}`
    case 'delete':
      return `delete from ${table} where id = (select max(id) from ${table})`
    case 'rewrite':
      return `vacuum full ${table}`
  }
}

test(
  'P2, P7: whatever a schema and its rows become, lake and warehouse follow',
  { timeout: 600_000 },
  async () => {
    const property = fc.asyncProperty(steps, async (sequence) => {
      const project = await createProject({
        setup: SETUP,
        models: MODELS,
        lake: 'baseAfter: { files: 3 },',
      })
      try {
        await project.good()
        for (const [index, step] of sequence.entries()) {
          const sql = await sqlOf(project, step)
          if (sql !== '') await project.source.query(sql)
          // Some runs are missed, so that several changes meet in one batch.
          if (index % 3 === 1 && index < sequence.length - 1) continue
          await project.good()
          for (const table of TABLES) {
            const rows = await rowsIn(project.source, table)
            expect(await rowsInLake(project, table), `lake, after ${sql}`).toEqual(rows)
            const found = await project.source.query(
              `select attname as name from pg_attribute where attrelid = $1::regclass and attnum > 0 and not attisdropped`,
              [table],
            )
            const only = found.map(({ name }) => name ?? '')
            for (const model of [`all_${table}`, `fact_${table}_current`])
              expect(
                await rowsIn(project.warehouse, model, { only }),
                `${model}, after ${sql}`,
              ).toEqual(rows)
          }
        }
        expect((await project.good()).outcome).toBe('nothing to do')
        expect(await rebuilt(project)).toEqual(await wholeStar(project.warehouse))
      } finally {
        await project.close()
      }
    })
    await fc.assert(property, { numRuns: 3, endOnFailure: true })
  },
)
