/**
 * The repository checks its own shape (DESIGN.md 10). Each rule is run on the real tree and, so that
 * it can be seen to fail, on a small wrong one.
 */
import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { ERRORS } from '../src/errors.ts'
import {
  cycleProblems,
  effectProblems,
  errorNameProblems,
  layerProblems,
  nameProblems,
  packageProblems,
  promiseProblems,
  sizeProblems,
  startProblems,
  wordProblems,
} from './support/architecture.ts'
import type { SourceFile } from './support/source-text.ts'

const root = path.dirname(import.meta.dirname)
const src = filesUnder('src', '.ts')
const tests = filesUnder('test', '.test.ts').filter(
  ({ path: file }) => file !== 'test/architecture.test.ts',
)

/** P9 comes with the state machine: nothing here runs Amazon States Language yet. */
const promises = ['P1', 'P2', 'P3', 'P4', 'P5', 'P6', 'P7', 'P8', 'P10', 'P11', 'P12']

describe('src/', () => {
  test('there is something to check', () => {
    expect(src.length).toBeGreaterThan(10)
  })
  test('imports only go down', () => {
    expect(layerProblems(src)).toEqual([])
  })
  test('imports make no circle', () => {
    expect(cycleProblems(src)).toEqual([])
  })
  test('files and folders stay small', () => {
    expect(sizeProblems(src)).toEqual([])
  })
  test('names say what a file knows', () => {
    expect(nameProblems(src)).toEqual([])
  })
  test('no any, no silenced compiler, no default export, no loose TODO', () => {
    expect(wordProblems(src)).toEqual([])
  })
  test('environment, clock, chance and output stay at the edge', () => {
    expect(effectProblems(src)).toEqual([])
  })
  test('each package is imported in one place', () => {
    expect(packageProblems(src)).toEqual([])
  })
  test('the command line starts without a driver', () => {
    expect(startProblems(src, 'src/cli.ts')).toEqual([])
  })
  test('every error name is raised, and met by a test', () => {
    expect(errorNameProblems(Object.keys(ERRORS), src, tests)).toEqual([])
  })
  test('every promise is named by a test', () => {
    expect(promiseProblems(promises, tests)).toEqual([])
  })
})

describe('a wrong tree is seen', () => {
  test('an import that points up, sideways, outside or nowhere known', () => {
    expect(
      layerProblems([
        file('src/lake/keys.ts', "import type { A } from '../pipeline/run.ts'"),
        file('src/lake/chain.ts', "export { B } from '../models/model.ts'"),
        file('src/columns/read.ts', "const { C } = await import('../storage/store.ts')"),
        file('src/types.ts', "import { D } from './config/define.ts'"),
        file(
          'src/models/graph.ts',
          "import { E } from '../../test/x.ts'\nimport { F } from 'totedata'",
        ),
        file('src/extras/thing.ts', "import { G } from '../types.ts'"),
        file('src/web/page.ts', "import { H } from '../cli/screen.ts'"),
      ]),
    ).toEqual([
      'src/lake/keys.ts:1: "lake" must not import "pipeline": imports only go down',
      'src/lake/chain.ts:1: "lake" must not import "models": imports only go down',
      'src/columns/read.ts:1: "columns" must not import "storage": imports only go down',
      'src/types.ts:1: "types.ts" must not import "config": imports only go down',
      'src/models/graph.ts:1: "../../test/x.ts" lies outside src/',
      'src/models/graph.ts:2: src/ imports the package by its own name',
      'src/extras/thing.ts: "extras" has no layer; give it one in architecture.ts',
      'src/web/page.ts:1: "web" must not import "cli": imports only go down',
    ])
  })
  test('imports that go down, or stay, are right', () => {
    expect(
      layerProblems([
        file(
          'src/cli.ts',
          "import { a } from './cli/screen.ts'\nimport { b } from './pipeline/run.ts'",
        ),
        file('src/cli/screen.ts', "import { c } from '../events.ts'\nimport fs from 'node:fs'"),
        file('src/events.ts', "import type { D } from './types.ts'"),
      ]),
    ).toEqual([])
  })
  test('a circle, even of types', () => {
    expect(
      cycleProblems([
        file('src/lake/a.ts', "import { b } from './b.ts'"),
        file('src/lake/b.ts', "import type {\n  C,\n} from './c.ts'"),
        file('src/lake/c.ts', "export type { A } from './a.ts'"),
      ]),
    ).toEqual(['src/lake/a.ts → src/lake/b.ts → src/lake/c.ts → src/lake/a.ts'])
  })
  test('a long file, a full folder, a folder in a folder', () => {
    const many = Array.from({ length: 13 }, (_, i) => file(`src/lake/file-${i}.ts`, ''))
    expect(sizeProblems([...many, file('src/cli/a/b.ts', 'x\n'.repeat(401))])).toEqual([
      'src/cli/a/b.ts: 401 lines; 400 is the limit',
      'src/lake: 13 files; 12 is the limit',
      'src/cli/a: a folder in a folder',
    ])
  })
  test('a vague name, a second index, a capital', () => {
    expect(
      nameProblems([
        file('src/lake/lake-utils.ts', ''),
        file('src/common/x.ts', ''),
        file('src/lake/index.ts', ''),
        file('src/lake/readLake.ts', ''),
        file('src/index.ts', ''),
      ]),
    ).toEqual([
      'src/lake/lake-utils.ts: "utils" says nothing; name it for what it knows',
      'src/common/x.ts: "common" says nothing; name it for what it knows',
      'src/lake/index.ts: the only index.ts is src/index.ts',
      'src/lake/readLake.ts: "readLake" is not kebab-case',
    ])
  })
  test('forbidden words, but not in text, in comments or as a method', () => {
    const wrong = [
      'const a = b as any',
      'function f(c: any[]): Map<string, any> {}',
      '// @ts-ignore',
      '/* @ts-expect-error */',
      'export default f',
      '// TODO tidy',
    ]
    const right = [
      "const text = 'any' + `any ${Promise.any([])} any` // any is fine here",
      '// TODO(#12) tidy',
      'const pattern = /any|"|`/',
      "const after: string = 'export default'",
    ]
    expect(wordProblems([file('src/lake/a.ts', [...wrong, ...right].join('\n'))])).toEqual([
      'src/lake/a.ts:1: any',
      'src/lake/a.ts:2: any',
      'src/lake/a.ts:2: any',
      'src/lake/a.ts:5: a default export',
      'src/lake/a.ts:3: a silenced compiler',
      'src/lake/a.ts:4: a silenced compiler',
      'src/lake/a.ts:6: a TODO without its issue, as TODO(#12)',
    ])
  })
  test('effects away from the edge', () => {
    const text = [
      "process.env['A']",
      'console.log(1)',
      'process.exit(1)',
      'Date.now()',
      'new Date()',
      'Math.random()',
      'new Date(0)',
      "import { env } from 'node:process'",
      'process.stdout.write(text)',
      "const said = `process.env ${process.env['B']}`",
    ].join('\n')
    const seen = effectProblems([
      file('src/lake/a.ts', text),
      file('src/config/b.ts', text),
      file('src/cli.ts', text),
      file('src/cli/c.ts', text),
    ])
    expect(seen.map((problem) => problem.split(',')[0])).toEqual([
      'src/lake/a.ts:8: node:process',
      'src/lake/a.ts:1: process.env',
      'src/lake/a.ts:10: process.env',
      'src/lake/a.ts:3: process.exit',
      'src/lake/a.ts:9: process.stdout',
      'src/lake/a.ts:2: console',
      'src/lake/a.ts:4: Date.now',
      'src/lake/a.ts:5: new Date()',
      'src/lake/a.ts:6: Math.random',
    ])
  })
  test('a package away from home, loaded too early, or unknown', () => {
    expect(
      packageProblems([
        file('src/lake/a.ts', "import pg from 'pg'\nimport type { Pool } from 'pg'"),
        file('src/columns/b.ts', "import { DuckDBInstance } from '@duckdb/node-api'"),
        file(
          'src/columns/c.ts',
          "const d = await import('@duckdb/node-api')\nlet t: typeof import('pg')",
        ),
        file('src/lake/e.ts', "const pg = createRequire(import.meta.url)('pg')"),
        file('src/cli/d.ts', "import leftPad from 'left-pad/x'\nimport { z } from 'zod/mini'"),
      ]),
    ).toEqual([
      'src/lake/a.ts:1: "pg" is imported only in postgres/ or embedded/',
      'src/columns/b.ts:1: "@duckdb/node-api" is imported only by await import',
      'src/lake/e.ts:1: "pg" is imported only in postgres/ or embedded/',
      'src/cli/d.ts:1: "left-pad" has no home; give it one in architecture.ts',
      'src/cli/d.ts:2: "zod" is imported only in config/',
    ])
  })
  test('a driver that loads before the command is known', () => {
    const files = [
      file(
        'src/cli.ts',
        "import { a } from './cli/run.ts'\nconst late = await import('./config/load.ts')",
      ),
      file('src/cli/run.ts', "import { b } from '../config/define.ts'"),
      file('src/config/define.ts', "import { z } from 'zod'"),
      file('src/config/load.ts', "import { createJiti } from 'jiti'"),
    ]
    expect(startProblems(files, 'src/cli.ts')).toEqual([
      'src/cli.ts → src/cli/run.ts → src/config/define.ts loads "zod" at start',
    ])
  })
  test('an error name that nothing raises or no test meets', () => {
    const raised = [file('src/lake/a.ts', "throw new ToteError('LakeConflict', '')")]
    const met = [file('test/a.test.ts', "toMatchObject({ name: 'RunLocked' })")]
    expect(errorNameProblems(['LakeConflict', 'RunLocked'], raised, met)).toEqual([
      'LakeConflict is met by no test',
      'RunLocked is raised nowhere in src/',
    ])
  })
  test('a promise that no title names', () => {
    const titled = [
      file(
        'test/a.test.ts',
        "test('P1: one instant', () => {})\ntest.each([1])('P10 and P3: …', f)",
      ),
      file('test/b.test.ts', "// P4 is not named by a comment\nexpect('P5')"),
    ]
    expect(promiseProblems(['P1', 'P3', 'P4', 'P5', 'P10'], titled)).toEqual([
      'P4 is named by no test',
      'P5 is named by no test',
    ])
  })
})

function file(name: string, text: string): SourceFile {
  return { path: name, text }
}

function filesUnder(folder: string, ending: string): SourceFile[] {
  return readdirSync(path.join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith(ending))
    .map((name) => path.posix.join(folder, name.replaceAll(path.sep, '/')))
    .sort()
    .map((name) => file(name, readFileSync(path.join(root, name), 'utf8')))
}
