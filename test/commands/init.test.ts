import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Initialized, InitOptions } from '../../src/init/init.ts'
import { play, type Play } from '../support/surface.ts'

let cwd: string
beforeEach(() => (cwd = mkdtempSync(join(tmpdir(), 'tote-init-'))))
afterEach(() => rmSync(cwd, { recursive: true, force: true }))

const MADE: Initialized = {
  project: 'shop',
  source: 'shop',
  found: {
    database: 'shop',
    tables: [
      {
        origin: 'public.customer',
        schema: 'public',
        table: 'customer',
        name: 'customer',
        columns: [],
        key: ['id'],
        comment: null,
        foreignKeys: [],
        unique: [],
        rules: [],
      },
    ],
    leftOut: [{ origin: 'public.v', why: 'is a view' }],
    defaultSchema: 'public',
    include: ['public.*'],
    exclude: [],
  },
  plan: {
    source: 'shop',
    models: [
      {
        name: 'dim_customer',
        kind: 'dimension',
        origin: 'public.customer',
        source: 'customer',
        columns: [{ source: 'id', name: 'id', notNull: true, comment: null }],
        key: ['id'],
        recordId: null,
        references: [],
        unique: [],
        rules: [],
        comment: null,
        notes: [],
      },
    ],
    leftOut: [{ origin: 'public.v', why: 'is a view' }],
  },
  files: [
    { path: 'models/dim_customer.sql', text: '' },
    { path: 'tote.config.ts', text: '' },
  ],
}

async function playInit(argv: readonly string[], options: Play = {}) {
  const asked: InitOptions[] = []
  const played = await play(['init', ...argv], {
    ...options,
    surface: { cwd, env: {}, ...options.surface },
    pipeline: { init: async (given) => (asked.push(given), MADE) },
  })
  return { ...played, asked }
}

const URL = 'postgres://reader:hush@db.example.com/shop'

test('a URL goes to .env, a variable stays where it is', async () => {
  const { asked, stdout } = await playInit(['new', '--source', URL, '--schema', 'a, b'])
  expect(asked).toMatchObject([
    {
      folder: join(cwd, 'new'),
      source: { url: URL, variable: 'SHOP_URL', given: true },
      warehouse: null,
      schemas: ['a', 'b'],
    },
  ])
  expect(stdout).toContain('2 tables in shop: 1 carried, 1 left out')
  expect(stdout).toContain('tote -C new check --live')
  writeFileSync(join(cwd, '.env'), `MY_URL=${URL}\n`)
  const named = await playInit(['--source', 'env:MY_URL', '--warehouse', 'env:MY_URL', '--yes'])
  expect(named.asked).toMatchObject([
    {
      folder: cwd,
      source: { url: URL, variable: 'MY_URL', given: false },
      warehouse: { given: false },
    },
  ])
})

test('one variable never names two databases', async () => {
  const other = 'postgres://loader:hush@db.example.com/star'
  writeFileSync(join(cwd, '.env'), `WAREHOUSE_URL=${URL}\nSHOP_URL=${other}\n`)
  for (const argv of [
    ['--source', 'env:WAREHOUSE_URL'],
    ['--source', URL, '--warehouse', 'env:SHOP_URL'],
    ['--source', 'env:WAREHOUSE_URL', '--warehouse', other],
  ]) {
    const told = await playInit(argv)
    expect(told).toMatchObject({ exit: 2, asked: [] })
    expect(told.stderr).toMatch(/_URL would name both the source and the warehouse/)
    expect(told.stderr).not.toContain('hush')
  }
})

test('a person is asked for what was not said', async () => {
  const questions: string[] = []
  const ask = async (question: string): Promise<string> => {
    questions.push(question)
    return questions.length === 1 ? ` ${URL} ` : ''
  }
  const { asked } = await playInit([], { surface: { cwd, ask } })
  expect(questions.length).toBe(2)
  expect(asked).toMatchObject([{ source: { url: URL }, warehouse: null }])
  const quiet = await playInit(['--yes'], { surface: { cwd, ask } })
  expect({ exit: quiet.exit, questions: questions.length }).toEqual({ exit: 2, questions: 2 })
})

test.each([
  [[], 'Which database is to be read?'],
  [['--source', 'env:NOT_SET'], 'The variable NOT_SET is not set'],
  [['--source', 'env:'], '"" is not the name of a variable'],
  [['--source', 'mysql://reader:hush@db/shop'], 'is not a URL of the form postgres://'],
  [['--source', 'postgres://reader:hu#sh@db/shop'], 'percent-encoded'],
  [['--source', URL, '--warehouse', 'postgres://reader:hush@db'], 'names no database'],
  [['--source', URL, '--schema', ','], 'It names nothing.'],
])('P10: what is wrong with %j is said without the password', async (argv, message) => {
  const { exit, stderr, stdout, asked } = await playInit(argv)
  expect({ exit, stdout, asked }).toEqual({ exit: 2, stdout: '', asked: [] })
  expect(stderr).toContain(message)
  expect(stderr).not.toContain('hush')
})

test('DATABASE_URL is suggested, never taken silently', async () => {
  const { exit, stderr } = await playInit([], { surface: { cwd, env: { DATABASE_URL: URL } } })
  expect(exit).toBe(2)
  expect(stderr).toContain('tote init --source env:DATABASE_URL')
})

test('--json holds the same numbers', async () => {
  const { stdout } = await playInit(['--source', URL, '--json'])
  expect(JSON.parse(stdout)).toMatchObject({
    version: 1,
    command: 'init',
    data: {
      project: 'shop',
      counts: { tablesFound: 2, tablesCarried: 1, tablesLeftOut: 1, models: 1, dimensions: 1 },
      models: [{ name: 'dim_customer', kind: 'dimension', table: 'public.customer' }],
      leftOut: [{ table: 'public.v', why: 'is a view' }],
    },
    warnings: [],
  })
})

test('tables that are left out are told each, and of many by reason', async () => {
  const leftOut = [
    ...Array.from({ length: 30 }, (_, index) => ({ origin: `public.v${index}`, why: 'is a view' })),
    { origin: 'public.books', why: 'is the bookkeeping of a migration tool' },
    ...Array.from({ length: 40 }, (_, index) => ({ origin: `app.s${index}`, why: 'is hidden' })),
  ]
  const tell = async (some: typeof leftOut): Promise<string[]> => {
    const { stdout } = await play(['init', '--source', URL], {
      surface: { cwd, env: {} },
      pipeline: { init: async () => ({ ...MADE, plan: { ...MADE.plan, leftOut: some } }) },
    })
    return stdout.split('\n').filter((line) => line.startsWith('    ') && !/\.env/.test(line))
  }
  expect((await tell(leftOut)).slice(0, 4)).toEqual([
    '    app.s0 and 39 others      is hidden',
    '    public.v0 and 29 others   is a view',
    '    public.books              is the bookkeeping of a migration tool',
    '    README.md has all of them',
  ])
  expect((await tell(leftOut.slice(28, 31))).slice(0, 3)).toEqual([
    '    public.v28     is a view',
    '    public.v29     is a view',
    '    public.books   is the bookkeeping of a migration tool',
  ])
})
