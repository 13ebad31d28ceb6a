/** What README and docs tell a reader to type or to write must be true. */
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { renderConfig, settingsOf } from '../scripts/config-page.ts'
import { renderErrors } from '../scripts/docs.ts'
import { renderTypes } from '../scripts/types-page.ts'
import { MODULES } from '../scripts/mutation/modules.ts'
import { loadProject } from '../src/config/load.ts'
import { ToteError } from '../src/errors.ts'
import { parseModelText } from '../src/models/header.ts'
import { commandLines } from './support/doc-commands.ts'
import { play } from './support/surface.ts'

const root = join(import.meta.dirname, '..')
const pages = [
  'README.md',
  'ARCHITECTURE.md',
  'CONTRIBUTING.md',
  'CHANGELOG.md',
  ...(await readdir(join(root, 'docs')))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
]
const texts = new Map(
  await Promise.all(
    pages.map(async (page) => [page, await readFile(join(root, page), 'utf8')] as const),
  ),
)
const folders: string[] = []

afterAll(async () => {
  await Promise.all(folders.map(async (folder) => rm(folder, { recursive: true, force: true })))
})

const URLS = Object.fromEntries(
  ['SHOP_URL', 'DATABASE_URL', 'WAREHOUSE_URL'].map((name) => [name, 'postgres://r:p@localhost/x']),
)

/** The fenced blocks of a language. */
function blocks(page: string, language: string): string[] {
  const fence = new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\``, 'gm')
  return [...(texts.get(page) ?? '').matchAll(fence)].map((match) => match[1] ?? '')
}

describe('every command line in the docs is understood', () => {
  const all = pages.flatMap((page) =>
    commandLines(texts.get(page) ?? '').map((command) => [page, command] as const),
  )
  test('there are some', () => expect(all.length).toBeGreaterThan(10))
  for (const [page, command] of all) {
    test(`${page}: ${command}`, async () => {
      const cwd = await mkdtemp(join(tmpdir(), 'tote-docs-'))
      folders.push(cwd)
      await mkdir(join(cwd, 'shop'))
      const words = [...command.matchAll(/"([^"]*)"|(\S+)/g)].map(
        (match) => match[1] ?? match[2] ?? '',
      )
      const reached = new ToteError('ConfigNotFound', 'the command line was understood')
      const openProject = async (): Promise<never> => {
        throw reached
      }
      const argv = words
        .slice(1)
        .map((word) => (word === 'NAME' ? 'ConfigInvalid' : word === 'STAGE' ? 'load' : word))
        .map((word) => (word === '[DIR]' ? 'shop' : word === 'SHELL' ? 'bash' : word))
      const { exit, stderr } = await play(argv, {
        pipeline: { openProject, init: openProject },
        surface: { cwd, env: URLS },
      })
      if (/explain|completion/.test(argv[0] ?? '')) expect(exit).toBe(0)
      else if (argv.join(' ').match(/^init( shop)?$/))
        expect(stderr).toContain('Which database is to be read?')
      else expect(stderr).toContain('ConfigNotFound')
    })
  }
})

test('every npm script that the docs name is there', async () => {
  const { scripts } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as {
    scripts: Record<string, string>
  }
  const named = [...texts.values()].flatMap((text) =>
    [...text.matchAll(/npm run ([a-z:-]+)/g)].map((match) => match[1] ?? ''),
  )
  expect(named.length).toBeGreaterThan(3)
  for (const name of named) expect(Object.keys(scripts)).toContain(name)
})

test('every link leads to a file', async () => {
  for (const [page, text] of texts) {
    for (const match of text.matchAll(/\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)/g)) {
      const target = join(root, dirname(page), match[1] ?? '')
      expect(
        await stat(target).then(
          () => true,
          () => false,
        ),
        `${page} links to ${match[1]}`,
      ).toBe(true)
    }
  }
})

test('every config in the docs loads', async () => {
  const configs = pages.flatMap((page) =>
    blocks(page, 'ts').filter((block) => block.includes('defineProject')),
  )
  expect(configs.length).toBeGreaterThan(0)
  for (const config of configs) {
    const folder = await mkdtemp(join(tmpdir(), 'tote-docs-'))
    folders.push(folder)
    await mkdir(join(folder, 'models'))
    await mkdir(join(folder, 'seeds'))
    await writeFile(join(folder, 'tote.config.ts'), config)
    const project = await loadProject({
      cwd: folder,
      environment: {
        SHOP_URL: 'postgres://r:p@localhost/shop',
        WAREHOUSE_URL: 'postgres://r:p@localhost/warehouse',
        MASK_SECRET: 'a secret of sixteen',
      },
    })
    expect(project.name).toBe('shop')
  }
})

test('every model in README parses', () => {
  const models = blocks('README.md', 'sql').filter((block) => block.startsWith('-- kind'))
  expect(models.length).toBe(1)
  for (const model of models)
    expect(parseModelText('dim_customer', 'models/dim_customer.sql', model).problems).toEqual([])
})

test('docs/config.md is as `npm run docs` writes it', () => {
  expect(texts.get('docs/config.md')).toBe(renderConfig())
})

describe('every example of docs/config.md is understood', () => {
  for (const { path, example } of settingsOf()) {
    test(`${path.join('.')}: ${example}`, async () => {
      const folder = await mkdtemp(join(tmpdir(), 'tote-docs-'))
      folders.push(folder)
      for (const name of ['models', 'seeds']) await mkdir(join(folder, name))
      const keys =
        path[0] === 'embedded()'
          ? ['options', ...path.slice(1)]
          : path.map((key, index) => (key === 'NAME' ? (index === 1 ? 'shop' : 'sale') : key))
      await writeFile(
        join(folder, 'tote.config.mjs'),
        `import { embedded, env } from 'totedata'
const options = { database: 'shop', owner: 'owner' }
const config = {
  name: 'shop', maskSecret: env('MASK_SECRET'),
  sources: { shop: { type: 'postgres', url: embedded(options) } },
  warehouse: { url: env('WAREHOUSE_URL') },
}
const keys = ${JSON.stringify(keys)}
let at = keys[0] === 'options' ? { options } : config
for (const key of keys.slice(0, -1)) at = at[key] ??= {}
if (keys.at(-2) === 'cursor') at.column = 'seen'
if (keys.includes('table') && keys.at(-1) === 'strategy') at.cursor = { column: 'seen' }
at[keys.at(-1)] = ${example}
export default config
`,
      )
      const variables = Object.fromEntries(
        ['SHOP_URL', 'WAREHOUSE_URL'].map((name) => [name, 'postgres://u:p@localhost/d']),
      )
      await expect(
        loadProject({
          cwd: folder,
          environment: { ...variables, MASK_SECRET: 'a secret of some length' },
        }),
      ).resolves.toHaveProperty('name', 'shop')
    })
  }
})

test('docs/errors.md and docs/types.md are as `npm run docs` writes them', () => {
  expect(texts.get('docs/errors.md')).toBe(renderErrors())
  expect(texts.get('docs/types.md')).toBe(renderTypes())
})

test('docs/mutation.md speaks of modules that are there, and of tests that guard them', async () => {
  const rows = texts.get('docs/mutation.md')?.matchAll(/^\| `([^`]+)` +\|/gm) ?? []
  const told = Array.from(rows, ([, module]) => module)
  expect(Object.keys(MODULES)).toEqual(expect.arrayContaining(told))
  for (const [module, { tests }] of Object.entries(MODULES)) {
    const files = [`src/${module}.ts`, ...tests.map((test) => `test/${test}.test.ts`)]
    for (const file of files) await stat(join(root, file))
  }
})
