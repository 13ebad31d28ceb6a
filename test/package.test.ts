/** What a user installs: a whole lockfile, nothing that runs at install, free licences, a small package that starts. */
import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

interface Locked {
  readonly version?: string
  readonly license?: string
  readonly dev?: boolean
  readonly hasInstallScript?: boolean
  readonly engines?: { readonly node?: string }
  readonly optionalDependencies?: Readonly<Record<string, string>>
}

const root = path.dirname(import.meta.dirname)
const run = promisify(execFile)
const lockfile = readJson('package-lock.json') as { packages: Record<string, Locked> }
const manifest = readJson('package.json') as {
  version: string
  engines: { node: string }
  dependencies: Record<string, string>
  devDependencies: Record<string, string>
}
const freeLicences = ['0BSD', 'Apache-2.0', 'BSD-2-Clause', 'BSD-3-Clause', 'ISC', 'MIT', 'MIT-0']
const sizeLimit = 1_500_000
const tsc = path.join(root, 'node_modules/typescript/bin/tsc')

describe('the lockfile', () => {
  test('is whole: every platform of every native package is there', () => {
    expect(missingOptional(lockfile.packages)).toEqual([])
  })
  test('that lacks a platform is seen', () => {
    const packages = {
      'node_modules/a': { optionalDependencies: { 'a-linux': '1.0.0', 'a-mac': '1.0.0' } },
      'node_modules/a-linux': {},
    }
    expect(missingOptional(packages)).toEqual(['node_modules/a needs a-mac'])
  })
  test('belongs to package.json', () => {
    expect(lockfile.packages['']).toMatchObject({
      version: manifest.version,
      dependencies: manifest.dependencies,
      devDependencies: manifest.devDependencies,
    })
  })
})

describe('a runtime dependency', () => {
  const runtime = Object.entries(lockfile.packages).filter(
    ([name, locked]) => name !== '' && locked.dev !== true,
  )

  test('there are some', () => {
    expect(runtime.length).toBeGreaterThan(Object.keys(manifest.dependencies).length)
  })
  test('runs nothing when it is installed', () => {
    expect(runtime.filter(([, locked]) => locked.hasInstallScript === true)).toEqual([])
  })
  test('has a free licence', () => {
    expect(runtime.filter(([, { license }]) => !freeLicences.includes(license ?? ''))).toEqual([])
  })
  test('is pinned exactly', () => {
    const loose = Object.entries(manifest.dependencies).filter(([, range]) => !/^\d/.test(range))
    expect(loose).toEqual([])
  })
  test('of DuckDB has one version', () => {
    const { '@duckdb/node-api': api, '@duckdb/node-bindings': bindings } = manifest.dependencies
    expect(bindings).toBe(api)
  })
})

describe('Node', () => {
  test('20.19 is the oldest that we ask for, and npm refuses what needs a newer one', () => {
    expect(manifest.engines.node).toBe('^20.19.0 || >=22.12.0')
    expect(readFileSync(path.join(root, '.npmrc'), 'utf8')).toMatch(/^engine-strict=true$/m)
    expect(manifest.devDependencies['@types/node']).toMatch(/^20\./)
  })
})

describe('the packed package', () => {
  let folder: string
  let pack: { size: number; filename: string; files: { path: string }[] }

  beforeAll(async () => {
    folder = mkdtempSync(path.join(tmpdir(), 'tote-pack-'))
    await run(process.execPath, ['scripts/build.js', '--when-stale'], { cwd: root })
    const { stdout } = await run(
      'npm',
      ['pack', '--json', '--ignore-scripts', '--loglevel=error', '--pack-destination', folder],
      { cwd: root, maxBuffer: 10_000_000 },
    )
    pack = (JSON.parse(stdout) as [typeof pack])[0]
  })
  afterAll(() => {
    rmSync(folder, { recursive: true, force: true })
  })

  test(`stays under ${sizeLimit / 1_000_000} MB`, () => {
    expect(pack.size).toBeLessThan(sizeLimit)
  })
  test('holds the product and nothing else', () => {
    const names = pack.files.map((file) => file.path)
    expect(names).toEqual(
      expect.arrayContaining([
        'bin/tote.js',
        'dist/cli.js',
        'dist/index.js',
        'dist/index.d.ts',
        'LICENSE',
        'README.md',
        'CHANGELOG.md',
        'package.json',
      ]),
    )
    const product = /^(?:bin\/tote\.js|dist\/[\w/-]+\.(?:js|d\.ts)|[A-Z]+(?:\.md)?|package\.json)$/
    expect(names.filter((name) => !product.test(name))).toEqual([])
  })
  test('starts where it is installed', async () => {
    await run('tar', ['-xzf', path.join(folder, pack.filename), '-C', folder])
    symlinkSync(path.join(root, 'node_modules'), path.join(folder, 'node_modules'))
    const { stdout } = await run(process.execPath, [
      path.join(folder, 'package/bin/tote.js'),
      '--version',
    ])
    expect(stdout).toContain(manifest.version)
  })
  test(
    'types the programs of docs/api.md in a strict project of its own',
    { timeout: 180_000 },
    async () => {
      const consumer = path.join(folder, 'consumer')
      mkdirSync(path.join(consumer, 'node_modules/@types'), { recursive: true })
      symlinkSync(path.join(folder, 'package'), path.join(consumer, 'node_modules/totedata'))
      symlinkSync(
        path.join(root, 'node_modules/@types/node'),
        path.join(consumer, 'node_modules/@types/node'),
      )
      const programs = [
        ...readFileSync(path.join(root, 'docs/api.md'), 'utf8').matchAll(
          /^```ts\n([\s\S]*?)^```/gm,
        ),
      ].map((match) => match[1] ?? '')
      expect(programs.length).toBeGreaterThan(1)
      const names = programs.map((_, index) => `program-${index}.ts`)
      for (const [index, name] of names.entries())
        writeFileSync(path.join(consumer, name), programs[index] ?? '')
      writeFileSync(path.join(consumer, 'package.json'), '{ "type": "module" }')
      const strict = ['--strict', '--noEmit', '--module', 'nodenext', '--target', 'es2023']
      const compile = async (name: string): Promise<unknown> =>
        run(process.execPath, [tsc, ...strict, '--types', 'node', name], { cwd: consumer })
      for (const name of names) await compile(name)
      writeFileSync(
        path.join(consumer, 'wrong.ts'),
        "import { openProject } from 'totedata'\nawait openProject({ cwd: 1 })\n",
      )
      await expect(compile('wrong.ts')).rejects.toMatchObject({
        stdout: expect.stringContaining("'number' is not assignable to type 'string'") as string,
      })
    },
  )
})

/** A registry that lags behind leaves platforms out of a lockfile, and `npm ci` then fails elsewhere. */
function missingOptional(packages: Readonly<Record<string, Locked>>): string[] {
  return Object.entries(packages).flatMap(([parent, { optionalDependencies = {} }]) =>
    Object.keys(optionalDependencies)
      .filter(
        (name) =>
          !(`${parent}/node_modules/${name}` in packages || `node_modules/${name}` in packages),
      )
      .map((name) => `${parent} needs ${name}`),
  )
}

function readJson(name: string): unknown {
  return JSON.parse(readFileSync(path.join(root, name), 'utf8'))
}
