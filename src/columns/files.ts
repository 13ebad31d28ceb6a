/**
 * Files of the lake as SQL, in whichever format. The files of a table need not be alike: a project may
 * change its format, and a column that met a value which its type cannot hold is carried as text from
 * then on.
 */
import type { FileColumn, FileFormat, FileToWrite, WrittenFile } from './file.ts'
import { readParquet, writeParquet } from './file-parquet.ts'
import { readText, writeText } from './file-text.ts'
import { BATCH_COLUMN, OP_COLUMN, quoteName, quoteNames } from './sql.ts'
import { toText } from './text.ts'

/** `copy (…) to '…'`. */
export function writeFile(format: FileFormat, file: FileToWrite): string {
  return format === 'parquet' ? writeParquet(file) : writeText(format, file)
}

/** A relation over files of one table, with `columns` of just these types; none yields no row. */
export function readFiles(files: readonly WrittenFile[], columns: readonly FileColumn[]): string {
  const system = `${quoteName(OP_COLUMN)}, ${quoteName(BATCH_COLUMN)}`
  if (files.length === 0) {
    const nulls = columns.map(({ name, carried }) => `null::${carried} as ${quoteName(name)}`)
    return `(select null::varchar as ${quoteName(OP_COLUMN)}, null::bigint as ${quoteName(BATCH_COLUMN)}, ${nulls.join(', ')} where false)`
  }
  const alike = new Map<string, WrittenFile[]>()
  for (const file of files) {
    const kind = JSON.stringify([file.format, file.carried, file.names, file.order])
    alike.set(kind, [...(alike.get(kind) ?? []), file])
  }
  const [only, ...others] = [...alike.values()].map((group) => readAlike(group, columns))
  if (only !== undefined && others.length === 0) return only
  const names = `${system}, ${quoteNames(columns.map(({ name }) => name))}`
  return `(${[only, ...others].map((relation) => `select ${names} from ${relation}`).join(' union all ')})`
}

function readAlike(files: readonly WrittenFile[], columns: readonly FileColumn[]): string {
  const { format = 'parquet', carried = {}, names = {}, order } = files[0] ?? {}
  const paths = files.map(({ path }) => path)
  const typeIn = ({ name, carried: asked }: FileColumn): string =>
    Object.hasOwn(carried, name) ? (carried[name] ?? asked) : asked
  const nameIn = ({ name }: FileColumn): string | null =>
    Object.hasOwn(names, name) ? (names[name] ?? null) : name
  const asked = columns.map((column) => ({
    name: column.name,
    carried: column.carried,
    as: typeIn(column),
    from: nameIn(column),
  }))
  if (format !== 'parquet') {
    const longest = Math.max(...files.map((file) => file.longest))
    const all = order ?? asked.flatMap(({ from }) => from ?? [])
    return readText(format, paths, { asked, order: all, longest })
  }
  const relation = readParquet(paths)
  if (asked.every(({ name, carried: to, as, from }) => from === name && as === to)) return relation
  const values = asked.map(({ name, carried: to, as, from }) => {
    if (from === null) return `null::${to} as ${quoteName(name)}`
    const value = quoteName(from)
    if (as === to) return `${value} as ${quoteName(name)}`
    return `${to === 'VARCHAR' ? toText(value, as) : `cast(${value} as ${to})`} as ${quoteName(name)}`
  })
  return `(select ${quoteName(OP_COLUMN)}, ${quoteName(BATCH_COLUMN)}, ${values.join(', ')} from ${relation})`
}
