/**
 * What a config says of single tables, as what is read of them: which columns, masked how, which rows,
 * by which key. Pure; the source checks the SQL of row filters (`filter-postgres.ts`).
 */
import { createHash, createHmac } from 'node:crypto'
import type { Contract, Mask, Strategy, TableSettings } from '../config/project.ts'
import { parseDuration } from '../config/duration.ts'
import { isExact, parseTableName } from '../config/table-name.ts'
import type { Secret } from '../secrets/secret.ts'
import { nearestName, ToteError, type Problem } from '../errors.ts'
import type { Relation, RelationColumn, RelationDetail } from '../postgres/catalogue.ts'
import { quoteIdentifier } from '../postgres/identifiers.ts'
import { identityOf, namesNothing, tableOf } from './patterns.ts'
import type { SourceCursor } from './source.ts'

export interface SettingsOf {
  /** The source's name. */
  readonly name: string
  readonly tables: { readonly defaultSchema: string }
  readonly table: readonly TableSettings[]
  /** Of tables that do not say their own; `compare` when not given. */
  readonly strategy?: Strategy | undefined
  readonly maskSecret: Secret | null
  /** Of tables that have none of their own; `evolve` when not given. */
  readonly contract?: Contract | undefined
}

/** A cursor, and what stands for its look-back in SQL. */
export interface ReadCursor extends SourceCursor {
  /** PostgreSQL's type of the column, as `format_type` prints it. */
  readonly type: string
}

/** How one relation is read. */
export interface Reading {
  /** Its columns and key as they reach the lake. */
  readonly detail: RelationDetail
  /** By column, what is selected in the place of the column itself. */
  readonly expressions: ReadonlyMap<string, string>
  /** Columns whose values are hashed before they are kept anywhere. */
  readonly hashed: ReadonlySet<string>
  /** The user's condition, and where it stands. */
  readonly where: { readonly sql: string; readonly place: string } | null
  /** The key is the config's and must be verified. */
  readonly keyGiven: boolean
  readonly strategy: Strategy
  /** Where the table itself asks for its strategy; null when it does not. */
  readonly strategyPlace: string | null
  /** Of strategy `cursor`. */
  readonly cursor: ReadCursor | null
  /** No change of its shape is followed. */
  readonly frozen: boolean
  /** Columns of the relation that are not carried, each with the setting that leaves it out. */
  readonly omitted: ReadonlyMap<string, string>
  /** Masked columns, each as it stands in the shape: `hash "email"`. */
  readonly masks: readonly string[]
  /** All of this as a text that changes when rows may read differently; '' without settings. */
  readonly shape: string
}

/**
 * How each relation is read, by oid. Throws SourceTableUnknown, or ConfigInvalid with every setting
 * that does not fit its table.
 */
export function readingsOf(
  options: SettingsOf,
  relations: readonly Relation[],
  details: ReadonlyMap<string, RelationDetail>,
): ReadonlyMap<string, Reading> {
  const { strategy = 'compare' } = options
  const strangers: Problem[] = []
  const byTable = new Map<Relation, TableSettings>()
  const byIdentity = new Map(relations.map((relation) => [identityOf(relation), relation]))
  for (const settings of options.table) {
    const written = parseTableName(settings.table)
    const found =
      written !== undefined && isExact(written)
        ? byIdentity.get(identityOf(tableOf(written, options.tables)))
        : undefined
    if (found !== undefined) byTable.set(found, settings)
    else
      strangers.push({
        where: settings.place(),
        message: namesNothing(settings.table, relations, options.tables, 'that is carried'),
      })
  }
  if (strangers.length > 0)
    throw new ToteError(
      'SourceTableUnknown',
      `Settings are given for ${strangers.length === 1 ? 'a table' : `${strangers.length} tables`} that source "${options.name}" does not carry.`,
      { where: strangers[0]?.where, problems: strangers },
    )
  const problems: Problem[] = []
  const readings = new Map<string, Reading>()
  for (const relation of relations) {
    const detail = details.get(relation.oid)
    if (detail === undefined) continue
    const settings = byTable.get(relation)
    const reading =
      settings === undefined
        ? plain(detail, strategy)
        : readingOf(detail, settings, { strategy, secret: options.maskSecret, problems })
    const frozen = (settings?.contract ?? options.contract) === 'freeze'
    readings.set(relation.oid, { ...reading, frozen })
  }
  if (problems.length > 0)
    throw new ToteError(
      'ConfigInvalid',
      `The settings of source "${options.name}" do not fit its tables.`,
      { where: problems[0]?.where, problems },
    )
  return readings
}

function plain(detail: RelationDetail, strategy: Strategy): Omit<Reading, 'frozen'> {
  return {
    detail,
    expressions: new Map(),
    hashed: new Set(),
    where: null,
    keyGiven: false,
    strategy,
    strategyPlace: null,
    cursor: null,
    omitted: new Map(),
    masks: [],
    shape: '',
  }
}

interface ReadingOptions {
  readonly strategy: Strategy
  readonly secret: Secret | null
  readonly problems: Problem[]
}

function readingOf(
  detail: RelationDetail,
  settings: TableSettings,
  { strategy, secret, problems }: ReadingOptions,
): Omit<Reading, 'frozen'> {
  problems.push(...unknownColumns(detail, settings))
  const { include, exclude } = settings.columns
  const masks = new Map(Object.entries(settings.mask))
  const omitted = new Map<string, string>()
  for (const { name } of detail.columns) {
    if (include !== null && !include.includes(name)) omitted.set(name, 'columns.include')
    if (exclude.includes(name)) omitted.set(name, 'columns.exclude')
    if (masks.get(name) === 'drop') omitted.set(name, 'mask')
  }
  const key = settings.key ?? detail.key
  for (const column of key) {
    const by = omitted.get(column) ?? (masks.get(column) === 'redact' ? 'mask' : undefined)
    if (by !== undefined)
      problems.push({
        where: settings.place(...by.split('.')),
        message: `column "${column}" is part of the key, and ${by} takes it away; name another key, or hash it`,
      })
  }
  const columns = detail.columns.filter(({ name }) => !omitted.has(name))
  return {
    detail: { ...detail, key, columns: columns.map((column) => maskedColumn(column, masks)) },
    expressions: new Map(
      columns
        .filter(({ name }) => masks.get(name) === 'redact')
        .map((column) => [column.name, redacted(column)]),
    ),
    hashed: new Set(columns.map(({ name }) => name).filter((name) => masks.get(name) === 'hash')),
    where: settings.where === null ? null : { sql: settings.where, place: settings.place('where') },
    keyGiven: settings.key !== null,
    strategy: settings.strategy ?? strategy,
    strategyPlace: settings.strategy === null ? null : settings.place('strategy'),
    cursor: cursorOf(detail, settings, { key, masks, omitted, problems }),
    omitted,
    masks: masksOf(settings, columns),
    shape: shapeOf(settings, columns, secret),
  }
}

/** Types whose values grow, and from which a look-back can be taken. */
const TIMES = /^(date|timestamp(\(\d\))? (with|without) time zone)$/
const NUMBERS = /^(smallint|integer|bigint|numeric\(\d+,\d+\))$/

function cursorOf(
  detail: RelationDetail,
  settings: TableSettings,
  reading: Pick<Reading, 'omitted'> & {
    readonly key: readonly string[]
    readonly masks: ReadonlyMap<string, Mask>
    readonly problems: Problem[]
  },
): ReadCursor | null {
  const { cursor } = settings
  if (cursor === null) return null
  const column = detail.columns.find(({ name }) => name === cursor.column)
  if (column === undefined) return null
  const { key, masks, omitted, problems } = reading
  const refuse = (message: string, ...path: string[]): null => {
    problems.push({ where: settings.place('cursor', ...path), message })
    return null
  }
  const by = omitted.get(column.name) ?? (masks.has(column.name) ? 'mask' : undefined)
  if (by !== undefined)
    return refuse(
      `column "${column.name}" is the cursor, and ${by} takes its values away`,
      'column',
    )
  if (key.length === 0) return refuse(`a cursor needs a key, and ${settings.table} has none`)
  const { type } = column
  const numbers = NUMBERS.test(type)
  if (!numbers && !TIMES.test(type))
    return refuse(
      `column "${column.name}" is ${type}; a cursor is a smallint, integer, bigint, numeric(p,s), date or timestamp`,
      'column',
    )
  const { lookBack } = cursor
  if (numbers && typeof lookBack === 'string')
    return refuse(`column "${column.name}" has numbers, so the look-back is one, too`, 'lookBack')
  return {
    column: column.name,
    type,
    lookBack: numbers
      ? String(lookBack ?? 10_000)
      : `${parseDuration(lookBack ?? '1h') ?? 0} milliseconds`,
    reconcileMs: cursor.reconcileMs,
  }
}

function unknownColumns(detail: RelationDetail, settings: TableSettings): Problem[] {
  const names = detail.columns.map(({ name }) => name)
  const given: readonly (readonly [string, readonly (string | number)[]])[] = [
    ...(settings.columns.include ?? []).map(
      (name, index) => [name, ['columns', 'include', index]] as const,
    ),
    ...settings.columns.exclude.map(
      (name, index) => [name, ['columns', 'exclude', index]] as const,
    ),
    ...Object.keys(settings.mask).map((name) => [name, ['mask', name]] as const),
    ...(settings.key ?? []).map((name, index) => [name, ['key', index]] as const),
    ...(settings.cursor === null ? [] : [[settings.cursor.column, ['cursor', 'column']] as const]),
  ]
  return given
    .filter(([name]) => !names.includes(name))
    .map(([name, path]) => {
      const nearest = nearestName(name, names)
      return {
        where: settings.place(...path),
        message: `${settings.table} has no column "${name}".${nearest === undefined ? '' : ` Did you mean "${nearest}"?`}`,
      }
    })
}

const TEXT = /^(text|character varying(\(\d+\))?|character(\(\d+\))?|"char"|name|.*\bcitext)$/

/** Hashes and the word `redacted` are text; what is redacted otherwise is NULL. */
function maskedColumn(column: RelationColumn, masks: ReadonlyMap<string, Mask>): RelationColumn {
  const mask = masks.get(column.name)
  if (mask === 'hash' || (mask === 'redact' && TEXT.test(column.type)))
    return { ...column, type: 'text', builtin: undefined, inside: undefined }
  return mask === 'redact' ? { ...column, notNull: false } : column
}

function redacted({ name, type }: RelationColumn): string {
  const quoted = quoteIdentifier(name)
  const constant = TEXT.test(type) ? `case when ${quoted} is not null then 'redacted' end` : 'null'
  return `${constant} as ${quoted}`
}

/** Neither the filter nor the secret stands in it: only what tells them from others. */
function shapeOf(
  settings: TableSettings,
  columns: readonly RelationColumn[],
  secret: Secret | null,
): string {
  const masks = masksOf(settings, columns)
  const hashes = masks.some((mask) => mask.startsWith('hash'))
  return [
    ...(settings.where === null ? [] : [`where ${sha256(settings.where)}`]),
    ...masks,
    ...(hashes && secret !== null ? [`secret ${fingerprint(secret)}`] : []),
  ].join('; ')
}

function masksOf(settings: TableSettings, columns: readonly RelationColumn[]): string[] {
  return columns.flatMap(({ name }) => {
    const mask = settings.mask[name]
    return mask === undefined ? [] : [`${mask} ${JSON.stringify(name)}`]
  })
}

/** What tells a secret from another, without giving it away. */
function fingerprint(secret: Secret): string {
  return createHmac('sha256', secret.reveal())
    .update('tote mask fingerprint')
    .digest('hex')
    .slice(0, 16)
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}
