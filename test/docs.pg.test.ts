/** Every `tote …` command line of README and docs, run on a real project; or a reason why not. */
import { mkdtemp, readdir, readFile, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { commandLines } from './support/doc-commands.ts'
import { createProject, startCli, type TestProject } from './support/project.ts'

const root = join(import.meta.dirname, '..')
const pages = [
  'README.md',
  'CHANGELOG.md',
  ...(await readdir(join(root, 'docs')))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
]
const lines = new Set<string>()
for (const page of pages)
  for (const line of commandLines(await readFile(join(root, page), 'utf8'))) lines.add(line)

/** What stands in the docs for something of the reader's own. */
const STANDS_FOR: Readonly<Record<string, string>> = {
  '[DIR]': 'new',
  '[RUN]': 'last',
  RUN: 'last',
  SQL: 'select 1',
  STAGE: 'load',
  TABLE: 'sale',
  SHELL: 'bash',
}

const NOT_RUN: readonly (readonly [RegExp, string])[] = [
  [/^tote init( \[DIR\])?$/, 'names the command; without --source it asks'],
  [/…/, 'holds a password that only the reader knows'],
  [/--schema public,billing|--tables customer,sales/, 'the shop has no such schema'],
  [/ (-e|--env) /, 'the shop has no environments; environments.pg.test.ts has'],
  [/^tote test ./, 'the shop has no tests of models; test/cases has'],
  [/FOLDER|ENVIRONMENT|TOKEN/, 'names a flag'],
]

let project: TestProject
let above: string
beforeAll(async () => {
  project = await createProject()
  above = await mkdtemp(join(tmpdir(), 'tote-docs-'))
  await symlink(project.folder, join(above, 'shop'))
  await project.good()
})
afterAll(async () => {
  await project.close()
  await rm(above, { recursive: true, force: true })
})

test('there are some, and most are run', () => {
  const left = [...lines].filter((line) => NOT_RUN.some(([pattern]) => pattern.test(line)))
  expect(lines.size).toBeGreaterThan(20)
  expect(left.length).toBeLessThan(lines.size / 3)
})

let made = 0
for (const line of lines) {
  const reason = NOT_RUN.find(([pattern]) => pattern.test(line))?.[1]
  if (reason !== undefined) continue
  test(line, async () => {
    const words = [...line.matchAll(/"([^"]*)"|(\S+)/g)].map((word) => word[1] ?? word[2] ?? '')
    const [, ...typed] = words
    const name = typed.includes('explain') ? 'CheckFailed' : 'fact_sale'
    const args = typed.map((word) => (word === 'NAME' ? name : (STANDS_FOR[word] ?? word)))
    const isInit = args[0] === 'init'
    if (isInit) args[1] = `made-${++made}`
    const inside = args.includes('-C') || isInit ? above : project.folder
    const { source, warehouse } = project.urls
    const urls = isInit ? { SHOP_URL: source, DATABASE_URL: source, WAREHOUSE_URL: warehouse } : {}
    const { exit, stderr } = await startCli(inside, args, urls).ended
    expect({ exit, stderr: exit === 0 ? '' : stderr }).toEqual({ exit: 0, stderr: '' })
  })
}
