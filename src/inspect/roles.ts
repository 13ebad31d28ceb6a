/** `tote roles`: the least roles for a project's databases, from its config and, where it answers, the catalogue. */
import type { SourceSettings } from '../config/project.ts'
import { nearestName, ToteError } from '../errors.ts'
import type { Context } from '../events.ts'
import { parseAddress } from '../postgres/address.ts'
import { listRelations } from '../postgres/catalogue.ts'
import { connect } from '../postgres/connection.ts'
import { beginReading } from '../postgres/session.ts'
import type { Project } from '../project/project.ts'
import { takenRelations } from '../sources/tables-postgres.ts'
import { sourceScript, warehouseScript } from './role-scripts.ts'

export interface RolesOptions {
  /** Only of this source. */
  readonly source?: string | undefined
  /** Only of the warehouse. */
  readonly warehouse?: boolean | undefined
  /** Another role than the one that the URL names. */
  readonly role?: string | undefined
}

export interface RoleScript {
  /** A source's name, or `warehouse`. */
  readonly for: string
  /** null for an embedded database, whose roles Tote makes itself. */
  readonly role: string | null
  readonly sql: string
}

/** The scripts, sources first. Throws UsageInvalid for a source that is not there; a database that does not answer is none of its errors. */
export async function roles(
  project: Project,
  options: RolesOptions,
  context: Context,
): Promise<RoleScript[]> {
  const { sources, warehouse } = project.settings
  const chosen = options.warehouse === true && options.source === undefined ? [] : sources
  const scripts: RoleScript[] = []
  for (const source of onlySource(chosen, options.source))
    scripts.push(await scriptOfSource(source, options.role, context))
  if (options.warehouse === true || options.source === undefined) {
    const { database, schema, ledger, readers } = warehouse
    scripts.push(
      database.type === 'embedded'
        ? embedded('warehouse')
        : scriptOf('warehouse', database.url.reveal(), options.role, (target) =>
            warehouseScript({ ...target, schema, ledger, readers }),
          ),
    )
  }
  return scripts
}

function onlySource(
  sources: readonly SourceSettings[],
  name: string | undefined,
): readonly SourceSettings[] {
  if (name === undefined) return sources
  const found = sources.filter((source) => source.name === name)
  if (found.length > 0) return found
  const names = sources.map((source) => source.name)
  const nearest = nearestName(name, names)
  throw new ToteError(
    'UsageInvalid',
    `There is no source "${name}".${nearest === undefined ? '' : ` Did you mean "${nearest}"?`}`,
    { where: '--source', fix: `one of: ${names.join(', ')}` },
  )
}

async function scriptOfSource(
  source: SourceSettings,
  role: string | undefined,
  context: Context,
): Promise<RoleScript> {
  const { name, database, tables: choice } = source
  if (database.type === 'embedded') return embedded(name)
  const url = database.url.reveal()
  const tables = await listChosen(source, url, context)
  return scriptOf(name, url, role, (target) =>
    sourceScript({ ...target, source: name, tables, patterns: choice.include }),
  )
}

function scriptOf(
  of: string,
  url: string,
  given: string | undefined,
  write: (target: { readonly role: string; readonly database: string }) => string,
): RoleScript {
  const where = of === 'warehouse' ? 'warehouse.url' : `sources.${of}.url`
  const { user, database } = parseAddress(url, where)
  const role = given ?? user
  return { for: of, role, sql: write({ role, database }) }
}

function embedded(of: string): RoleScript {
  const what = of === 'warehouse' ? 'The warehouse' : `Source "${of}"`
  return { for: of, role: null, sql: `-- ${what} is embedded: Tote makes its roles itself.\n` }
}

/** The tables that the config chooses, or null when the database cannot be asked: its role may not be there yet. */
async function listChosen(
  source: SourceSettings,
  url: string,
  context: Context,
): Promise<readonly { readonly schema: string; readonly name: string }[] | null> {
  const { name, tables, defaultSchema, lockTimeoutMs, statementTimeoutMs } = source
  const choice = { ...tables, defaultSchema }
  try {
    const connection = await connect({ side: 'source', name, url, signal: context.signal })
    try {
      await connection.query(
        'begin',
        beginReading('read committed', { lockTimeoutMs, statementTimeoutMs }),
      )
      return takenRelations({ name, tables: choice }, await listRelations(connection))
    } finally {
      await connection.close()
    }
  } catch (error) {
    context.signal.throwIfAborted()
    if (!(error instanceof ToteError) || error.name === 'SourceTableUnknown') throw error
    context.emit({
      type: 'note',
      level: 'warn',
      text: `source "${name}" could not be asked for its tables: ${error.name}`,
    })
    return null
  }
}
