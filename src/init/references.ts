/**
 * Which foreign keys become references of models: those that a model can say and a warehouse can
 * hold. The others are left out, each with a reason. Pure.
 */
import type { ModelKind } from '../types.ts'
import type { FoundColumn, FoundForeignKey, FoundTable } from './found.ts'

export interface Link {
  readonly from: FoundTable
  readonly key: FoundForeignKey
  /** Why it is no reference; undefined when it is one. */
  readonly why?: string | undefined
}

export interface Target {
  readonly table: FoundTable
  readonly kind: ModelKind
  readonly model: string
}

/** Every foreign key of every table; `targets` by origin. */
export function linksOf(
  tables: readonly FoundTable[],
  targets: ReadonlyMap<string, Target>,
): readonly Link[] {
  const links: Link[] = []
  for (const from of tables) {
    const linked = new Set<string>()
    for (const key of from.foreignKeys) {
      const why = reasonAgainst(from, key, targets) ?? twice(linked, key)
      links.push({ from, key, why })
    }
  }
  return withoutCircles(links, targets)
}

function twice(
  linked: Set<string>,
  { columns: [column = ''] }: FoundForeignKey,
): string | undefined {
  if (linked.has(column)) return 'the column has a reference already'
  linked.add(column)
  return undefined
}

function reasonAgainst(
  from: FoundTable,
  { columns, target, targetColumns }: FoundForeignKey,
  targets: ReadonlyMap<string, Target>,
): string | undefined {
  const found = targets.get(target)
  if (found === undefined) return `${target} has no model here`
  const { table, kind, model } = found
  if (columns.length > 1) return 'a reference is one column'
  if (kind === 'fact') return `${model} is a fact, which has a row for each version`
  const [column] = columnsOf(from, columns)
  const [to] = columnsOf(table, targetColumns)
  if (table.key.length !== 1 || to === undefined || table.key[0] !== to.name)
    return `it points to another column than the key of ${model}`
  if (column?.carried !== to.carried || !column.exact || !to.exact)
    return `${column?.type ?? 'it'} and ${to.type}, the key of ${model}, cannot be compared byte by byte`
  return undefined
}

function columnsOf(table: FoundTable, origins: readonly string[]): readonly FoundColumn[] {
  return origins.flatMap((origin) => table.columns.find((column) => column.origin === origin) ?? [])
}

/**
 * The warehouse loads one table after the other, so references must not lead in a circle (a table may
 * refer to itself). Those that may be null give way first, then the later ones.
 */
function withoutCircles(
  links: readonly Link[],
  targets: ReadonlyMap<string, Target>,
): readonly Link[] {
  const reaches = new Map<string, Set<string>>()
  const leads = (from: string, to: string, seen = new Set<string>()): boolean => {
    if (from === to) return true
    if (seen.has(from)) return false
    seen.add(from)
    return [...(reaches.get(from) ?? [])].some((next) => leads(next, to, seen))
  }
  const left = new Map<Link, string>()
  const candidates = links.filter(
    ({ from, key, why }) => why === undefined && from.origin !== key.target,
  )
  for (const link of candidates.toSorted((a, b) => Number(mayBeNull(a)) - Number(mayBeNull(b)))) {
    const { from, key } = link
    if (leads(key.target, from.origin)) {
      const model = targets.get(key.target)?.model ?? key.target
      left.set(link, `${model} leads back to this table, and they cannot both be loaded first`)
    } else {
      reaches.set(from.origin, (reaches.get(from.origin) ?? new Set()).add(key.target))
    }
  }
  return links.map((link) => ({ ...link, why: link.why ?? left.get(link) }))
}

function mayBeNull({ from, key }: Link): boolean {
  return columnsOf(from, key.columns).some(({ notNull }) => !notNull)
}
