/**
 * Whether a model is what its line `driven by` says: verified on DuckDB's syntax tree, not believed.
 * The table's key must stand in the model's key, so that each row of the model says of which row of
 * the table it was made: a changed or deleted row is found in the model by its key alone.
 */
import type { Engine } from '../columns/engine.ts'
import { ToteError } from '../errors.ts'
import { outputOrigins, type TableLookup } from '../syntax/inheritance.ts'
import type { TableMention } from '../syntax/references.ts'
import { callsIn, readRowByRow } from '../syntax/row-by-row.ts'
import { positionOf, text, type OutputColumn, type TreeNode } from '../syntax/syntax-tree.ts'
import { sameName, type ReadableTable } from './dependencies.ts'
import { headerFinding, meant, sqlFinding, type Finding } from './finding.ts'
import type { Driven, Model, ModelText, TableName } from './model.ts'

export type ReadableName = TableName & Pick<ReadableTable, 'columns' | 'key'>

export interface DrivenQuestion {
  readonly model: ModelText & Pick<Model, 'reads'> & { readonly tree: TreeNode }
  readonly outputs: readonly OutputColumn[]
  /** Finds the tables of sources, and the models that are bound already. */
  readonly tableNamed: (name: TableName) => ReadableName | undefined
  readonly engine: Engine
}

/** What drives the model, or null with findings when it is not what the header says. */
export async function readDriven(
  question: DrivenQuestion,
): Promise<{ readonly driven: Driven | null; readonly findings: readonly Finding[] }> {
  const { model, tableNamed } = question
  const { drivenBy } = model
  if (drivenBy === null) return { driven: null, findings: [] }
  const refuse = (
    findings: readonly Finding[],
  ): { driven: null; findings: readonly Finding[] } => ({
    driven: null,
    findings,
  })
  const written = nameOf(drivenBy)
  const table = tableNamed(drivenBy)
  if (table === undefined || !model.reads.some((read) => isTable(read, table))) {
    const message = `the select reads no table "${written}"${meant(written, model.reads.map(nameOf))}`
    return refuse([headerFinding(model, 'driven by', message)])
  }
  if (table.key.length === 0)
    return refuse([headerFinding(model, 'driven by', `"${written}" has no key`)])
  const isDriving = (mention: TableMention): boolean => {
    const found = tableNamed(mention)
    return found !== undefined && isTable(found, table)
  }
  const { refusals, levels } = readRowByRow(model.tree, isDriving)
  const say = (position: number | null, why: string): Finding =>
    sqlFinding(model, position, `cannot be driven by "${written}": ${why}`)
  if (refusals.length > 0)
    return refuse(refusals.map(({ message, position }) => say(position, message)))
  const outputs = plainOutputs(question, table)
  const key = table.key.map((column) => ({
    column,
    as: model.key.find((name) => outputs.get(name) === column),
  }))
  const missing = key.filter(({ as }) => as === undefined).map(({ column }) => `"${column}"`)
  if (missing.length === 0) {
    const { schema, name } = table
    const held = key.flatMap(({ column, as }) => (as === undefined ? [] : [{ column, as }]))
    return { driven: { table: { schema, name }, key: held }, findings: [] }
  }
  // Without a plain column beside it, an aggregate passes unseen: then it is the reason.
  const aggregates = await aggregateNames(question.engine)
  const calls = levels.flatMap((level) => callsIn(level, aggregates))
  if (calls.length > 0) {
    return refuse(
      calls.map((call) =>
        say(positionOf(call), `${text(call['function_name'])}() puts its rows together`),
      ),
    )
  }
  return refuse([
    headerFinding(
      model,
      'key',
      `the key must hold ${missing.join(', ')} of "${written}", as a plain column, for the model to be driven by it`,
    ),
  ])
}

/** ModelNotDriven with all findings at once. */
export function notDriven(findings: readonly Finding[]): ToteError {
  return new ToteError(
    'ModelNotDriven',
    findings.length === 1
      ? 'A model is not driven by the table that its header names.'
      : `Models are not driven by the tables that their headers name: ${findings.length} reasons.`,
    {
      problems: findings.map(({ where, message }) => ({ where, message })),
      fix: 'remove the line "driven by": the model is then evaluated in full when a table that it reads has changed',
      terminal: findings.flatMap((finding) => finding.terminal ?? []),
    },
  )
}

/** The driving table's column that each output plainly is, by the output's name. */
function plainOutputs(
  { model, outputs, tableNamed }: DrivenQuestion,
  driving: ReadableName,
): ReadonlyMap<string, string> {
  const lookup: TableLookup = (schema, name) => {
    const table = tableNamed({ schema, name })
    if (table === undefined) return undefined
    const drives = isTable(table, driving)
    return table.columns.map((column) => ({
      name: column.name,
      origin: drives ? { type: column.name, carried: '' } : null,
    }))
  }
  const found = outputOrigins(model.tree, lookup) ?? []
  const agrees =
    found.length === outputs.length &&
    found.every(
      ({ name, origin }, index) => origin === null || sameName(name, outputs[index]?.name ?? ''),
    )
  if (!agrees) return new Map()
  return new Map(
    outputs.flatMap(({ name }, index) => {
      const origin = found[index]?.origin
      return origin === null || origin === undefined ? [] : [[name, origin.type] as const]
    }),
  )
}

async function aggregateNames(engine: Engine): Promise<ReadonlySet<string>> {
  const rows = await engine.rows(
    "select distinct lower(function_name) as name from duckdb_functions() where function_type = 'aggregate'",
  )
  return new Set(rows.map(({ name }) => String(name)))
}

function isTable(a: TableName, b: TableName): boolean {
  return a.schema === b.schema && a.name === b.name
}

function nameOf({ schema, name }: TableName): string {
  return schema === null ? name : `${schema}.${name}`
}
