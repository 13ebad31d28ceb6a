/**
 * Which tables and models the names in a model mean, and the order that follows: each model after
 * those that it reads. Pure.
 */
import { quoteName } from '../columns/sql.ts'
import { ToteError } from '../errors.ts'
import type { Column } from '../types.ts'
import { meant, sqlFinding, type Finding } from './finding.ts'
import type { ModelText, TableName } from './model.ts'
import type { TableMention } from '../syntax/references.ts'

/** A table that models may name as `schema.name`: of a source, or of the seeds. */
export interface ReadableTable extends TableName {
  readonly schema: string
  readonly columns: readonly Column[]
  /** Its key; a table without one drives no model. */
  readonly key: readonly string[]
}

interface Reader {
  readonly name: string
  readonly path: string
  readonly reads: readonly TableName[]
}

/** The tables behind the names, each once; undefined with findings when one is unknown. */
export function resolveTables(
  model: ModelText,
  mentions: readonly TableMention[],
  known: {
    readonly texts: readonly ModelText[]
    readonly sources: readonly ReadableTable[]
    /** Among these, as DuckDB finds names. */
    readonly find: (schema: string | null, name: string) => TableName | undefined
    readonly findings: Finding[]
  },
): TableName[] | undefined {
  const { texts, sources, find, findings } = known
  const reads = new Map<string, TableName>()
  let complete = true
  for (const { schema, name, position } of mentions) {
    const found = find(schema, name)
    if (found === undefined) {
      complete = false
      findings.push(sqlFinding(model, position, unknownTable(schema, name, texts, sources)))
    } else {
      reads.set(JSON.stringify([found.schema, found.name]), {
        schema: found.schema,
        name: found.name,
      })
    }
  }
  return complete ? [...reads.values()] : undefined
}

function unknownTable(
  schema: string | null,
  name: string,
  texts: readonly ModelText[],
  sources: readonly ReadableTable[],
): string {
  const written = otherwiseWritten(sources, schema, name)
  const table = written === undefined ? undefined : `; the table of the source is ${written}`
  if (schema === null) {
    if (table !== undefined) return `there is no model "${name}"${table}`
    if (/[./*]/.test(name))
      return `reads the file "${name}"; a model reads tables of sources, seeds and models only`
    return `there is no model "${name}"${meant(
      name,
      texts.map((text) => text.name),
    )}`
  }
  const schemas = [...new Set(sources.map((source) => source.schema))]
  const tables = sources
    .filter((source) => sameName(source.schema, schema))
    .map((source) => source.name)
  if (tables.length > 0)
    return `there is no table "${name}" in "${schema}"${table ?? meant(name, tables)}`
  return `there is no source "${schema}"${table ?? meant(schema, schemas)}`
}

/**
 * How a source's table is written that somebody named without its source or its schema, or by its schema alone: of any schema but the default one
 * the name is one, with a dot (`shop."Billing.Invoice"`).
 */
export function otherwiseWritten(
  sources: readonly Pick<ReadableTable, 'schema' | 'name'>[],
  schema: string | null,
  name: string,
): string | undefined {
  const ending = `.${name}`.toLowerCase()
  const table = sources.find((source) => {
    const own = `.${source.name}`.toLowerCase()
    if (schema === null || sameName(source.schema, schema)) return own.endsWith(ending)
    return own === `.${schema}${ending}`.toLowerCase()
  })
  if (table === undefined) return undefined
  const quoted = /^[a-z_][a-z0-9_]*$/i.test(table.name) ? table.name : quoteName(table.name)
  return `${table.schema}.${quoted}`
}

/** Models in the order of their dependencies, else of their names. Throws ModelCycle, naming one circle. */
export function orderModels<M extends Reader>(models: readonly M[]): M[] {
  const byName = new Map(models.map((model) => [model.name, model]))
  const ordered = new Set<M>()
  const visit = (model: M, path: readonly M[]): void => {
    if (ordered.has(model)) return
    if (path.includes(model)) throw cycle(path.slice(path.indexOf(model)))
    for (const { schema, name } of sorted(model.reads)) {
      const read = schema === null ? byName.get(name) : undefined
      if (read !== undefined) visit(read, [...path, model])
    }
    ordered.add(model)
  }
  for (const model of sorted(models)) visit(model, [])
  return [...ordered]
}

/** Without those that stand in a circle or read something broken: the circle is named once the rest is right. */
export function orderable<M extends Reader>(parsed: readonly M[]): M[] {
  const ordered = new Map<string, M>()
  const isReady = ({ reads }: M): boolean =>
    reads.every((read) => read.schema !== null || ordered.has(read.name))
  for (let left = parsed; ;) {
    const before = ordered.size
    for (const model of left) if (isReady(model)) ordered.set(model.name, model)
    if (ordered.size === before) return [...ordered.values()]
    left = left.filter(({ name }) => !ordered.has(name))
  }
}

/** As DuckDB finds names: upper and lower case are one, but the exact spelling comes first. */
export function byNameIn<T extends { readonly name: string }>(
  items: readonly T[],
  name: string,
): T | undefined {
  return items.find((item) => item.name === name) ?? items.find((item) => sameName(item.name, name))
}

export function sameName(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase()
}

function cycle(circle: readonly Reader[]): ToteError {
  const names = circle.map((model) => model.name)
  return new ToteError(
    'ModelCycle',
    names.length === 1
      ? `The model "${names[0]}" reads itself.`
      : `Models refer to each other in a circle: ${[...names, names[0]].join(' → ')}.`,
    {
      where: circle.map((model) => model.path).join(', '),
      fix: 'Let one of them read the tables of the source instead.',
    },
  )
}

function sorted<T extends { readonly name: string }>(items: readonly T[]): T[] {
  return items.toSorted((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0))
}
