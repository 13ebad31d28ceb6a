import { describe, expect, test } from 'vitest'
import { layoutOf } from '../../src/star/layout.ts'
import {
  carriedColumn,
  closeVersions,
  countCurrent,
  createStage,
  deleteRows,
  insertStaged,
  markDeleted,
  openVersions,
  selectChanges,
  selectNewRows,
  upsertRows,
  type Target,
} from '../../src/star/merge.ts'
import type { StarTable } from '../../src/star/star-table.ts'
import { columns, starTable } from '../support/star.ts'

const stamp = { batch: 7, instant: '2026-11-20T09:07:00.000456Z' }
const shape = columns(
  ['order "id"', 'integer', 'INTEGER'],
  ['line', 'bigint', 'BIGINT'],
  ['took?', 'interval', 'VARCHAR'],
)

function target(kind: StarTable['kind'], key: readonly string[] = ['order "id"', 'line']): Target {
  const table = starTable({
    name: 'line',
    kind,
    columns: shape,
    key,
    recordId: kind === 'fact' ? 'line_id' : null,
  })
  return {
    schema: 'mart',
    layout: layoutOf(table),
    columns: shape.map(({ name, carried, type }) => carriedColumn(name, carried, type)),
    recordIdType: 'integer',
    stage: 'pg_temp.tote_stage_0',
  }
}

test('what DuckDB is asked: numbered in the order of the key, by DuckDB in first and later loads alike', () => {
  expect([
    selectNewRows(target('fact'), stamp)('rows', null),
    selectNewRows(target('fact'), stamp)('rows', 'place'),
    selectChanges(target('fact'))('rows', null),
    selectChanges(target('table'))('rows', null),
  ]).toMatchInlineSnapshot(`
    [
      "select cast(row_number() over (order by "order ""id""", "line") as integer), "order ""id""", "line", "took", cast('2026-11-20T09:07:00.000456Z' as timestamptz), cast(7 as bigint) from rows where "_tote_op" = 'u'",
      "select cast("place" + 1 as integer), "order ""id""", "line", "took", cast('2026-11-20T09:07:00.000456Z' as timestamptz), cast(7 as bigint) from rows where "_tote_op" = 'u'",
      "select "_tote_op", row_number() over (partition by "_tote_op" order by "order ""id""", "line"), "order ""id""", "line", "took" from rows",
      "select "_tote_op", "order ""id""", "line", "took" from rows",
    ]
  `)
})

test('a stage holds what is sent, not what is kept', () => {
  expect([createStage(target('fact')), createStage(target('dimension'))]).toMatchInlineSnapshot(`
    [
      "create temp table pg_temp.tote_stage_0 ("_tote_op" text, "_tote_number" bigint, "order ""id""" integer, "line" bigint, "took" text) on commit drop",
      "create temp table pg_temp.tote_stage_0 ("_tote_op" text, "order ""id""" integer, "line" bigint, "took" text) on commit drop",
    ]
  `)
})

test('P6: a fact closes the version before, then opens the next', () => {
  expect(
    [
      closeVersions(target('fact'), 'd', stamp),
      closeVersions(target('fact'), 'u', stamp),
      openVersions(target('fact'), stamp),
    ].join('\n\n'),
  ).toMatchInlineSnapshot(`
    "update "mart"."line" as t set valid_to = '2026-11-20T09:07:00.000456Z'::timestamptz, is_deleted = true
    from pg_temp.tote_stage_0 as s where s."_tote_op" = 'd' and t."order ""id""" = s."order ""id""" and t."line" = s."line" and t.valid_to is null

    update "mart"."line" as t set valid_to = '2026-11-20T09:07:00.000456Z'::timestamptz
    from pg_temp.tote_stage_0 as s where s."_tote_op" = 'u' and t."order ""id""" = s."order ""id""" and t."line" = s."line" and t.valid_to is null

    insert into "mart"."line" ("line_id", "order ""id""", "line", "took", valid_from, batch) overriding system value
    select (select coalesce(max("line_id"), 0) from "mart"."line") + s."_tote_number", s."order ""id""", s."line", s."took"::interval,
      '2026-11-20T09:07:00.000456Z'::timestamptz, 7
    from pg_temp.tote_stage_0 as s where s."_tote_op" = 'u' order by s."_tote_number""
  `)
})

test('P6: a dimension marks and upserts, a table deletes and upserts', () => {
  expect(
    [
      markDeleted(target('dimension')),
      upsertRows(target('dimension')),
      deleteRows(target('table')),
      upsertRows(target('table')),
    ].join('\n\n'),
  ).toMatchInlineSnapshot(`
    "update "mart"."line" as t set is_deleted = true
    from pg_temp.tote_stage_0 as s where s."_tote_op" = 'd' and t."order ""id""" = s."order ""id""" and t."line" = s."line"

    insert into "mart"."line" ("order ""id""", "line", "took") overriding system value
    select s."order ""id""", s."line", s."took"::interval from pg_temp.tote_stage_0 as s where s."_tote_op" = 'u'
    on conflict ("order ""id""", "line") do update set "order ""id""" = excluded."order ""id""", "line" = excluded."line", "took" = excluded."took", is_deleted = false

    delete from "mart"."line" as t
    using pg_temp.tote_stage_0 as s where s."_tote_op" = 'd' and t."order ""id""" = s."order ""id""" and t."line" = s."line"

    insert into "mart"."line" ("order ""id""", "line", "took") overriding system value
    select s."order ""id""", s."line", s."took"::interval from pg_temp.tote_stage_0 as s where s."_tote_op" = 'u'
    on conflict ("order ""id""", "line") do update set "order ""id""" = excluded."order ""id""", "line" = excluded."line", "took" = excluded."took""
  `)
})

test('P8: the key is written, too: one key may have two spellings', () => {
  const keys = shape.map(({ name }) => name)
  for (const kind of ['table', 'dimension'] as const) {
    expect(upsertRows(target(kind, keys))).toContain('do update set "order ""id""" = excluded.')
  }
})

test('a first load by way of a stage', () => {
  expect(insertStaged(target('dimension'), stamp)).toMatchInlineSnapshot(`
    "insert into "mart"."line" ("order ""id""", "line", "took")
    select s."order ""id""", s."line", s."took"::interval from pg_temp.tote_stage_0 as s where s."_tote_op" = 'u'"
  `)
})

test('P6: the first rows of a fact that go by way of a stage are its first versions', () => {
  expect(insertStaged(target('fact'), stamp)).toBe(openVersions(target('fact'), stamp))
  expect(selectNewRows(target('dimension'), stamp)('rows', null)).toBe(
    `select "order ""id""", "line", "took" from rows where "_tote_op" = 'u'`,
  )
})

test('P12: what counts as current', () => {
  const counts = (['fact', 'dimension', 'table'] as const).map((kind) =>
    countCurrent('mart', target(kind).layout),
  )
  expect(counts).toMatchInlineSnapshot(`
    [
      "select count(*) as current from "mart"."line" where valid_to is null",
      "select count(*) as current from "mart"."line" where not is_deleted",
      "select count(*) as current from "mart"."line"",
    ]
  `)
})

describe('casts leave the length to the column, which refuses instead of cutting', () => {
  test.each([
    ['VARCHAR', 'interval(3)', 'text', 'interval'],
    ['VARCHAR', 'bit(3)', 'text', 'bit varying'],
    ['VARCHAR', 'bit(3)[]', 'text', 'bit varying[]'],
    ['VARCHAR', 'bit(128)', 'text', 'bit varying'],
    ['VARCHAR', 'bit', 'text', 'bit varying'],
    ['VARCHAR', 'character(12)[]', 'text', 'bpchar[]'],
    ['VARCHAR', 'numeric(38,10)', 'text', 'numeric'],
    ['VARCHAR', 'numeric(3,-12)[]', 'text', 'numeric[]'],
    ['VARCHAR', 'bit varying(3)', 'text', 'bit varying'],
    ['VARCHAR', 'character varying(3)[]', 'text', 'character varying[]'],
    ['VARCHAR', 'character(3)[]', 'text', 'bpchar[]'],
    ['VARCHAR', 'numeric(10,2)', 'text', 'numeric'],
    ['VARCHAR', 'public."odd(3)"', 'text', 'public."odd(3)"'],
    ['VARCHAR', 'character varying(3)', 'character varying(3)', null],
    ['BIGINT', 'numeric(20,0)', 'bigint', 'numeric'],
    ['BIGINT', 'integer', 'integer', null],
    ['DECIMAL(10,2)', 'numeric(12,3)', 'numeric(12,3)', null],
  ])('%s as %s is sent as %s', (duckdbType, keptAs, sentAs, castTo) => {
    expect(carriedColumn('c', duckdbType, keptAs)).toEqual({
      name: 'c',
      duckdbType,
      sentAs,
      keptAs,
      castTo,
    })
  })
})
