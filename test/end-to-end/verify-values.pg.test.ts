/**
 * Values, and how `tote verify` tells them apart: random ones of every type never differ where nothing was
 * touched, and do where PostgreSQL itself says so; through each format of the ingestion zone.
 */
import fc from 'fast-check'
import { afterAll, describe, expect, test } from 'vitest'
import type { VerifiedTable } from '../../src/events.ts'
import { openProject, type Project } from '../../src/project/project.ts'
import { differingRows, nameOf } from '../../src/terminal/verified.ts'
import { verify, type VerifyOptions } from '../../src/verification/verify.ts'
import { contextHere } from '../support/here.ts'
import { createProject, type TestProject } from '../support/project.ts'
import { OWN_TYPES, TYPES } from '../support/random-values.ts'
import { tamperLake } from '../support/tamper-lake.ts'

const TYPE_NAMES = Object.keys(TYPES)
const CASES = 3

const values = fc.tuple(...Object.values(TYPES).map((value) => fc.option(value, { freq: 8 })))
const cases = fc.record({
  rows: fc.array(values, { minLength: 6, maxLength: 8 }),
  /** What a cell is made in the warehouse. */
  column: fc.nat(TYPE_NAMES.length - 1),
  other: values,
})

/** Cells that look alike: what the source has, and what somebody writes into the warehouse. */
const PAIRS: readonly (readonly [column: string, here: string, there: string])[] = [
  ['n', '1.5', '1.50'],
  ['n', "'NaN'", '0'],
  ['f', '0', "'-0'"],
  ['f', "'NaN'", "'NaN'"],
  ['f', '1e20', '100000000000000000000'],
  ['f', "'Infinity'", "'-Infinity'"],
  ['t', "''", 'null'],
  ['t', 'null', "''"],
  ['t', "'a'", "'a '"],
  ['t', String.raw`'\x00'`, String.raw`'\0'`],
  ['t', String.raw`'\N'`, 'null'],
  ['t', "E'a\\nb'", "E'a\\r\\nb'"],
  ['z', "'infinity'", "'-infinity'"],
  ['z', "'2026-01-01 00:00:00+00'", "'2026-01-01 01:00:00+01'"],
  ['z', "'2026-01-01 00:00:00.000001+00'", "'2026-01-01 00:00:00+00'"],
  ['j', `'{"a":1}'`, `'{"a": 1}'`],
  ['j', `'{"a":1}'`, `'{"a":1.0}'`],
  ['i', "'1 day'", "'24:00'"],
  ['b', String.raw`'\x00'`, String.raw`'\x'`],
]

interface Opened {
  readonly shop: TestProject
  readonly project: Project
}
const opened: Opened[] = []
afterAll(async () => {
  for (const { shop, project } of opened) {
    await project.close()
    await shop.close()
  }
})

async function openTypes(format: string): Promise<Opened> {
  const columns = TYPE_NAMES.map((type, index) => `c${index} ${type}`).join(', ')
  const alike = 'n numeric, f double precision, t text, z timestamptz, j jsonb, i interval, b bytea'
  const model = (kind: string, table: string): string =>
    `-- kind: ${kind}\n-- key: id\n${kind === 'fact' ? '-- record id: record_id\n' : ''}-- nullable: all\nselect v.* from shop.${table} as v\n`
  const shop = await createProject({
    setup: `${OWN_TYPES}; create table v (id integer primary key, ${columns});
      create table alike (id integer primary key, ${alike}); create table loose (a integer, b text, c double precision)`,
    models: {
      dim_v: model('dimension', 'v'),
      fact_v: model('fact', 'v'),
      dim_alike: model('dimension', 'alike'),
    },
    lake: `format: '${format}', baseAfter: { files: 2 }`,
  })
  await shop.warehouse.query(OWN_TYPES)
  const project = await openProject({ cwd: shop.folder })
  opened.push({ shop, project })
  return { shop, project }
}

async function verified(project: Project, options: VerifyOptions = {}): Promise<string[]> {
  const { error, summary } = await verify(project, options, contextHere())
  if (error !== undefined && error.name !== 'DifferenceFound') throw error
  const found = (summary.verified ?? []).filter((table) => differingRows(table) > 0)
  return found.map(describeFound)
}

function describeFound(found: VerifiedTable): string {
  const { missing, extra, different, columns, repaired } = found
  return `${nameOf(found)}: -${missing} +${extra} ~${different} (${Object.keys(columns).join()})${repaired ? ' repaired' : ''}`
}

describe.each(['parquet', 'csv', 'json'])('%s', (format) => {
  test(
    'P8: nothing differs but what was touched, whatever the values',
    { timeout: 240_000 },
    async () => {
      const { shop, project } = await openTypes(format)
      let touched = 0
      await fc.assert(
        fc.asyncProperty(cases, async ({ rows, column, other }) => {
          const lines = rows.map((cells, id) => {
            const list = cells.map((cell, index) =>
              cell === null ? 'null' : `(${cell})::${TYPE_NAMES[index]}`,
            )
            return `insert into public.v values (${[id, ...list].join(', ')})`
          })
          await shop.source.query(`reset search_path; delete from v; ${lines.join('; ')}`)
          expect(await verified(project)).toEqual([])

          const [name, type, cell] = [`c${column}`, TYPE_NAMES[column], other[column]]
          const value = cell === null ? `null::${type}` : `(${cell})::${type}`
          const [image] = await shop.warehouse.query(
            `select record_image_ne(row(${name}), row(${value})) as differs from dim_v where id = 3`,
          )
          await shop.warehouse.query(`update dim_v set ${name} = ${value} where id = 3`)
          const expected = image?.['differs'] === 't' ? [`dim_v: -0 +0 ~1 (${name})`] : []
          expect(await verified(project, { tables: ['dim_v'] })).toEqual(expected)
          touched += expected.length
          const repaired = expected.map((text) => `${text} repaired`)
          expect(await verified(project, { tables: ['dim_v'], repair: true })).toEqual(repaired)
        }),
        { numRuns: CASES, endOnFailure: true },
      )
      process.stdout.write(`${format}: ${touched} of ${CASES} cells touched\n`)
    },
  )

  test(
    'P8: a cell of the lake that is another’s is found, whatever its type',
    { timeout: 240_000 },
    async () => {
      const { shop, project } = opened.at(-1) ?? (await openTypes(format))
      const [texts] = await shop.source.query(
        `select ${TYPE_NAMES.map((_, index) => `exists (select from v a, v b where a.id = 1 and b.id = 2 and (a.c${index} is null) <> (b.c${index} is null) or a.c${index}::text <> b.c${index}::text and a.id = 1 and b.id = 2)::text as c${index}`).join(', ')}`,
      )
      const differ = TYPE_NAMES.flatMap((_, index) =>
        texts?.[`c${index}`] === 'true' ? [`c${index}`] : [],
      )
      expect(differ.length).toBeGreaterThan(TYPE_NAMES.length / 2)
      // Row 1 as row 2 is, but for its key.
      await tamperLake(
        project,
        project.ingestion,
        'v',
        (rows) => `select 'u' as _tote_op, * replace (1::integer as id) from ${rows} where id = 2`,
      )
      expect(await verified(project, { tables: ['shop.v'] })).toEqual([
        `shop.v: -0 +0 ~1 (${differ.join()})`,
      ])
      expect(await verified(project, { repair: true })).toEqual([
        `shop.v: -0 +0 ~1 (${differ.join()}) repaired`,
      ])
      expect(await verified(project)).toEqual([])
    },
  )
})

test('P8: values that look alike are told apart exactly where PostgreSQL does', async () => {
  const { shop, project } = opened[0] ?? (await openTypes('parquet'))
  const [insert, update] = [
    PAIRS.map(([column, here], id) => `insert into alike (id, ${column}) values (${id}, ${here})`),
    PAIRS.map(
      ([column, , there], id) => `update dim_alike set ${column} = ${there} where id = ${id}`,
    ),
  ]
  await shop.source.query(insert.join('; '))
  expect(await verified(project)).toEqual([])
  await shop.warehouse.query('create table before as select * from dim_alike')
  await shop.warehouse.query(update.join('; '))
  const columns = ['n', 'f', 't', 'z', 'j', 'i', 'b']
  const changed = await shop.warehouse.query(
    columns
      .map(
        (column) =>
          `select '${column}' as name, a.id from dim_alike a join before b using (id) where record_image_ne(row(a.${column}), row(b.${column}))`,
      )
      .join(' union all '),
  )
  expect(changed.length).toBe(PAIRS.length - 4)
  const names = columns.filter((column) => changed.some(({ name }) => name === column))
  const found = `dim_alike: -0 +0 ~${changed.length} (${names.join()})`
  expect(await verified(project)).toEqual([found])
  expect(await verified(project, { repair: true })).toEqual([`${found} repaired`])
  expect(await verified(project)).toEqual([])
})

test('P2: of a table without a key, equal rows count', async () => {
  const { shop, project } = opened[0] ?? (await openTypes('parquet'))
  await shop.source.query(
    `insert into loose values (1, 'x', 0), (1, 'x', 0), (1, 'x', '-0'), (null, '', null), (null, null, null), (null, null, null)`,
  )
  expect(await verified(project)).toEqual([])
  await tamperLake(
    project,
    project.ingestion,
    'loose',
    (rows) =>
      `(select 'd' as _tote_op, * from ${rows} where a = 1 and c::varchar = '0.0' limit 1)
       union all (select 'u', null, null, null::double, 'made up')`,
  )
  const found = 'shop.loose: -1 +1 ~0 ()'
  expect(await verified(project)).toEqual([found])
  expect(await verified(project, { repair: true })).toEqual([`${found} repaired`])
  expect(await verified(project)).toEqual([])
})
