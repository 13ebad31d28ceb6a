/** Models that cannot be used, or that were edited: where and what, before anything is committed. */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { createProject, type TestProject } from '../support/project.ts'
import { MODELS } from '../support/project-shop.ts'
import { expectRefusal } from '../support/refusal.ts'

let project: TestProject
beforeAll(async () => {
  project = await createProject()
  await project.good({ only: 'extract' })
})
afterAll(async () => project.close())

async function restore(): Promise<void> {
  for (const [name, text] of Object.entries(MODELS)) await project.write(`models/${name}.sql`, text)
  await rm(join(project.folder, 'models/extra.sql'), { force: true })
}

describe('a model that cannot be used', () => {
  afterEach(restore)

  test('an unknown column: the nearest name, file, line, and a caret on a terminal', async () => {
    await project.write(
      'models/extra.sql',
      '-- kind: dimension\n-- key: staff_id\nselect\n  staff_id,\n  last_nme\nfrom shop.staff\n',
    )
    await expectRefusal(project, {
      name: 'ModelInvalid',
      says: ['models/extra.sql:5:3', 'there is no column "last_nme". Did you mean "last_name"?'],
    })
    const { stderr } = await project.onTerminal('check')
    expect(stderr).toMatch(/5 \|   last_nme\n +(\| +)?\^\n/)
  })
  test('an unknown table, and an unknown model: both at once, each with the nearest name', async () => {
    await project.write(
      'models/extra.sql',
      '-- kind: dimension\n-- key: staff_id\nselect staff_id from shop.staf\n',
    )
    await project.write(
      'models/dim_customer.sql',
      '-- kind: dimension\n-- key: staff_id\nselect staff_id\nfrom dim_staf\n',
    )
    await expectRefusal(project, {
      name: 'ModelInvalid',
      says: [
        'models/extra.sql:3',
        'there is no table "staf" in "shop". Did you mean "staff"?',
        'models/dim_customer.sql:4',
        'there is no model "dim_staf". Did you mean "dim_staff"?',
      ],
    })
  })
  test('a header and the SQL of another model are told at once; what reads or refers to a broken one is judged when that is mended', async () => {
    await project.write(
      'models/dim_staff.sql',
      '-- kind: dimensoin\n-- key: staff_id\nselect staff_id from shop.staff\n',
    )
    await project.write(
      'models/dim_customer.sql',
      '-- kind: dimension\n-- key: customer_id\nselect customer_id,\n  legal_nme\nfrom shop.customer\n',
    )
    await project.write(
      'models/extra.sql',
      '-- kind: dimension\n-- key: staff_id\nselect staff_id, anything from dim_staff\n',
    )
    for (const args of [['run'], ['check'], ['check', '--live']])
      await expectRefusal(project, {
        name: 'ModelInvalid',
        args,
        says: ['2 models have 2 problems', 'models/dim_staff.sql:1', 'models/dim_customer.sql:4:3'],
      })
  })
  test('an SQL error: file, line, and a caret on a terminal', async () => {
    await project.write(
      'models/extra.sql',
      '-- kind: dimension\n-- key: staff_id\nselect staff_id\nfrom shop.staff where where\n',
    )
    await expectRefusal(project, { name: 'ModelInvalid', says: ['models/extra.sql:4', /syntax/i] })
    const { stderr } = await project.onTerminal('run')
    expect(stderr).toMatch(/4 \| from shop\.staff where where\n +(\| +)?\^\n/)
  })
  test('a circle of models is drawn', async () => {
    await project.write(
      'models/extra.sql',
      '-- kind: dimension\n-- key: staff_id\nselect staff_id from dim_staff\n',
    )
    await project.write(
      'models/dim_staff.sql',
      '-- kind: dimension\n-- key: staff_id\nselect staff_id from extra\n',
    )
    await expectRefusal(project, {
      name: 'ModelCycle',
      says: [/dim_staff → extra → dim_staff|extra → dim_staff → extra/],
    })
  })
  test('the clock, chance and files are refused: a model is a function of its inputs', async () => {
    await project.write(
      'models/extra.sql',
      `-- kind: dimension\n-- key: staff_id\nselect staff_id, now() as seen, random() as dice\nfrom shop.staff\n`,
    )
    await project.write(
      'models/fact_payment.sql',
      `-- kind: table\n-- key: a\nselect a from read_csv('/etc/passwd')\n`,
    )
    await expectRefusal(project, {
      name: 'ModelInvalid',
      says: ['models/extra.sql:3', 'now', 'random', 'models/fact_payment.sql', 'read_csv'],
    })
  })
  test('P10: a value that a cast cannot take fails the model, and is shown on the terminal only', async () => {
    await project.write(
      'models/extra.sql',
      '-- kind: dimension\n-- key: sale_id\nselect sale_id, cast(note as integer) as n from shop.sale\n',
    )
    const told = await expectRefusal(project, {
      name: 'ModelFailed',
      says: ['"extra"', 'models/extra.sql', 'conversion error'],
    })
    expect(told.stderr).not.toContain('Qx7')
    expect((await project.onTerminal('run')).stderr).toContain('Qx7')
  })
})

describe('keys of a model', () => {
  afterEach(restore)

  test('P10: null and doubled keys are counted, and named on a terminal only', async () => {
    await project.write(
      'models/extra.sql',
      '-- kind: table\n-- key: phone\nselect phone from shop.address\n',
    )
    await project.write(
      'models/dim_staff.sql',
      `${MODELS['dim_staff']}union all select 8800199, last_name, '', '' from shop.staff\n`,
    )
    await expectRefusal(project, {
      name: 'CheckFailed',
      says: [
        '2 checks failed. Nothing was committed.',
        'dim_staff unique(staff_id): 3 rows',
        'extra not null(phone): 1 row',
      ],
    })
    expect((await project.onTerminal('run')).stderr).toContain(
      'dim_staff unique(staff_id), first keys: 8800199',
    )
  })
})

describe('edited models', () => {
  beforeAll(async () => {
    await restore()
    await project.good()
  })
  afterEach(restore)

  test('check says beforehand what the next run will do', async () => {
    await project.write(
      'models/dim_staff.sql',
      (MODELS['dim_staff'] ?? '').replace('s.last_name', 'upper(s.last_name) as last_name'),
    )
    await project.write('models/extra.sql', MODELS['dim_staff'] ?? '')
    await rm(join(project.folder, 'models/dim_payment_type.sql'))
    await project.write(
      'models/fact_payment.sql',
      (MODELS['fact_payment'] ?? '').replace(/-- references.*\n/, ''),
    )
    const told = await project.tote('check')
    expect(told.exit).toBe(0)
    for (const said of [
      /models\/dim_staff.sql +was edited; the next run restates it/,
      /models\/extra.sql +is new; the next run restates it/,
      /dim_payment_type.sql +is no longer there/,
    ])
      expect(told.stdout + told.stderr).toMatch(said)
    const data = await project.tote('check', '--data')
    expect(data.stdout + data.stderr).toMatch(
      /was edited: 3 of 3 rows change; the next run restates it/,
    )
    expect(data.stdout + data.stderr).toMatch(/is new: 3 rows; the next run restates it/)
  })
  test('ModelEdited: old versions that the edited model cannot keep', async () => {
    await project.write(
      'models/dim_staff.sql',
      (MODELS['dim_staff'] ?? '').replace('s.last_name', 'length(s.last_name) as last_name'),
    )
    await expectRefusal(project, {
      name: 'ModelEdited',
      args: ['run', '--forward', 'dim_staff'],
      says: [
        'The old versions of "dim_staff" cannot be kept',
        'column "last_name" was text and is bigint',
        'without --forward dim_staff',
      ],
    })
  })
  test('other line ends, as Git may write them, are no edit', async () => {
    await project.write('models/dim_staff.sql', MODELS['dim_staff']?.replaceAll('\n', '\r\n') ?? '')
    expect((await project.good()).outcome).toBe('nothing to do')
  })
})
