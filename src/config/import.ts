/**
 * Runs a tote.config.ts and returns what it exports. The transpiled text is cached beside the project,
 * the exported value never: a long-lived process that loads again sees the file as it is now.
 */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, relative } from 'node:path'
import type { ToteError } from '../errors.ts'
import { fileError, type ConfigText } from './report.ts'

/** Imports the file. Throws ConfigInvalid when it has a syntax error, throws, or exports no project. */
export async function importConfig(
  path: string,
  file: ConfigText,
  cacheFolder: string,
): Promise<unknown> {
  const exported = await evaluate(path, file, cacheFolder)
  if (!('default' in exported)) {
    throw fileError(
      file,
      'it has no default export; it must say: export default defineProject({ … })',
    )
  }
  const config = exported['default']
  if (typeof config === 'object' && config !== null && !Array.isArray(config)) return config
  const seen = config === null ? 'null' : Array.isArray(config) ? 'a list' : `a ${typeof config}`
  throw fileError(
    file,
    `its default export is ${seen}; it must say: export default defineProject({ … })`,
  )
}

async function evaluate(
  path: string,
  file: ConfigText,
  cacheFolder: string,
): Promise<Record<string, unknown>> {
  // Required, not imported: half the time, for a package that is CommonJS anyway.
  const { createJiti } = createRequire(import.meta.url)('jiti') as typeof import('jiti')
  const jiti = createJiti(import.meta.url, {
    fsCache: cacheFolder,
    // The very instance that runs, so that a project needs no node_modules to be run by this package.
    virtualModules: { totedata: await ownApi() },
  })
  const before = new Set(Object.keys(jiti.cache))
  try {
    return await jiti.import<Record<string, unknown>>(path)
  } catch (error) {
    // It ran to its end: jiti itself stumbles over a default export of null.
    const module = jiti.cache[path]
    if (module?.loaded === true) return module.exports
    throw translate(error, path, file)
  } finally {
    for (const key of Object.keys(jiti.cache)) {
      if (!before.has(key) && !key.includes('node_modules')) delete jiti.cache[key]
    }
  }
}

/** This package's index, built or from source, as a config's `totedata`. */
async function ownApi(): Promise<unknown> {
  const index = import.meta.url.endsWith('.ts') ? '../index.ts' : '../index.js'
  return import(new URL(index, import.meta.url).href)
}

function translate(error: unknown, path: string, file: ConfigText): ToteError {
  const message = error instanceof Error ? error.message : String(error)
  const syntax = /^\w*Error: (.*?)\s*\n\s*(.*):(\d+):(\d+)\s*$/s.exec(message)
  if (syntax !== null) {
    const [, what = '', where = path, line, column] = syntax
    // The parser counts columns from zero.
    const place = { line: Number(line), column: Number(column) + 1, length: 1 }
    return fileError(where === path ? file : textOf(where, path), `syntax error: ${what}`, place)
  }
  const missing = /^Cannot find (?:module|package) '([^']+)'/.exec(message)?.[1]
  if (missing !== undefined) {
    const hint = /^[./]/.test(missing) ? 'there is no such file' : 'is it installed?'
    return fileError(
      file,
      `"${missing}" cannot be imported: ${hint}`,
      placeOfText(file.text, missing),
    )
  }
  const kind = error instanceof Error ? error.name : typeof error
  const what = `it threw ${kind}: ${message.split('\n')[0] ?? ''}`
  return fileError(file, what, placeOfLine(file.text, lineThrown(error, path)))
}

function textOf(path: string, configFile: string): ConfigText {
  return { name: relative(dirname(configFile), path), text: readFileSync(path, 'utf8') }
}

function placeOfText(text: string, wanted: string): ReturnType<typeof placeOfLine> {
  const lines = text.split('\n')
  const line = lines.findIndex((candidate) => candidate.includes(wanted))
  if (line < 0) return undefined
  return { line: line + 1, column: (lines[line] ?? '').indexOf(wanted) + 1, length: wanted.length }
}

/** Transpiling keeps lines but not columns, so the whole line is the place. */
function placeOfLine(
  text: string,
  line: number | undefined,
): { line: number; column: number; length: number } | undefined {
  const content = line === undefined ? undefined : text.split('\n')[line - 1]?.trimEnd()
  if (line === undefined || content === undefined) return undefined
  const column = content.length - content.trimStart().length + 1
  return { line, column, length: content.length - column + 1 }
}

/** The innermost line of the config in an error's stack. */
function lineThrown(error: unknown, path: string): number | undefined {
  const stack = error instanceof Error ? (error.stack ?? '') : ''
  const frame = stack
    .split('\n')
    .find((line) => line.trimStart().startsWith('at ') && line.includes(`${path}:`))
  return frame === undefined
    ? undefined
    : Number.parseInt(frame.slice(frame.indexOf(`${path}:`) + path.length + 1), 10)
}
