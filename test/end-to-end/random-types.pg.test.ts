/**
 * P8 as a property: random values of every type, changed at random between runs, through each format of
 * the ingestion zone into dimensions and facts; compared with the source inside PostgreSQL.
 */
import fc from 'fast-check'
import { afterAll, describe, expect, test } from 'vitest'
import { quoteLiteral } from '../../src/postgres/identifiers.ts'
import { createProject, type TestProject } from '../support/project.ts'
import { OWN_TYPES, TYPES } from '../support/random-values.ts'

const TYPE_NAMES = Object.keys(TYPES)
const COLUMNS = TYPE_NAMES.map((_, index) => `c${index}`)
const CASES = 5

/** A row: null where a column is null. */
const row = fc.tuple(...Object.values(TYPES).map((value) => fc.option(value, { freq: 8 })))
const rows = fc.uniqueArray(fc.tuple(fc.nat(30), row), {
  selector: ([id]) => id,
  minLength: 8,
  maxLength: 16,
})

const projects: TestProject[] = []
afterAll(async () => {
  await Promise.all(projects.map(async (project) => project.close()))
})

async function openTypes(format: string): Promise<TestProject> {
  const columns = TYPE_NAMES.map((type, index) => `c${index} ${type}`).join(', ')
  const project = await createProject({
    setup: `${OWN_TYPES}; create table v (id integer primary key, ${columns})`,
    models: {
      dim_v: '-- kind: dimension\n-- key: id\n-- nullable: all\nselect * from shop.v\n',
      fact_v:
        '-- kind: fact\n-- key: id\n-- record id: record_id\n-- nullable: all\nselect v.* from shop.v\n',
    },
    lake: `format: '${format}', baseAfter: { files: 2 }`,
  })
  projects.push(project)
  await project.warehouse.query(`create extension dblink; ${OWN_TYPES}`)
  const url = `${project.source.url}?options=-c%20search_path%3D`
  await project.warehouse.query(`select dblink_connect('source', ${quoteLiteral(url)})`)
  return project
}

/** The types whose values differ; then all columns were compared one by one. */
async function differing(project: TestProject, model: string): Promise<string[]> {
  const current = model.startsWith('dim_') ? 'not is_deleted' : 'valid_to is null'
  const differ = async (columns: readonly string[]): Promise<boolean> => {
    const printed = `row(id, ${columns.join(', ')})::text`
    const theirs = quoteLiteral(`select ${printed} from public.v`)
    const [counts] = await project.warehouse.query(
      `set search_path = ''; with there as materialized (select v from public.dblink('source', ${theirs}) as s(v text)),
         here as materialized (select ${printed} as v from public.${model} where ${current})
       select (select count(*) from (table there except all table here) x)
         + (select count(*) from (table here except all table there) x) as n`,
    )
    return counts?.['n'] !== '0'
  }
  if (!(await differ(COLUMNS))) return []
  const found: string[] = []
  for (const [index, type] of TYPE_NAMES.entries()) {
    if (!(await differ([`c${index}`]))) continue
    found.push(type)
  }
  return found.length === 0 ? ['the rows'] : found
}

const types = (table: string): string =>
  `set search_path = ''; select a.attname, format_type(a.atttypid, a.atttypmod) as type from pg_attribute a
   where a.attrelid = 'public.${table}'::regclass and a.attname ~ '^c\\d' order by a.attnum`

describe.each(['parquet', 'csv', 'json'])('%s', (format) => {
  test('P8: any value of any type arrives as it is, in a column of its type', async () => {
    const project = await openTypes(format)
    const seen = { cases: 0, rows: 0, values: 0 }
    await fc.assert(
      fc.asyncProperty(rows, async (given) => {
        const lines = given.map(([id, values]) => {
          const cells = values.map((value, index) =>
            value === null ? 'null' : `(${value})::${TYPE_NAMES[index]}`,
          )
          return `insert into public.v values (${[id, ...cells].join(', ')})`
        })
        await project.source.query(`reset search_path; delete from v; ${lines.join('; ')}`)
        await project.good()
        for (const model of ['dim_v', 'fact_v'])
          expect([model, await differing(project, model)]).toEqual([model, []])
        seen.cases += 1
        seen.rows += given.length
        seen.values += given.flatMap(([, values]) =>
          values.filter((value) => value !== null),
        ).length
      }),
      // A case takes seconds: its seed is worth more than a smaller one.
      { numRuns: CASES, endOnFailure: true },
    )
    for (const model of ['dim_v', 'fact_v'])
      expect(await project.warehouse.query(types(model))).toEqual(
        await project.source.query(types('v')),
      )
    process.stdout.write(
      `${format}: ${seen.cases} cases, ${seen.rows} rows, ${seen.values} values of ${TYPE_NAMES.length} types\n`,
    )
    expect(seen.cases).toBeGreaterThanOrEqual(CASES)
  }, 180_000)
})
