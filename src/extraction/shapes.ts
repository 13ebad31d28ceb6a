/** The shape of a source's tables against the lake's: what differs is told at once, before anything is read. */
import { ToteError } from '../errors.ts'
import type { CommittedManifest } from '../lake/manifest.ts'
import type { SourceTable } from '../sources/source.ts'

/** Throws SourceChanged with everything that differs. */
export function refuseChangedShapes(
  source: string,
  tables: readonly SourceTable[],
  parent: CommittedManifest,
): void {
  const problems: { where: string; message: string }[] = []
  const fresh = new Map<string, string[]>()
  for (const [name, entry] of Object.entries(parent.tables)) {
    const table = tables.find((candidate) => candidate.name === name)
    if (table === undefined) {
      problems.push({ where: name, message: 'is no longer there' })
      continue
    }
    const before = new Map(entry.columns.map((column) => [column.name, column.type]))
    for (const column of table.columns) {
      const type = before.get(column.name)
      if (type === undefined) {
        problems.push({ where: `${name}.${column.name}`, message: `is new (${column.type})` })
        fresh.set(name, [...(fresh.get(name) ?? []), column.name])
      } else if (type !== column.type)
        problems.push({
          where: `${name}.${column.name}`,
          message: `was ${type} and is ${column.type}`,
        })
      before.delete(column.name)
    }
    for (const column of before.keys()) {
      const setting = table.omitted?.get(column)
      problems.push({
        where: `${name}.${column}`,
        message:
          setting === undefined
            ? 'is no longer there'
            : `is in the lake, and left out by ${setting} of the config`,
      })
    }
    if (table.key.join() !== entry.key.join()) {
      problems.push({
        where: name,
        message: `had the key (${entry.key.join(', ')}) and has (${table.key.join(', ')})`,
      })
    }
  }
  if (problems.length === 0) return
  throw new ToteError(
    'SourceChanged',
    `The tables of source "${source}" have another shape than the lake's.`,
    {
      problems,
      why: 'following a changed schema is not supported yet, so the batch was refused before anything was written',
      fix: [
        ...leaveOut(source, fresh),
        'undo the change, or begin a new lake and a new warehouse schema',
      ].join('; or '),
    },
  )
}

/** New columns need not hold the batch up: the config can leave them out. */
function leaveOut(source: string, fresh: ReadonlyMap<string, readonly string[]>): string[] {
  if (fresh.size === 0) return []
  const tables = [...fresh].map(([table, columns]) => {
    const names = columns.map((name) => JSON.stringify(name)).join(', ')
    return `${JSON.stringify(table)}: { columns: { exclude: [${names}] } }`
  })
  return [`leave new columns out for now, in sources.${source}: table: { ${tables.join(', ')} }`]
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
