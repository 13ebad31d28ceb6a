import { mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { inspect } from 'node:util'
import fc from 'fast-check'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { ToteError } from '../../src/errors.ts'
import { loadProject, type LoadOptions } from '../../src/config/load.ts'

const HEAD = "import { defineProject, embedded, env } from 'totedata'\n"
const REST = "warehouse: { url: 'postgres://h/w' }"
const SHOP = "sources: { shop: { type: 'postgres', url: env('SHOP_URL') } }"

let folder: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tote-load-'))
  await mkdir(join(folder, 'models'))
})

afterEach(async () => {
  await rm(folder, { recursive: true })
})

async function write(text: string, name = 'tote.config.ts'): Promise<void> {
  await writeFile(join(folder, name), text)
}

const load = async (options: Partial<LoadOptions> = {}): ReturnType<typeof loadProject> =>
  loadProject({ cwd: folder, environment: {}, ...options })

async function failure(options: Partial<LoadOptions> = {}): Promise<ToteError> {
  const error = await load(options).then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  if (error instanceof ToteError) return error
  throw new Error('expected a ToteError', { cause: error })
}

/** The error as a person sees it: name, message, source lines, what to do. */
async function screen(options?: Partial<LoadOptions>): Promise<string> {
  const { name, message, facts } = await failure(options)
  const lines = [
    `${name}  ${message}`,
    ...(facts.terminal ?? []),
    ...(facts.why === undefined ? [] : [`why  ${facts.why}`]),
    ...(facts.fix === undefined ? [] : [`fix  ${facts.fix}`]),
  ]
  return `\n${lines.join('\n').replaceAll(folder, '<folder>')}\n`
}

test('a project loads without node_modules, from TypeScript with imports of its own', async () => {
  await writeFile(
    join(folder, 'names.ts'),
    "import { env } from 'totedata'\nexport const url = env('SHOP_URL')\nexport const name: string = 'shop'\n",
  )
  await write(`${HEAD}import { name, url } from './names.ts'
enum Role { Owner = 'owner' }
export default defineProject({
  name,
  sources: { shop: { type: 'postgres', url } },
  warehouse: { url: embedded({ database: 'w', owner: Role.Owner, setup: async () => { await import('./names.ts') } }) },
})`)
  const project = await load({ environment: { SHOP_URL: 'postgres://u:pw@h/db' } })
  expect(project).toMatchObject({
    name: 'shop',
    folder,
    configFile: join(folder, 'tote.config.ts'),
    stateFolder: join(folder, '.tote'),
  })
  expect(
    String(project.sources[0]?.database.type === 'url' && project.sources[0].database.url),
  ).toBe('postgres://u:***@h/db')
  const { database } = project.warehouse
  await (database.type === 'embedded' && database.setup?.('postgres://owner'))
  expect(await readdir(join(folder, '.tote', 'cache', 'jiti'))).toHaveLength(2)
})

test.each(['tote.config.mts', 'tote.config.js', 'tote.config.mjs'])(
  '%s is found too',
  async (name) => {
    await write(`${HEAD}export default defineProject({ name: 'shop', ${SHOP}, ${REST} })`, name)
    expect((await load({ environment: { SHOP_URL: 'postgres://h/db' } })).configFile).toBe(
      join(folder, name),
    )
  },
)

test('a config of another name may lie elsewhere; its folder is the project', async () => {
  await write(
    `${HEAD}export default defineProject({ name: 'other', ${SHOP}, ${REST} })`,
    'other.config.ts',
  )
  await writeFile(join(folder, '.env'), 'SHOP_URL=postgres://h/db\n')
  expect(
    await load({ cwd: join(folder, 'models'), configFile: '../other.config.ts' }),
  ).toMatchObject({ name: 'other', folder })
})

test('.env beside the config is read; the process environment comes first', async () => {
  await write(`${HEAD}export default defineProject({ name: 'shop', ${SHOP}, ${REST} })`)
  await writeFile(join(folder, '.env'), 'SHOP_URL=postgres://from-file/db\n')
  const urlOf = async (environment: Record<string, string>): Promise<string> =>
    inspect((await load({ environment })).sources[0]?.database)
  expect(await urlOf({})).toContain('postgres://from-file/db')
  expect(await urlOf({ SHOP_URL: 'postgres://from-process/db' })).toContain(
    'postgres://from-process/db',
  )
})

test('a config and what it imports are read afresh by each load', async () => {
  await write(
    `${HEAD}import { name } from './name.ts'\nexport default defineProject({ name, ${SHOP}, ${REST} })`,
  )
  const environment = { SHOP_URL: 'postgres://h/db' }
  await writeFile(join(folder, 'name.ts'), "export const name = 'one'")
  expect((await load({ environment })).name).toBe('one')
  await writeFile(join(folder, 'name.ts'), "export const name = 'two'")
  expect((await load({ environment })).name).toBe('two')
})

test('all problems are told at once, each where it stands', async () => {
  await write(`${HEAD}
export default defineProject({
  nme: 'shop',
  sources: {
    // shop: { urll: 'not here' }
    shop: {
      type: 'postgres',
      urll: env('SHOP_URL'), strategy: 'compar',
      lockTimeout: '5 parsecs',
    },
    ...Object.fromEntries([['seeds', { type: 'postgres', url: 5 }]]),
  },
  warehouse: {
    readers: [],
  },
})
`)
  const error = await failure()
  expect(error.toJSON()).toMatchInlineSnapshot(`
    {
      "fix": "write into .env beside tote.config.ts: SHOP_URL=…",
      "message": "tote.config.ts has 8 problems",
      "name": "ConfigInvalid",
      "problems": [
        {
          "message": ""nme" is not a setting of the project. Did you mean "name"?",
          "where": "tote.config.ts:4:3",
        },
        {
          "message": "environment variable SHOP_URL is not set",
          "where": "tote.config.ts:9:7",
        },
        {
          "message": ""urll" is not a setting of sources.shop. Did you mean "url"?",
          "where": "tote.config.ts:9:7",
        },
        {
          "message": "sources.shop.strategy cannot be "compar". Did you mean "compare"?",
          "where": "tote.config.ts:9:30",
        },
        {
          "message": "sources.shop.lockTimeout must be a duration such as "5s" or "30m", above zero and below 25 days, not "5 parsecs"",
          "where": "tote.config.ts:10:7",
        },
        {
          "message": "warehouse.url is missing",
          "where": "tote.config.ts:14:3",
        },
        {
          "message": ""seeds" cannot be the name of a source: it is taken",
          "where": "sources.seeds",
        },
        {
          "message": "sources.seeds.url must be env(…), embedded({ … }) or a URL",
          "where": "sources.seeds.url",
        },
      ],
      "retry": false,
      "where": "tote.config.ts",
    }
  `)
  expect(await screen()).toMatchInlineSnapshot(`
    "
    ConfigInvalid  tote.config.ts has 8 problems
       4 │   nme: 'shop',
         │   ^^^ "nme" is not a setting of the project. Did you mean "name"?
       9 │       urll: env('SHOP_URL'), strategy: 'compar',
         │       ^^^^ environment variable SHOP_URL is not set
         │       ^^^^ "urll" is not a setting of sources.shop. Did you mean "url"?
         │                              ^^^^^^^^ sources.shop.strategy cannot be "compar". Did you mean "compare"?
      10 │       lockTimeout: '5 parsecs',
         │       ^^^^^^^^^^^ sources.shop.lockTimeout must be a duration such as "5s" or "30m", above zero and below 25 days, not "5 parsecs"
      14 │   warehouse: {
         │   ^^^^^^^^^ warehouse.url is missing
      "seeds" cannot be the name of a source: it is taken
      sources.seeds.url must be env(…), embedded({ … }) or a URL
    fix  write into .env beside tote.config.ts: SHOP_URL=…
    "
  `)
})

test('only wishes for later versions are NotSupportedYet', async () => {
  await write(`${HEAD}export default defineProject({ name: 'shop', ${SHOP}, ${REST},
  lake: { ingestion: 's3://b/i' },
})`)
  expect(await screen({ environment: { SHOP_URL: 'postgres://h/db' } })).toMatchInlineSnapshot(`
    "
    NotSupportedYet  tote.config.ts asks for what is not there yet
      3 │   lake: { ingestion: 's3://b/i' },
        │           ^^^^^^^^^ lake.ingestion is an S3 bucket, which is not there yet; for now: a folder
    "
  `)
  expect(await screen()).toContain('ConfigInvalid')
})

test('a file that is not TypeScript', async () => {
  await write(`${HEAD}export default defineProject({\n  name: 'shop',,\n})`)
  expect(await screen()).toMatchInlineSnapshot(`
    "
    ConfigInvalid  tote.config.ts has 1 problem
      3 │   name: 'shop',,
        │                ^ syntax error: Unexpected token
    "
  `)
})

test('a syntax error in a file that the config imports', async () => {
  await writeFile(join(folder, 'models', 'names.ts'), '\nexport const = 1\n')
  await write("import { a } from './models/names.ts'\nexport default a")
  expect(await screen()).toMatchInlineSnapshot(`
    "
    ConfigInvalid  models/names.ts has 1 problem
      2 │ export const = 1
        │              ^ syntax error: Unexpected token
    "
  `)
})

test('an import that is not there', async () => {
  await write("import { a } from './nope.ts'\nimport { b } from 'nopkg'\nexport default [a, b]")
  expect(await screen()).toMatchInlineSnapshot(`
    "
    ConfigInvalid  tote.config.ts has 1 problem
      1 │ import { a } from './nope.ts'
        │                    ^^^^^^^^^ "./nope.ts" cannot be imported: there is no such file
    "
  `)
  await write("import { b } from 'nopkg'\nexport default b")
  expect(await screen()).toMatchInlineSnapshot(`
    "
    ConfigInvalid  tote.config.ts has 1 problem
      1 │ import { b } from 'nopkg'
        │                    ^^^^^ "nopkg" cannot be imported: is it installed?
    "
  `)
})

test('a config that throws', async () => {
  await write(
    `${HEAD}\nfunction url(): string {\n  throw new RangeError('no port in postgres://u:S3CR3T@h')\n}\nexport default defineProject(url())`,
  )
  expect(await screen()).toMatchInlineSnapshot(`
    "
    ConfigInvalid  tote.config.ts has 1 problem
      4 │   throw new RangeError('no port in postgres://u:***@h')
        │   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ it threw RangeError: no port in postgres://u:***@h
    "
  `)
  await write("throw 'just text'")
  expect(await screen()).toMatchInlineSnapshot(`
    "
    ConfigInvalid  tote.config.ts has 1 problem
      it threw string: just text
    "
  `)
})

test.each([
  ['nothing', '', 'it has no default export'],
  ['only names', 'export const name = 1', 'it has no default export'],
  ['null', 'export default null', 'its default export is null'],
  ['a list', 'export default []', 'its default export is a list'],
  ['a function', 'export default () => ({})', 'its default export is a function'],
  ['a text', "export default 'shop'", 'its default export is a string'],
])('a config that exports %s', async (_, text, what) => {
  await write(text)
  expect((await failure()).facts.problems).toEqual([
    {
      where: 'tote.config.ts',
      message: `${what}; it must say: export default defineProject({ … })`,
    },
  ])
})

test('no config: what was looked for, and how to begin', async () => {
  expect(await screen()).toMatchInlineSnapshot(`
    "
    ConfigNotFound  There is no tote.config.ts in "<folder>"
    why  looked for tote.config.ts, tote.config.mts, tote.config.js, tote.config.mjs, in this folder only
    fix  write tote.config.ts:

    import { defineProject, env } from 'totedata'
    export default defineProject({
      name: 'shop',
      sources: { shop: { type: 'postgres', url: env('SHOP_URL') } },
      warehouse: { url: env('WAREHOUSE_URL') },
    })
    "
  `)
  await write(`${HEAD}export default defineProject({})`)
  expect(await screen({ cwd: join(folder, 'models') })).toMatchInlineSnapshot(`
    "
    ConfigNotFound  There is no tote.config.ts in "<folder>/models"
    why  looked for tote.config.ts, tote.config.mts, tote.config.js, tote.config.mjs, in this folder only
    fix  the project is in "<folder>": add -C "<folder>"
    "
  `)
  expect(await screen({ cwd: join(folder, 'nowhere') })).toMatchInlineSnapshot(`
    "
    ConfigNotFound  There is no folder "<folder>/nowhere"
    "
  `)
  expect(await screen({ configFile: 'nowhere.ts' })).toContain(
    'ConfigNotFound  There is no file "<folder>/nowhere.ts"',
  )
})

test('a link to a config is a config, one to nowhere is none', async () => {
  await write(`${HEAD}export default defineProject({ name: 'shop', ${SHOP}, ${REST} })`, 'real.ts')
  await symlink('real.ts', join(folder, 'tote.config.ts'))
  expect(basename((await load({ environment: { SHOP_URL: 'postgres://h/db' } })).configFile)).toBe(
    'tote.config.ts',
  )
  await rm(join(folder, 'real.ts'))
  expect((await failure()).name).toBe('ConfigNotFound')
})

test('P10: no way of failing shows a secret of the config or of the environment', async () => {
  const secret = 'postgres://u:S3CR3T@h/db'
  const settings = [
    `url: '${secret}'`,
    `urll: "${secret}"`,
    `url: env('NOPE', '${secret}')`,
    "url: env('URL')",
    "url: env('BAD')",
    `strategy: '${secret}'`,
    "strategy: env('URL')",
    `lockTimeout: '${secret}'`,
    "lockTimeout: env('BAD')",
    `defaultSchema: ['${secret}']`,
    `tables: { include: ['${secret}', 5] }`,
    `type: '${secret}'`,
    `url: '${secret}',,`,
    `url: '${secret}`,
    `url: (() => { throw new Error('${secret}') })()`,
  ]
  const environment = { URL: secret, BAD: 'S3CR3T' }
  await fc.assert(
    fc.asyncProperty(
      fc.subarray(settings, { minLength: 1, maxLength: 4 }),
      fc.constantFrom(' ', '\n'),
      async (chosen, space) => {
        const source = `{ ${chosen.join(`,${space}`)} }`
        await write(
          `${HEAD}export default defineProject({ name: 5,${space}sources: { shop: ${source} } })`,
        )
        const error = await failure({ environment })
        expect(error.name).toBe('ConfigInvalid')
        const shown = [
          error.message,
          error.stack,
          JSON.stringify(error),
          error.facts.terminal?.join('\n'),
          inspect(error, { depth: 9, showHidden: true }),
        ]
        expect(shown.join('\n')).not.toContain('S3CR3T')
      },
    ),
    { numRuns: 60 },
  )
})
