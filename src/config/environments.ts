/**
 * Environments: the settings of a project, and what each environment changes of them. Objects are merged
 * setting by setting, anything else is replaced. Pure.
 */
import { isPlain } from './environment.ts'
import type { Path } from './places.ts'
import { nearestName, ToteError } from '../errors.ts'

/** The settings of one environment, and where each of them is written. */
export interface Variant {
  /** null for the settings as they stand, without any environment. */
  readonly name: string | null
  readonly config: unknown
  /** Where a setting of `config` is written in the file. */
  written(path: Path): Path
  /** Whether the environment itself gives the setting. */
  gives(path: Path): boolean
}

/** The names of the environments that a config has. */
export function environmentNames(config: unknown): string[] {
  return isPlain(config) && isPlain(config['environments'])
    ? Object.keys(config['environments'])
    : []
}

/** Throws UsageInvalid when the config has no such environment; `from` says who asked. */
export function requireEnvironment(config: unknown, name: string, from: string): void {
  const names = environmentNames(config)
  if (names.includes(name)) return
  const nearest = nearestName(name, names)
  const hint = nearest === undefined ? '' : ` Did you mean "${nearest}"?`
  throw new ToteError('UsageInvalid', `There is no environment "${name}".${hint}`, {
    where: from,
    fix:
      names.length === 0
        ? `the config has no environments; add environments: { ${/^[a-z]\w*$/i.test(name) ? name : `'…'`}: {} }`
        : `one of: ${names.join(', ')}`,
  })
}

/** The config as one environment has it. */
export function variantOf(config: unknown, name: string | null): Variant {
  const base = isPlain(config) ? withoutEnvironments(config) : config
  if (name === null || !isPlain(config) || !isPlain(config['environments']))
    return { name: null, config: base, written: (path) => path, gives: () => false }
  const own = config['environments'][name]
  return {
    name,
    config: isPlain(own) ? merge(base, own) : base,
    written: (path) =>
      depthOf(own, path) > 0 && depthOf(own, path) >= depthOf(base, path)
        ? ['environments', name, ...path]
        : path,
    gives: (path) => depthOf(own, path) === path.length,
  }
}

function withoutEnvironments(config: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const { environments: _, ...rest } = config
  return rest
}

function merge(base: unknown, own: unknown): unknown {
  if (!isPlain(base) || !isPlain(own)) return own
  const keys = new Set([...Object.keys(base), ...Object.keys(own)])
  return Object.fromEntries(
    [...keys].map((key) => [key, Object.hasOwn(own, key) ? merge(base[key], own[key]) : base[key]]),
  )
}

/** How many keys of the path lead somewhere; a value that is no object leads everywhere below it. */
function depthOf(config: unknown, path: Path): number {
  let value = config
  for (const [index, key] of path.entries()) {
    if (!isPlain(value)) return index === 0 ? 0 : path.length
    if (!Object.hasOwn(value, key)) return index
    value = value[String(key)]
  }
  return path.length
}
