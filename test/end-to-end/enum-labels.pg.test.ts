/**
 * P8, P6: enums of a source that get labels, and whose labels are renamed, where the warehouse has the type itself: whatever
 * the lake's files are, old and new batches in one load, and all of them into an empty warehouse.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createProject, type TestProject } from '../support/project.ts'
import { rowsIn } from '../support/project-tables.ts'

// With what quoting must get right.
const MOOD = `create type mood as enum ('Qx7 sad', 'Qx7 it''s \\ok')`
const SETUP = `${MOOD};
create domain temper as mood;
create table item (id integer primary key, mood mood, moods mood[], temper temper);
insert into item values (1, 'Qx7 sad', '{"Qx7 sad"}', 'Qx7 sad'), (2, null, null, null)`
const MODELS = {
  fact_item: `-- kind: fact\n-- key: id\n-- record id: item_record_id\n-- nullable: all\nselect * from shop.item\n`,
  dim_mood: `-- kind: dimension\n-- key: id\n-- nullable: mood\nselect id, mood from shop.item\n`,
}

const labels = async (project: TestProject): Promise<(string | null)[]> => {
  const rows = await project.warehouse.query(
    `select enumlabel as label from pg_enum where enumtypid = 'public.mood'::regtype order by enumsortorder`,
  )
  return rows.map(({ label }) => label ?? null)
}

describe.each(['parquet', 'csv', 'json'])('a lake of %s', (format) => {
  let project: TestProject
  beforeAll(async () => {
    project = await createProject({ setup: SETUP, models: MODELS, lake: `format: '${format}'` })
    await project.warehouse.query(
      `set role ${project.loader}; ${MOOD}; create domain temper as mood; reset role;
       alter role ${project.loader} set standard_conforming_strings = off`,
    )
    await project.good()
  })
  afterAll(async () => project.close())

  const expectSame = async (): Promise<void> => {
    const rows = await rowsIn(project.source, 'item')
    const only = ['id', 'mood', 'moods', 'temper']
    expect(await rowsIn(project.warehouse, 'fact_item_current', { only })).toEqual(rows)
    const [type] = await project.warehouse.query(
      `select format_type(atttypid, null) as type from pg_attribute where attrelid = 'fact_item'::regclass and attname = 'moods'`,
    )
    expect(type?.['type']).toBe('mood[]')
    expect((await project.good()).outcome).toBe('nothing to do')
  }

  test('P8: a new label is added to the warehouse’s enum at its place, and to no other run', async () => {
    await project.source.query(
      `alter type mood add value 'Qx7 fine\\' before 'Qx7 it''s \\ok'; alter type mood add value 'Qx7 worst' before 'Qx7 sad'`,
    )
    await project.good()
    await project.source.query(
      `insert into item values (3, 'Qx7 fine\\', '{"Qx7 worst",null}', 'Qx7 worst'); update item set mood = 'Qx7 worst' where id = 2`,
    )
    await project.good()
    expect(await labels(project)).toEqual(['Qx7 worst', 'Qx7 sad', 'Qx7 fine\\', "Qx7 it's \\ok"])
    await expectSame()
  })

  test('P6, P7: renamed labels are changes; older versions keep theirs, in one load of old and new batches', async () => {
    await project.good({ only: 'extract' })
    for (const [from, to] of [
      ['sad', 'blue'],
      ['blue', 'grey'],
    ]) {
      await project.source.query(
        `alter type mood rename value 'Qx7 ${from}' to 'Qx7 ${to}'; alter type mood add value 'Qx7 after ${to}'`,
      )
      await project.source.query(
        `insert into item values (${to?.length}${from?.length}, 'Qx7 after ${to}')`,
      )
      await project.good({ only: 'extract' })
    }
    await project.good()
    await expectSame()
    const versions = await project.warehouse.query(
      `select mood::text as mood from fact_item where id = 1 order by valid_from`,
    )
    expect(versions.map(({ mood }) => mood)).toEqual(['Qx7 sad', 'Qx7 blue', 'Qx7 grey'])
    // An empty warehouse whose enum is as the source has it now has no label of before.
    await project.warehouse.query(
      `drop table fact_item, dim_mood cascade; drop schema tote cascade; drop domain temper; drop type mood`,
    )
    const [now] = await project.source.query(
      `select string_agg(quote_literal(enumlabel), ', ' order by enumsortorder) as list from pg_enum where enumtypid = 'mood'::regtype`,
    )
    await project.warehouse.query(
      `set role ${project.loader}; create type mood as enum (${now?.['list']?.replaceAll("E'", "'").replaceAll('\\\\', '\\')}); create domain temper as mood; reset role`,
    )
    const before = await labels(project)
    await project.good()
    await expectSame()
    expect(before).not.toContain('Qx7 sad')
    expect(await labels(project)).toEqual(
      expect.arrayContaining([...before, 'Qx7 sad', 'Qx7 blue']),
    )
  })
})

test('an enum that belongs to another role is left alone; who must add what is said, and then the load goes on', async () => {
  const project = await createProject({ setup: SETUP, models: MODELS })
  try {
    await project.warehouse.query(`${MOOD}; create domain temper as mood`)
    await project.good()
    await project.source.query(`alter type mood add value 'Qx7 new'`)
    await project.source.query(`insert into item values (3, 'Qx7 new', null, null)`)
    const told = await project.tote('run')
    expect(told.exit).toBe(3)
    expect(told.stderr + told.stdout).toContain('public.mood')
    expect(told.stderr + told.stdout).toContain('only its owner may add them')
    await project.warehouse.query(`alter type mood add value 'Qx7 new'`)
    expect((await project.tote('run')).exit).toBe(0)
    const [loaded] = await project.warehouse.query(
      'select mood::text as mood from dim_mood where id = 3',
    )
    expect(loaded?.['mood']).toBe('Qx7 new')
  } finally {
    await project.close()
  }
})

test.each([
  ['lacks', ''],
  ['has', `${MOOD}; create domain temper as mood;`],
])(
  'P6, P7: models over types that the warehouse %s are edited like any other',
  async (_, types) => {
    const project = await createProject({ setup: SETUP, models: MODELS })
    try {
      await project.warehouse.query(`set role ${project.loader}; ${types} reset role`)
      await project.good()
      await project.source.query(`update item set mood = null, temper = null where id = 1`)
      await project.good()
      for (const [name, text] of Object.entries(MODELS))
        await project.write(`models/${name}.sql`, `${text}where id <> 2\n`)
      await project.good()
      const only = ['id', 'mood', 'moods', 'temper']
      expect(await rowsIn(project.warehouse, 'fact_item_current', { only })).toEqual(
        (await rowsIn(project.source, 'item')).filter((row) => !row.includes('"id","2"')),
      )
      const moods = await project.warehouse.query(
        `select mood::text as mood from fact_item order by item_record_id`,
      )
      expect(moods).toEqual([{ mood: 'Qx7 sad' }, { mood: null }])
      expect(await project.tote('rebuild', '--dry-run')).toMatchObject({ exit: 0 })
    } finally {
      await project.close()
    }
  },
)
