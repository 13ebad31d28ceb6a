/**
 * What a config may say instead of a value: `env('NAME')`, resolved when the project is loaded, and
 * `embedded({ … })`, a database on the embedded server. Printed, they show names and never a value.
 */
import { inspect } from 'node:util'
import type { Secret } from './secret.ts'

// Registered symbols, not instanceof: a config may import another copy of this package.
const ENV = Symbol.for('totedata.env')
const EMBEDDED = Symbol.for('totedata.embedded')

/** A value that the environment gives; made by `env()`. */
export class EnvReference {
  readonly name: string
  readonly #fallback: string | EmbeddedReference | undefined

  constructor(name: string, fallback: string | EmbeddedReference | undefined) {
    this.name = name
    this.#fallback = fallback
  }

  get [ENV](): true {
    return true
  }

  get fallback(): string | EmbeddedReference | undefined {
    return this.#fallback
  }

  toString(): string {
    return `env(${this.name})`
  }

  toJSON(): string {
    return this.toString()
  }

  [inspect.custom](): string {
    return this.toString()
  }
}

export interface EmbeddedOptions {
  readonly database: string
  /** The role that owns the database. */
  readonly owner: string
  /** A role that may only SELECT, and as which we connect. Without one we connect as the owner. */
  readonly reader?: string | undefined
  /** Runs once, after the database was created, with a URL of its owner. */
  readonly setup?: ((ownerUrl: string) => Promise<void> | void) | undefined
}

/** A database that the embedded PostgreSQL holds for this project; made by `embedded()`. */
export class EmbeddedReference {
  readonly options: EmbeddedOptions

  constructor(options: EmbeddedOptions) {
    this.options = options
  }

  get [EMBEDDED](): true {
    return true
  }

  toString(): string {
    // A config need not be right to be printed.
    return `embedded(${(this.options as EmbeddedOptions | undefined)?.database ?? ''})`
  }

  toJSON(): string {
    return this.toString()
  }

  [inspect.custom](): string {
    return this.toString()
  }
}

/** Where a database is, once references are resolved. */
export type Database =
  | {
      readonly type: 'url'
      readonly url: Secret
      /** The environment variable that gave it, or null when it stands in the config. */
      readonly variable: string | null
    }
  | {
      readonly type: 'embedded'
      readonly database: string
      readonly owner: string
      readonly reader: string | null
      readonly setup: NonNullable<EmbeddedOptions['setup']> | null
    }

/**
 * The value of an environment variable, else of the same name in `.env.local` or `.env` beside
 * tote.config.ts, else `fallback`. An empty variable counts as not set.
 */
export function env(name: string, fallback?: string | EmbeddedReference): EnvReference {
  return new EnvReference(name, fallback)
}

/** A database on the embedded PostgreSQL, started and stopped by each command. */
export function embedded(options: EmbeddedOptions): EmbeddedReference {
  return new EmbeddedReference(options)
}

/** Whether a value was made by `env()`, of this copy of the package or of another. */
export function isEnvReference(value: unknown): value is EnvReference {
  return typeof value === 'object' && value !== null && ENV in value
}

/** Whether a value was made by `embedded()`, of this copy of the package or of another. */
export function isEmbeddedReference(value: unknown): value is EmbeddedReference {
  return typeof value === 'object' && value !== null && EMBEDDED in value
}
