/**
 * Finds a project's config and makes the project of it: the effects around `resolveProject`. The one
 * place that reads the process environment.
 */
import { existsSync, statSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { ToteError } from '../errors.ts'
import { openEnvironment, type Environment } from './environment.ts'
import { requireEnvironment } from './environments.ts'
import { importConfig } from './import.ts'
import type { Project } from './project.ts'
import { configError } from './report.ts'
import { resolveProject } from './resolve.ts'

export interface LoadOptions {
  /** The project's folder; what `configFile` is relative to. */
  readonly cwd: string
  /** A config of another name; its folder is the project's folder. */
  readonly configFile?: string | undefined
  /** The project's environment, such as `dev`; else what TOTE_ENV says, else none. */
  readonly env?: string | undefined
  /** Instead of the process environment. */
  readonly environment?: Environment | undefined
}

const NAMES = ['tote.config.ts', 'tote.config.mts', 'tote.config.js', 'tote.config.mjs']

const BEGINNING = `write tote.config.ts:

import { defineProject, env } from 'totedata'
export default defineProject({
  name: 'shop',
  sources: { shop: { type: 'postgres', url: env('SHOP_URL') } },
  warehouse: { url: env('WAREHOUSE_URL') },
})`

/**
 * Loads the project of a folder. Throws ConfigNotFound, ConfigInvalid with every problem that there
 * is, UsageInvalid for an unknown environment, or NotSupportedYet when the only problems are wishes for later versions.
 */
export async function loadProject(options: LoadOptions): Promise<Project> {
  const configFile = findConfig(options)
  const folder = dirname(configFile)
  const file = { name: basename(configFile), text: await readConfig(configFile) }
  const variables = options.environment ?? process.env
  const env = options.env ?? (await openEnvironment(folder, variables))('TOTE_ENV') ?? ''
  const config = await importConfig(configFile, file, join(folder, '.tote', 'cache', 'jiti'))
  const environment = env === '' ? null : env
  if (environment !== null)
    requireEnvironment(config, environment, options.env === undefined ? 'TOTE_ENV' : '--env')
  const lookup = await openEnvironment(folder, variables, environment)
  const project = resolveProject(
    { config, configFile, folder, hasFolder, text: file.text, environment },
    lookup,
  )
  if (Array.isArray(project)) throw configError(project, file)
  return project
}

function findConfig({ cwd, configFile }: LoadOptions): string {
  const folder = resolve(cwd)
  if (configFile !== undefined) {
    const path = resolve(folder, configFile)
    if (hasFile(path)) return path
    throw new ToteError('ConfigNotFound', `There is no file "${path}"`, {
      where: path,
      fix: BEGINNING,
    })
  }
  const found = NAMES.map((name) => join(folder, name)).find(hasFile)
  if (found !== undefined) return found
  if (!hasFolder(folder)) {
    throw new ToteError('ConfigNotFound', `There is no folder "${folder}"`, { where: folder })
  }
  const above = foldersAbove(folder).find((candidate) =>
    NAMES.some((name) => hasFile(join(candidate, name))),
  )
  throw new ToteError('ConfigNotFound', `There is no tote.config.ts in "${folder}"`, {
    where: folder,
    why: `looked for ${NAMES.join(', ')}, in this folder only`,
    fix:
      above === undefined
        ? BEGINNING
        : `the project is in "${above}": add -C ${JSON.stringify(above)}`,
  })
}

async function readConfig(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unknown error'
    throw new ToteError('ConfigInvalid', `${basename(path)} cannot be read (${code})`, {
      where: path,
      cause: error,
    })
  }
}

function foldersAbove(folder: string): string[] {
  const parent = dirname(folder)
  return parent === folder ? [] : [parent, ...foldersAbove(parent)]
}

function hasFile(path: string): boolean {
  return existsSync(path) && !statSync(path).isDirectory()
}

function hasFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true
}
