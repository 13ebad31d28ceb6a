/**
 * How the files of a table hold its columns. A file is never changed: where a column has come to be
 * called or carried otherwise, or is new, the manifest says of the older files what they hold. Columns are
 * the same by their ids.
 */
import type { Column } from '../types.ts'
import { formatOf } from './keys.ts'
import type { DataFile, TableEntry } from './manifest.ts'

type Held = Pick<Column, 'id' | 'name' | 'carried'>

/** `files` of a table whose columns were `before`, for a reader to whom they are `now`. */
export function recordCarried(
  files: readonly DataFile[],
  before: readonly Column[],
  now: readonly Column[],
): readonly DataFile[] {
  return sameColumns(before, now) ? files : files.map((file) => recordFile(file, before, now))
}

function recordFile(file: DataFile, before: readonly Column[], now: readonly Column[]): DataFile {
  const { carried: _carried, names: _names, order: _order, ...rest } = file
  const held = heldBy(file, before)
  const byId = new Map(held.map((column) => [column.id, column]))
  const carried: [string, string][] = []
  const names: [string, string | null][] = []
  for (const column of now) {
    const own = byId.get(column.id)
    if (own === undefined) names.push([column.name, null])
    else {
      if (own.name !== column.name) names.push([column.name, own.name])
      if (own.carried !== column.carried) carried.push([column.name, own.carried])
    }
  }
  const order = held.map(({ name }) => name)
  const isCsv = formatOf(file.key) === 'csv'
  return {
    ...rest,
    ...(carried.length === 0 ? {} : { carried: Object.fromEntries(carried) }),
    ...(names.length === 0 ? {} : { names: Object.fromEntries(names) }),
    ...(isCsv && order.join('\0') !== now.map(({ name }) => name).join('\0') ? { order } : {}),
  }
}

/** The columns of a file of a table whose columns are `columns`, as the file calls and carries them, in its order. */
function heldBy({ carried = {}, names = {}, order }: DataFile, columns: readonly Column[]): Held[] {
  const held = columns.flatMap((column): Held[] => {
    const name = own(names, column.name, column.name)
    return name === null
      ? []
      : [{ id: column.id, name, carried: own(carried, column.name, column.carried) }]
  })
  return order === undefined
    ? held
    : order.flatMap((name) => held.find((column) => column.name === name) ?? [])
}

function own<T>(record: Readonly<Record<string, T>>, name: string, otherwise: T): T {
  return Object.hasOwn(record, name) ? (record[name] ?? (null as T)) : otherwise
}

function sameColumns(before: readonly Column[], now: readonly Column[]): boolean {
  return (
    before.length === now.length &&
    before.every(
      ({ id, name, carried }, index) =>
        id === now[index]?.id && name === now[index].name && carried === now[index].carried,
    )
  )
}

/** The files of a table's last entry, as an entry with columns `now` goes on with them. */
export function goOnWith(
  entry: TableEntry | null,
  now: readonly Column[],
): Pick<TableEntry, 'base' | 'files' | 'previous'> {
  if (entry === null) return { base: [], files: [], previous: null }
  const { base, files, columns, previous } = entry
  return {
    base: recordCarried(base, columns, now),
    files: recordCarried(files, columns, now),
    previous,
  }
}
