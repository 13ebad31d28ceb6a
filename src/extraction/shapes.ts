/**
 * The shape of a source's tables against the lake's, before anything is read: what differs is followed,
 * or refused, everything at once. Pure.
 */
import { ROW_COLUMN } from '../columns/sql.ts'
import { quoteWord, ToteError, type Problem } from '../errors.ts'
import {
  continueColumns,
  matchColumns,
  withoutNumbers,
  type NewColumn,
} from '../lake/column-ids.ts'
import type { CommittedManifest, TableEntry } from '../lake/manifest.ts'
import { holdsAll, isOtherBase } from '../postgres/carried.ts'
import type { SourceColumn, SourceTable } from '../sources/source.ts'
import type { Column } from '../types.ts'
import { insideChanges } from './inside.ts'

export interface ShapeOptions {
  readonly source: string
  /** Whether the user has accepted what happened to this table. */
  accepts(table: string): boolean
}

export interface FollowedShapes {
  /** The tables of the snapshot, each with the key that the lake has for it. */
  readonly tables: readonly SourceTable[]
  /** Their columns as the lake goes on with them. */
  readonly columns: ReadonlyMap<string, readonly Column[]>
  /** Tables of the lake that the source has no more, or that are left out: they stay as they are. */
  readonly gone: readonly string[]
  /** What was followed, for people. */
  readonly notes: readonly { readonly level: 'info' | 'warn'; readonly text: string }[]
}

interface Difference extends Problem {
  /** Nothing but the user's word lets the lake go on from here. */
  readonly refused: boolean
  /** Nor does that. */
  readonly lasting?: boolean
  /** It is the config's doing and no change of the source, or changes nothing that is carried. */
  readonly own?: boolean
  readonly note: { readonly level: 'info' | 'warn'; readonly text: string } | null
}

/** How the lake goes on. Throws SourceChanged with everything that is not followed. */
export function followShapes(
  tables: readonly SourceTable[],
  parent: CommittedManifest | null,
  options: ShapeOptions,
): FollowedShapes {
  const columns = new Map<string, readonly Column[]>()
  const stopped: Stopped[] = []
  const notes: FollowedShapes['notes'][number][] = []
  const judge = (table: string, frozen: boolean, differences: readonly Difference[]): void => {
    const accepted = options.accepts(table)
    const problems = differences.filter(
      ({ refused, lasting = false, own = false }) =>
        lasting || ((refused || (frozen && !own)) && !accepted),
    )
    const forGood = problems.some(({ lasting }) => lasting === true)
    if (problems.length > 0) stopped.push({ table, problems, forGood })
    else
      notes.push(
        ...someNotes(
          table,
          differences.flatMap(({ note }) => note ?? []),
        ),
      )
  }
  const followed = tables.map((table) => {
    const entry = parent?.tables[table.name]
    const { name, frozen = false } = table
    if (entry === undefined) {
      columns.set(name, continueColumns(table.columns, []))
      if (parent !== null && frozen) judge(name, frozen, [newTable(name)])
      return table
    }
    const kept = keepKey(table, entry)
    const compared = compareColumns(kept, entry, options.accepts(name))
    columns.set(name, compared.columns)
    // Whether consent would help is said before it is asked for.
    const { columns: asAccepted } = compared.differences.some(({ refused }) => refused)
      ? compareColumns(kept, entry, true)
      : compared
    const differences = [...compared.differences, ...keyDifference(table, entry, asAccepted)]
    if (differences.length > 0) judge(name, frozen, differences)
    const key = keyOf(entry, compared.columns)
    const isOwn = key.join('\0') === table.key.join('\0')
    const isTrue = isOwn || key.includes(ROW_COLUMN)
    return {
      ...kept,
      key,
      ...(isOwn ? {} : { sourceKey: table.key, pairs: undefined, cursor: undefined }),
      ...(isTrue ? {} : { keyGiven: true }),
    }
  })
  const gone = Object.keys(parent?.tables ?? {}).filter((name) => !columns.has(name))
  for (const name of gone)
    if (parent?.tables[name]?.gone !== true) judge(name, false, [goneTable(name)])
  if (stopped.length > 0) throw changed(options.source, stopped)
  return { tables: followed, columns, gone, notes }
}

/** Of a table with hundreds of columns that came or went nobody reads hundreds of lines. */
const MOST_NOTES = 20

type Note = FollowedShapes['notes'][number]

function someNotes(table: string, notes: readonly Note[]): readonly Note[] {
  if (notes.length <= MOST_NOTES) return notes
  const [said, rest] = [notes.slice(0, MOST_NOTES - 1), notes.slice(MOST_NOTES - 1)]
  const level = rest.some((note) => note.level === 'warn') ? 'warn' : 'info'
  return [...said, { level, text: `table ${table}: ${rest.length} more such changes of columns` }]
}

interface ComparedColumns {
  readonly columns: readonly Column[]
  readonly differences: readonly Difference[]
}

function compareColumns(table: SourceTable, entry: TableEntry, accepted: boolean): ComparedColumns {
  const sameTable = table.relationId !== undefined && table.relationId === entry.relationId
  const known = sameTable ? entry.columns : withoutNumbers(entry.columns)
  const matches = new Map(matchColumns(table.columns, known))
  const differences: Difference[] = []
  const say = (
    column: string,
    message: string,
    { refused = false, level = 'info', so, own = false }: Saying,
  ): void => {
    const where = `${table.name}.${column}`
    const text = `${where} ${message}${so === undefined ? '' : `: ${so}`}`
    differences.push({ where, message, refused, own, note: { level, text } })
  }
  for (const column of table.columns) {
    const before = matches.get(column)
    if (before === undefined) {
      say(column.name, `is new (${column.type})`, {
        so: 'models that list their columns have it once they name it',
      })
      continue
    }
    sayChange(column, before, say)
    // What does not fit the old values is another column of the same name.
    if (!holdsAll(column, before) && accepted) matches.delete(column)
  }
  const columns = continueColumns(table.columns, known, matches)
  const same = new Set([...matches.values()].map(({ id }) => id))
  for (const { id, name, gone } of entry.columns) {
    if (same.has(id) || gone === true) continue
    const setting = table.omitted?.get(name)
    const now = columns.find((column) => column.id === id)?.name ?? name
    const called = now === name ? '' : `, and is called "${now}" from now on`
    const what =
      setting === undefined
        ? 'is no longer there'
        : `is in the lake, and left out by ${setting} of the config`
    const so = `rows keep what they had until they change${called}`
    say(name, what, { level: 'warn', so, own: setting !== undefined })
  }
  return { columns, differences }
}

interface Saying {
  readonly refused?: boolean
  readonly level?: 'info' | 'warn'
  readonly so?: string
  readonly own?: boolean
}

function sayChange(
  column: NewColumn,
  before: Column,
  say: (column: string, message: string, saying: Saying) => void,
): void {
  if (before.name !== column.name) {
    const [was, is] = [before.name, column.name].map((name) => name.replaceAll('^', ''))
    // Another column has come that differs from it in case only: models would read that without a word.
    const refused = was === is && before.gone !== true
    say(before.name, `is called "${column.name}" now`, {
      refused,
      level: 'warn',
      so: 'models that name it must follow',
    })
  }
  const otherBase = isOtherBase(column, before)
  if (before.type !== column.type || otherBase) {
    const follows = holdsAll(column, before)
    const [was, is] = [before, column].map(({ type, builtin }) =>
      otherBase ? `${type} (${builtin})` : type,
    )
    say(column.name, `was ${was} and is ${is}`, {
      refused: !follows,
      level: follows ? 'info' : 'warn',
      ...(follows ? {} : { so: 'it is another column from now on' }),
    })
  }
  if (before.notNull && !column.notNull)
    say(column.name, 'may be null now', {
      level: 'warn',
      so: 'a model that demands a value of it fails at the first null, unless its header has it under nullable',
      own: true,
    })
  for (const change of insideChanges(column.inside, before.inside)) say(column.name, change, {})
  if (before.gone === true) say(column.name, 'is there again', {})
}

/**
 * A key that comes, goes or changes at the source changes nothing in the lake, where rows are told apart as
 * they were; whether they still can be is verified in every batch.
 */
function keepKey(table: SourceTable, entry: TableEntry): SourceTable {
  const whole = entry.key.includes(ROW_COLUMN)
  if (whole === table.key.includes(ROW_COLUMN)) return table
  const columns = table.columns.filter(({ name }) => name !== ROW_COLUMN)
  return { ...table, columns: whole ? [...columns, WHOLE_ROW] : columns }
}

function keyDifference(
  table: SourceTable,
  entry: TableEntry,
  columns: readonly Column[],
): Difference[] {
  const kept = keyOf(entry, columns)
  const known = entry.sourceKey ?? entry.key
  const [now, before, own] = [table.key, known, kept].map((key) => key.join('\0'))
  const live = kept.every((name) =>
    columns.some((column) => column.name === name && column.gone !== true),
  )
  // A renamed key is no other one.
  if (live && (now === own || now === before)) return []
  const changed = `had the key (${known.join(', ')}) and has (${table.key.join(', ')})`
  const message = live
    ? changed
    : `${changed}; rows in the lake are told apart by (${kept.join(', ')}), which it has no more`
  const text = `table ${table.name} ${message}: the lake tells its rows apart by (${kept.join(', ')}) as before, which every batch verifies`
  return [
    { where: table.name, message, refused: !live, lasting: !live, note: { level: 'warn', text } },
  ]
}

/** The key of an entry as `columns` call it. */
function keyOf(entry: TableEntry, columns: readonly Column[]): string[] {
  return entry.key.map((name) => {
    const id = entry.columns.find((column) => column.name === name)?.id
    return columns.find((column) => column.id === id)?.name ?? name
  })
}

const WHOLE_ROW: SourceColumn = {
  name: ROW_COLUMN,
  type: 'text',
  carried: 'VARCHAR',
  notNull: true,
  attribute: 0,
}

function newTable(where: string): Difference {
  return { where, message: 'is new', refused: false, note: null }
}

function goneTable(where: string): Difference {
  return {
    where,
    message: 'is no longer there',
    refused: true,
    note: {
      level: 'warn',
      text: `table ${where} is no longer there: its rows stay as they are, also where what they refer to goes (a warning then)`,
    },
  }
}

interface Stopped {
  readonly table: string
  readonly problems: readonly Problem[]
  /** No consent helps. */
  readonly forGood: boolean
}

function changed(source: string, stopped: readonly Stopped[]): ToteError {
  const accept = stopped
    .filter(({ forGood }) => !forGood)
    .map(({ table }) => `--accept-change ${quoteWord(table)}`)
  const lost = stopped.filter(({ forGood }) => forGood).map(({ table }) => `"${table}"`)
  const fixes = [
    ...(accept.length === 0 ? [] : [`tote run ${accept.join(' ')}`]),
    ...(lost.length === 0
      ? []
      : [
          `nothing tells the rows of ${lost.join(', ')} in the lake apart any more: undo the change if that can be, leave ${lost.length === 1 ? 'it' : 'them'} out (tables.exclude), or begin a new lake`,
        ]),
    'or undo the change, or leave the tables or columns out in the config',
  ]
  return new ToteError(
    'SourceChanged',
    `The tables of source "${source}" have another shape than the lake's.`,
    {
      problems: stopped.flatMap(({ problems }) =>
        problems.map(({ where, message }) => ({ where, message })),
      ),
      why: 'the batch was refused before anything was written; docs/schema-changes.md says what accepting each change means',
      fix: (lost.length === 0 ? fixes : fixes.slice(0, -1)).join('; '),
    },
  )
}

/** What is said of masks that begin where earlier batches hold the values as they were. */
export function lateMasks(tables: readonly SourceTable[], parent: CommittedManifest): string[] {
  return tables.flatMap(({ name, masks }) => {
    const before = parent.tables[name]?.shape.split('; ')
    const late = (masks ?? []).filter((mask) => before?.includes(mask) === false)
    return late.map(
      (mask) =>
        `table "${name}": ${mask} holds from this batch on; earlier batches, and the history of facts, keep what they have. Begin a new lake where that must not be`,
    )
  })
}
