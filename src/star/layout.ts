/**
 * What a star table looks like in the warehouse: the model's columns, and those that Tote adds.
 *
 *   fact       record id · model columns · valid_from · valid_to · is_deleted · batch
 *   dimension  model columns · is_deleted; with history, the same as a fact
 *   table      model columns: the latest rows and nothing else, a deleted row is really deleted
 */
import { BATCH_COLUMN, OP_COLUMN } from '../columns/sql.ts'
import { ToteError } from '../errors.ts'
import { keepsVersions } from '../types.ts'
import type { StarTable } from './star-table.ts'

/** Where the ledger stands, beside the star's own schema. */
export const LEDGER_TABLE = 'ledger'

/** Where a rebuild works: beside the star's schema, whose name it bears. */
export function rebuildSchema(schema: string): string {
  // A name has 63 bytes at most, and a cut character is none.
  const whole = Buffer.from(schema)
    .subarray(0, 55)
    .toString('utf8')
    .replace(/\uFFFD$/, '')
  return `${whole}_rebuild`
}

export interface WarehouseColumn {
  readonly name: string
  /** As `create table` says it, for example `serial`. */
  readonly definition: string
  readonly notNull: boolean
  /** The types that an existing table's column may have, as `format_type` prints them. */
  readonly types: readonly string[]
  /** Tote's own columns carry a comment, and are added to an empty table that lacks them. */
  readonly comment?: string
}

export interface Layout {
  readonly table: StarTable
  /** Facts: the surrogate key, which the loader numbers. */
  readonly recordId: WarehouseColumn | null
  readonly columns: readonly WarehouseColumn[]
  readonly system: readonly WarehouseColumn[]
  readonly primaryKey: readonly string[]
  /** Facts: the view of the current rows. */
  readonly view: string | null
}

const TIMESTAMPTZ = 'timestamp with time zone'

const IS_DELETED = {
  name: 'is_deleted',
  definition: 'boolean not null default false',
  notNull: true,
  types: ['boolean'],
} as const

const DIMENSION_COLUMNS: readonly WarehouseColumn[] = [
  {
    ...IS_DELETED,
    comment:
      'True when the row is gone from the lake; it stays because versions of facts refer to it.',
  },
]

const FACT_COLUMNS: readonly WarehouseColumn[] = [
  {
    name: 'valid_from',
    definition: 'timestamptz not null',
    notNull: true,
    types: [TIMESTAMPTZ],
    comment: 'The instant of the batch that brought this version.',
  },
  {
    name: 'valid_to',
    definition: 'timestamptz',
    notNull: false,
    types: [TIMESTAMPTZ],
    comment: 'The instant of the batch that replaced or deleted it; null while it is current.',
  },
  {
    ...IS_DELETED,
    comment: 'True on the last version of a row that was deleted; a deletion adds no row.',
  },
  {
    name: 'batch',
    definition: 'bigint not null',
    notNull: true,
    types: ['bigint'],
    comment: 'The batch that brought this version; tote.ledger says when.',
  },
]

const RECORD_ID_COMMENT =
  'Numbered by the loader, without gaps, in the order of the key within each batch; its sequence is not used.'

/** One line that reads a fact as it stood at an instant `t`. */
export const AS_OF = 'valid_from <= t and (valid_to is null or valid_to > t)'

/** Names of ours that no model column may have, by kind. */
export function reservedNames(table: StarTable): readonly string[] {
  const own = [OP_COLUMN, BATCH_COLUMN, STAGE_NUMBER]
  return [
    ...own,
    ...systemColumns(table).map(({ name }) => name),
    ...(keepsVersions(table) ? [recordIdName(table)] : []),
  ]
}

/** In a stage table: the row's number in the order of the key. */
export const STAGE_NUMBER = '_tote_number'

export function layoutOf(table: StarTable): Layout {
  const recordId = keepsVersions(table) ? recordIdColumn(table) : null
  const columns = table.columns.map(({ name, type, notNull }) => {
    const required = notNull || (recordId === null && table.key.includes(name))
    return {
      name,
      definition: required ? `${type} not null` : type,
      notNull: required,
      types: [type],
    }
  })
  return {
    table,
    recordId,
    columns,
    system: systemColumns(table),
    primaryKey: recordId === null ? table.key : [recordId.name],
    view: keepsVersions(table) ? `${table.name}_current` : null,
  }
}

/**
 * The star in the order of loading: whatever is referred to comes first, facts come last.
 * Throws ModelCycle when tables refer to each other in a circle; a table may refer to itself.
 */
export function loadOrder(star: readonly StarTable[]): readonly StarTable[] {
  const byName = new Map(star.map((table) => [table.name, table]))
  const ordered = new Set<StarTable>()
  const visit = (table: StarTable, trail: readonly string[]): void => {
    if (ordered.has(table)) return
    if (trail.includes(table.name)) {
      const circle = [...trail.slice(trail.indexOf(table.name)), table.name].join(' → ')
      throw new ToteError('ModelCycle', `Tables refer to each other in a circle: ${circle}.`, {
        fix: 'take one of the references out of the models',
      })
    }
    for (const { model } of table.references) {
      const target = byName.get(model)
      if (target !== undefined && target !== table) visit(target, [...trail, table.name])
    }
    ordered.add(table)
  }
  const others = star.filter(({ kind }) => kind !== 'fact')
  for (const table of [...others, ...star]) visit(table, [])
  return [...ordered]
}

/** Every column, in the order of `create table`. */
export function allColumns({ recordId, columns, system }: Layout): readonly WarehouseColumn[] {
  return [...(recordId === null ? [] : [recordId]), ...columns, ...system]
}

function recordIdName(table: StarTable): string {
  return table.recordId ?? 'record_id'
}

function recordIdColumn(table: StarTable): WarehouseColumn {
  const definition = table.recordId === null ? 'bigserial not null' : 'serial not null'
  return {
    name: recordIdName(table),
    definition,
    notNull: true,
    types: ['integer', 'bigint'],
    comment: RECORD_ID_COMMENT,
  }
}

function systemColumns(table: StarTable): readonly WarehouseColumn[] {
  if (keepsVersions(table)) return FACT_COLUMNS
  return table.kind === 'dimension' ? DIMENSION_COLUMNS : []
}
