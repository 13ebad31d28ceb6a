/**
 * The shape of src/ as pure checks (DESIGN.md 10): each takes the files and returns what is wrong,
 * one line a problem, each naming its place. architecture.test.ts runs them on the real tree and
 * on small wrong ones.
 */
import path from 'node:path'
import { importsOf, lineAt, splitText, type Import, type SourceFile } from './source-text.ts'

type Check = (files: readonly SourceFile[]) => string[]

/** Lowest first. Units of one row do not see each other. */
const layers: readonly (readonly string[])[] = [
  ['types.ts', 'errors.ts', 'events.ts'],
  ['secrets'],
  ['config', 'wire'],
  ['storage', 'postgres', 'columns', 'vectors', 'pace'],
  ['embedded', 'syntax', 'star', 'ranges'],
  ['sources', 'lake', 'models', 'warehouse', 'observability', 'orchestrator'],
  ['kept', 'pairs'],
  ['project', 'evaluation', 'extraction', 'cases'],
  ['pipeline', 'terminal'],
  ['inspect', 'init', 'verification'],
  ['api'],
  ['cli', 'web', 'index.ts'],
  ['commands', 'reports'],
  ['program'],
  ['cli.ts'],
]

/** Where each package may be imported, and whether only once the line is reached. Types are free. */
const packages: Readonly<
  Record<string, { readonly home: string | readonly string[]; readonly lazy: boolean }>
> = {
  '@duckdb/node-api': { home: ['columns', 'vectors'], lazy: true },
  '@duckdb/node-bindings': { home: ['columns', 'vectors'], lazy: true },
  commander: { home: ['cli', 'program'], lazy: false },
  jiti: { home: 'config', lazy: true },
  pg: { home: ['postgres', 'embedded'], lazy: true },
  'string-width': { home: 'terminal', lazy: false },
  zod: { home: 'config', lazy: false },
}

/** Too slow to load before the command is known: `tote --help` must not wait for them. */
const heavy = ['@duckdb/node-api', '@duckdb/node-bindings', 'jiti', 'pg', 'zod']

const effects: Readonly<Record<string, RegExp>> = {
  'process.env': /\bprocess\s*\.\s*env\b/g,
  'process.exit': /\bprocess\s*\.\s*exit\b/g,
  'process.stdout': /\bprocess\s*\.\s*std(?:in|out|err)\b/g,
  console: /\bconsole\s*\./g,
  'Date.now': /\bDate\s*\.\s*now\b/g,
  'new Date()': /\bnew\s+Date\s*(?:\(\s*\)|(?!\s*\())/g,
  'Math.random': /\bMath\s*\.\s*random\b/g,
}

/** Files outside config/ and the surfaces that may reach for the world, and why. */
const effectsAllowed: Readonly<
  Record<string, { readonly effects: readonly string[]; readonly why: string }>
> = {
  'src/embedded/guard.ts': {
    effects: ['process.exit'],
    why: 'a program of its own: it outlives its parent to stop the server',
  },
}

const linesLimit = 400
const folderLimit = 12
const vagueNames = ['common', 'helper', 'helpers', 'lib', 'misc', 'shared', 'util', 'utils']

export const layerProblems: Check = (files) =>
  eachImport(files, (file, { specifier, line }) => {
    const from = unitOf(file.path)
    const fromLayer = layerOf(from)
    if (fromLayer === -1)
      return `${file.path}: "${from}" has no layer; give it one in architecture.ts`
    if (specifier === 'totedata')
      return `${file.path}:${line}: src/ imports the package by its own name`
    if (!specifier.startsWith('.')) return undefined
    const target = resolve(file.path, specifier)
    if (!target.startsWith('src/')) return `${file.path}:${line}: "${specifier}" lies outside src/`
    const to = unitOf(target)
    if (to === from || (fromLayer === 0 && layerOf(to) === 0)) return undefined
    if (layerOf(to) < fromLayer) return undefined
    return `${file.path}:${line}: "${from}" must not import "${to}": imports only go down`
  })

/** Circles of imports, type-only ones included. */
export const cycleProblems: Check = (files) => {
  const targets = new Map(files.map((file) => [file.path, localTargets(file, () => true)]))
  const done = new Set<string>()
  const problems: string[] = []
  const visit = (file: string, trail: readonly string[]): void => {
    if (trail.includes(file)) {
      problems.push([...trail.slice(trail.indexOf(file)), file].join(' → '))
      return
    }
    if (done.has(file)) return
    for (const target of targets.get(file) ?? []) visit(target, [...trail, file])
    done.add(file)
  }
  for (const { path: file } of files) visit(file, [])
  return problems
}

export const sizeProblems: Check = (files) => {
  const problems: string[] = []
  const folders = new Map<string, number>()
  for (const { path: file, text } of files) {
    const lines = text.trimEnd().split('\n').length
    if (lines > linesLimit) problems.push(`${file}: ${lines} lines; ${linesLimit} is the limit`)
    const folder = path.posix.dirname(file)
    folders.set(folder, (folders.get(folder) ?? 0) + 1)
  }
  for (const [folder, count] of folders) {
    if (count > folderLimit) problems.push(`${folder}: ${count} files; ${folderLimit} is the limit`)
    if (folder.split('/').length > 2) problems.push(`${folder}: a folder in a folder`)
  }
  return problems
}

export const nameProblems: Check = (files) => {
  const problems: string[] = []
  for (const { path: file } of files) {
    const parts = file.replace(/\.ts$/, '').split('/').slice(1)
    const odd = parts.find((part) => !/^[a-z0-9]+(-[a-z0-9]+)*$/.test(part))
    if (odd !== undefined) problems.push(`${file}: "${odd}" is not kebab-case`)
    const vague = parts.flatMap((part) => part.split('-')).find((word) => vagueNames.includes(word))
    if (vague !== undefined)
      problems.push(`${file}: "${vague}" says nothing; name it for what it knows`)
    if (file.endsWith('/index.ts') && file !== 'src/index.ts')
      problems.push(`${file}: the only index.ts is src/index.ts`)
  }
  return problems
}

export const wordProblems: Check = (files) =>
  files.flatMap((file) => {
    const { code, comments } = splitText(file.text)
    return [
      ...places(file, code, /(?<![.\w$])any\b(?!\s*[(:])/g, 'any'),
      ...places(file, code, /\bexport\s+default\b/g, 'a default export'),
      ...places(file, comments, /@ts-(?:ignore|expect-error|nocheck)\b/g, 'a silenced compiler'),
      ...places(
        file,
        comments,
        /\b(?:TODO|FIXME|XXX)\b(?!\(#\d+\))/g,
        'a TODO without its issue, as TODO(#12)',
      ),
    ]
  })

export const effectProblems: Check = (files) =>
  files.flatMap((file) => {
    const unit = unitOf(file.path)
    if (['api', 'config', 'cli', 'cli.ts', 'commands', 'reports', 'program'].includes(unit))
      return []
    const allowed = effectsAllowed[file.path]?.effects ?? []
    const { code } = splitText(file.text)
    const atEdge = 'which only config/ and the command line may use'
    const imported = importsOf(file)
      .filter(({ specifier }) => specifier === 'node:process' || specifier === 'node:console')
      .map(({ specifier, line }) => `${file.path}:${line}: ${specifier}, ${atEdge}`)
    const used = Object.entries(effects).filter(([name]) => !allowed.includes(name))
    return [
      ...imported,
      ...used.flatMap(([name, pattern]) => places(file, code, pattern, `${name}, ${atEdge}`)),
    ]
  })

export const packageProblems: Check = (files) =>
  eachImport(files, (file, { specifier, kind, line }) => {
    if (specifier.startsWith('.') || specifier.startsWith('node:') || kind === 'type')
      return undefined
    const name = specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/')
    const rule = packages[name]
    if (rule === undefined)
      return `${file.path}:${line}: "${name}" has no home; give it one in architecture.ts`
    const homes = typeof rule.home === 'string' ? [rule.home] : rule.home
    if (!homes.includes(unitOf(file.path)))
      return `${file.path}:${line}: "${name}" is imported only in ${homes.join('/ or ')}/`
    if (rule.lazy && kind === 'value')
      return `${file.path}:${line}: "${name}" is imported only by await import`
    return undefined
  })

/** What loads with `entry` before any of its code runs must not include a slow package. */
export function startProblems(files: readonly SourceFile[], entry: string): string[] {
  const byPath = new Map(files.map((file) => [file.path, file]))
  const problems: string[] = []
  const seen = new Set<string>()
  const visit = (name: string, trail: readonly string[]): void => {
    const file = byPath.get(name)
    if (file === undefined || seen.has(name)) return
    seen.add(name)
    for (const { specifier, kind } of importsOf(file)) {
      if (kind === 'value' && heavy.includes(specifier)) {
        problems.push(`${[...trail, name].join(' → ')} loads "${specifier}" at start`)
      }
    }
    for (const target of localTargets(file, (kind) => kind === 'value'))
      visit(target, [...trail, name])
  }
  visit(entry, [])
  return problems
}

/** Each error name is raised in src/ and met by a test; both write it as a quoted word. */
export function errorNameProblems(
  names: readonly string[],
  files: readonly SourceFile[],
  tests: readonly SourceFile[],
): string[] {
  const quoted = (name: string): RegExp => new RegExp(`['"\`]${name}\\b`)
  const met = (name: string): RegExp => new RegExp(`\\b${name}\\b`)
  return names.flatMap((name) => [
    ...(files.some(({ text }) => quoted(name).test(text))
      ? []
      : [`${name} is raised nowhere in src/`]),
    ...(tests.some(({ text }) => met(name).test(text)) ? [] : [`${name} is met by no test`]),
  ])
}

/** Each promise is named by the title of a test that proves it, as in `test('P4: …')`. */
export function promiseProblems(
  promises: readonly string[],
  tests: readonly SourceFile[],
): string[] {
  const titles = tests.flatMap(({ text }) =>
    [...text.matchAll(/\b(?:test|describe)\b[^'"`\n]*\(\s*(['"`])(.*?)\1/gs)].map(
      (match) => match[2] ?? '',
    ),
  )
  return promises
    .filter((promise) => !titles.some((title) => new RegExp(`\\b${promise}\\b`).test(title)))
    .map((promise) => `${promise} is named by no test`)
}

function eachImport(
  files: readonly SourceFile[],
  problem: (file: SourceFile, found: Import) => string | undefined,
): string[] {
  return files.flatMap((file) =>
    importsOf(file).flatMap((found) => {
      const text = problem(file, found)
      return text === undefined ? [] : [text]
    }),
  )
}

function places(file: SourceFile, text: string, pattern: RegExp, what: string): string[] {
  return [...text.matchAll(pattern)].map(
    (match) => `${file.path}:${lineAt(text, match.index)}: ${what}`,
  )
}

function localTargets(file: SourceFile, wanted: (kind: Import['kind']) => boolean): string[] {
  return importsOf(file)
    .filter(({ specifier, kind }) => specifier.startsWith('.') && wanted(kind))
    .map(({ specifier }) => resolve(file.path, specifier))
}

function resolve(from: string, specifier: string): string {
  return path.posix.join(path.posix.dirname(from), specifier)
}

/** `src/lake/keys.ts` belongs to `lake`, `src/types.ts` to itself. */
function unitOf(file: string): string {
  return file.split('/')[1] ?? file
}

function layerOf(unit: string): number {
  return layers.findIndex((layer) => layer.includes(unit))
}
