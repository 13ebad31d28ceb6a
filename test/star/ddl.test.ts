import { expect, test } from 'vitest'
import {
  addForeignKeys,
  addPrimaryKey,
  adoptTable,
  commentView,
  createIndex,
  createTable,
  createView,
  foreignKeysOf,
  tableComment,
} from '../../src/star/ddl.ts'
import { layoutOf } from '../../src/star/layout.ts'
import { columns, starTable } from '../support/star.ts'

const design = starTable({
  name: 'dim_design',
  kind: 'dimension',
  columns: columns(['design_id', 'integer', 'INTEGER'], ['design_name?', 'text', 'VARCHAR']),
  key: ['design_id'],
})
const rates = starTable({
  name: 'rates',
  kind: 'table',
  columns: columns(['code', 'text', 'VARCHAR']),
  key: ['code'],
})
const order = starTable({
  name: 'fact_order',
  kind: 'fact',
  columns: columns(
    ['order_id', 'integer', 'INTEGER'],
    ['design_id', 'integer', 'INTEGER'],
    ['code', 'text', 'VARCHAR'],
  ),
  key: ['order_id'],
  recordId: 'order_record_id',
  references: [
    { column: 'design_id', model: 'dim_design' },
    { column: 'code', model: 'rates' },
  ],
  comment: 'Orders.',
})
const layout = layoutOf(order)

test('a fact, in the order in which its statements run', () => {
  const statements = [
    createTable('public', layout),
    addPrimaryKey('public', layout),
    addForeignKeys('public', layout, foreignKeysOf(order, [design, rates, order])),
    createIndex('public', layout),
    createView('public', layout),
    commentView('public', layout),
    tableComment(layout),
  ]
  expect(statements.join(';\n\n')).toMatchInlineSnapshot(`
    "create table "public"."fact_order" (
      "order_record_id" serial not null,
      "order_id" integer not null,
      "design_id" integer not null,
      "code" text not null,
      "valid_from" timestamptz not null,
      "valid_to" timestamptz,
      "is_deleted" boolean not null default false,
      "batch" bigint not null
    );

    alter table "public"."fact_order" add primary key ("order_record_id");

    alter table "public"."fact_order"
      add foreign key ("design_id") references "public"."dim_design" ("design_id");

    create index on "public"."fact_order" ("order_id") where valid_to is null;

    create view "public"."fact_order_current" as
    select "order_record_id", "order_id", "design_id", "code", "valid_from", "batch"
    from "public"."fact_order"
    where valid_to is null;

    comment on view "public"."fact_order_current" is 'Current rows of fact_order. As of an instant t, ask fact_order where valid_from <= t and (valid_to is null or valid_to > t).';

    Orders.
    Every version of every row. Current rows: fact_order_current. As of an instant t: valid_from <= t and (valid_to is null or valid_to > t)."
  `)
})

test('a dimension', () => {
  expect(createTable('public', layoutOf(design))).toMatchInlineSnapshot(`
    "create table "public"."dim_design" (
      "design_id" integer not null,
      "design_name" text,
      "is_deleted" boolean not null default false
    )"
  `)
  expect([createIndex('public', layoutOf(design)), createView('public', layoutOf(design))]).toEqual(
    [undefined, undefined],
  )
})

test('a table without history has no column of ours', () => {
  expect(createTable('public', layoutOf(rates))).toMatchInlineSnapshot(`
    "create table "public"."rates" (
      "code" text not null
    )"
  `)
})

test('a fact without a record id of its own gets one that lasts', () => {
  expect(createTable('public', layoutOf({ ...order, recordId: null }))).toContain(
    '"record_id" bigserial not null',
  )
})

test('only dimensions are referred to: rows of a table may go while a version of a fact stays', () => {
  expect(foreignKeysOf(order, [design, rates, order])).toEqual([
    { column: 'design_id', table: 'dim_design', key: 'design_id' },
  ])
})

test('an empty table of the user becomes ours', () => {
  expect(adoptTable('public', layoutOf(design), layoutOf(design).system, ['design_name']))
    .toMatchInlineSnapshot(`
    "alter table "public"."dim_design"
      add column "is_deleted" boolean not null default false,
      alter column "design_name" set not null"
  `)
  expect(adoptTable('public', layoutOf(design), [], [])).toBeUndefined()
})
