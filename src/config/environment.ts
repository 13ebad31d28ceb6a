/**
 * What `env()` stands for: the process environment, then the `.env` files of the project's
 * folder; and a config with those values in the place of its references.
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseEnv } from 'node:util'
import { ToteError } from '../errors.ts'
import type { Path } from './places.ts'
import { isEnvReference, type EmbeddedReference } from '../secrets/reference.ts'

export type Environment = Readonly<Record<string, string | undefined>>

/** The value of a variable, or undefined when it is not set or empty. */
export type Lookup = (name: string) => string | undefined

const FILES = ['.env.local', '.env']

/**
 * Reads the folder's `.env` files. The first that names a variable wins: process, `.env.<name>.local` and
 * `.env.<name>` of the project's environment, when one is chosen, `.env.local`, `.env`.
 */
export async function openEnvironment(
  folder: string,
  process: Environment,
  name: string | null = null,
): Promise<Lookup> {
  const own = name === null ? [] : [`.env.${name}.local`, `.env.${name}`]
  const files = await Promise.all([...own, ...FILES].map((file) => readEnvFile(folder, file)))
  const layers = [process, ...files]
  return (name) => {
    const layer = layers.find((candidate) => Object.hasOwn(candidate, name))
    const value = layer?.[name]
    // Empty is "not set": so `NAME= tote run` overrides a file, and CI's empty secrets are noticed.
    return value === '' ? undefined : value
  }
}

/** What stands where a config says `env()`. `value` is undefined when that has been reported. */
export class Given {
  readonly variable: string
  readonly value: string | EmbeddedReference | undefined
  /** True when the variable is not set and the value is the fallback that the config writes. */
  readonly isFallback: boolean

  constructor(
    variable: string,
    value: string | EmbeddedReference | undefined,
    isFallback: boolean,
  ) {
    this.variable = variable
    this.value = value
    this.isFallback = isFallback
  }
}

export interface Unset {
  readonly path: Path
  readonly variable: string
}

// Settings lie five deep at most; deeper is a mistake (perhaps a circle) that the schema reports.
const DEEPEST = 8

/** A copy of the config with a Given in the place of each reference, and every reference whose variable is not set. */
export function giveValues(config: unknown, lookup: Lookup): { given: unknown; unset: Unset[] } {
  const unset: Unset[] = []

  function give(value: unknown, path: Path): unknown {
    if (isEnvReference(value)) {
      const set = lookup(value.name)
      if (set === undefined && value.fallback === undefined) {
        unset.push({ path, variable: value.name })
      }
      return new Given(value.name, set ?? value.fallback, set === undefined)
    }
    if (path.length === DEEPEST) return value
    if (Array.isArray(value)) return value.map((item, index) => give(item, [...path, index]))
    if (!isPlain(value)) return value
    return Object.fromEntries(
      Object.entries(value).map(([key, item]) => [key, give(item, [...path, key])]),
    )
  }

  return { given: give(config, []), unset }
}

/** Whether a value is an object literal, of this realm or another, and not something made by a class. */
export function isPlain(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === null || Object.getPrototypeOf(prototype) === null
}

async function readEnvFile(folder: string, name: string): Promise<Environment> {
  try {
    return parseEnv(await readFile(join(folder, name), 'utf8'))
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    if (code === 'ENOENT') return {}
    throw new ToteError('ConfigInvalid', `${name} cannot be read (${code ?? 'unknown error'})`, {
      where: join(folder, name),
      cause: error,
    })
  }
}
