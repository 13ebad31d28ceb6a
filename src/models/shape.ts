/** Whether a model's columns fit its header and the warehouse: pure, every problem at once. */
import { ROW_COLUMN } from '../columns/sql.ts'
import { transferOf } from '../vectors/copy-types.ts'
import { headerFinding, meant, sqlFinding, type Finding } from './finding.ts'
import { MAX_NAME_BYTES } from './header.ts'
import type { Model, ModelText } from './model.ts'
import type { OutputColumn } from '../syntax/syntax-tree.ts'
import type { Origin } from '../syntax/inheritance.ts'
import { mapDuckdbType } from './types.ts'
import type { Column } from '../types.ts'

/** What the loader and the files of the lake add. */
const SYSTEM_COLUMNS = ['valid_from', 'valid_to', 'is_deleted', 'batch']
const SYSTEM_PREFIX = '_tote_'

/** PostgreSQL's limit, and how many of them the loader needs: system columns, or one in its stage table. */
const MAX_COLUMNS = 1_600
const OWN_COLUMNS = { fact: 5, dimension: 1, table: 1 } as const

/** The model's columns, or what is wrong with them. `origins` are those of the outputs, in order. */
export function shapeOf(
  model: ModelText,
  outputs: readonly OutputColumn[],
  origins: readonly (Origin | null)[],
): { readonly columns: readonly Column[]; readonly findings: readonly Finding[] } {
  const findings = [...nameFindings(model, outputs), ...headerFindings(model, outputs)]
  const columns: Column[] = []
  outputs.forEach(({ name, duckdbType }, index) => {
    const mapped = mapDuckdbType(duckdbType)
    if (mapped === undefined) {
      findings.push(
        sqlFinding(
          model,
          null,
          `column "${name}" is ${duckdbType}, which the warehouse has no exact type for; cast it, for example to varchar`,
        ),
      )
      return
    }
    const origin = origins[index]
    const inherited = origin?.carried === mapped.carried ? origin : mapped
    const type = ownValue(model.types, name) ?? inherited.type
    const { builtin, inside } = type === origin?.type ? origin : NOT_INHERITED
    const transfer = transferOf(mapped.carried, type)
    if (
      transfer === undefined ||
      transfer === 'inexact' ||
      (type !== inherited.type && rounds(mapped.carried, type))
    ) {
      findings.push(
        headerFinding(
          model,
          `types ${name}`,
          `column "${name}" is ${duckdbType}, which cannot become ${type} without changing values; cast it in the select`,
        ),
      )
    }
    columns.push({
      id: index + 1,
      name,
      type,
      ...(builtin === undefined ? {} : { builtin }),
      ...(inside === undefined ? {} : { inside }),
      carried: mapped.carried,
      notNull: isNotNull(model, name, origin ?? null),
      ...(origin?.source === undefined ? {} : { source: origin.source }),
      ...(origin?.partial === true ? { partial: true } : {}),
    })
  })
  return { columns, findings }
}

const NOT_INHERITED = { builtin: undefined, inside: undefined }

/** Types into which the server rounds without a word; the select may round, and then it is said. */
function rounds(carried: string, type: string): boolean {
  if (carried === 'VARCHAR') return /^(numeric|interval)\(/.test(type)
  return /^time(stamp)?\([0-5]\)/.test(type)
}

/** Whether the references fit the models that they point to; `models` holds all that were bound. */
export function referenceFindings(
  model: Model,
  models: ReadonlyMap<string, Model>,
  all: readonly string[],
): Finding[] {
  return model.references.flatMap(({ column, model: target }) => {
    const finding = (message: string): Finding[] => [
      headerFinding(model, `references ${column}`, message),
    ]
    if (!all.includes(target)) {
      return finding(
        `"${column}" refers to "${target}", and there is no such model${meant(target, all)}`,
      )
    }
    const other = models.get(target)
    if (other === undefined) return []
    if (other.kind === 'fact')
      return finding(`"${column}" refers to the fact "${target}", which has a row for each version`)
    const [key, ...more] = other.key
    if (more.length > 0)
      return finding(`"${column}" refers to "${target}", whose key is ${other.key.length} columns`)
    const from = model.columns.find(({ name }) => name === column)
    const to = other.columns.find(({ name }) => name === key)
    if (from === undefined || to === undefined || from.carried === to.carried) return []
    return finding(
      `"${column}" is ${from.type} and refers to "${target}", whose key "${to.name}" is ${to.type}; cast one of them`,
    )
  })
}

function nameFindings(model: ModelText, outputs: readonly OutputColumn[]): Finding[] {
  const findings: Finding[] = []
  const seen = new Set<string>()
  const say = (message: string): void => void findings.push(sqlFinding(model, null, message))
  const most = MAX_COLUMNS - OWN_COLUMNS[model.kind]
  if (outputs.length > most) {
    say(
      `yields ${outputs.length} columns, and a ${model.kind} has at most ${most}: PostgreSQL's limit is ${MAX_COLUMNS}, and the loader needs the rest`,
    )
  }
  for (const { name } of outputs) {
    const lower = name.toLowerCase()
    if (seen.has(lower)) say(`yields the column "${name}" twice; name one of them with "as"`)
    seen.add(lower)
    const isOurs = lower.startsWith(SYSTEM_PREFIX) && name !== ROW_COLUMN
    if (SYSTEM_COLUMNS.includes(lower) || isOurs) {
      say(
        `yields the column "${name}", a name that Tote itself uses in the warehouse; name it otherwise with "as"`,
      )
    }
    if (Buffer.byteLength(name) > MAX_NAME_BYTES) {
      say(
        `yields the column "${name}", longer than ${MAX_NAME_BYTES} bytes, PostgreSQL's limit; name it with "as"`,
      )
    }
  }
  return findings
}

function headerFindings(model: ModelText, outputs: readonly OutputColumn[]): Finding[] {
  const known = outputs.map(({ name }) => name)
  const findings: Finding[] = []
  const mustExist = (entry: string, columns: readonly string[]): void => {
    for (const column of columns) {
      if (known.includes(column)) continue
      findings.push(
        headerFinding(
          model,
          entry,
          `the select yields no column "${column}"${meant(column, known)}`,
        ),
      )
    }
  }
  mustExist('key', model.key)
  if (model.nullable !== 'all') mustExist('nullable', model.nullable)
  for (const { column } of model.references) mustExist(`references ${column}`, [column])
  for (const column of Object.keys(model.types)) mustExist(`types ${column}`, [column])
  for (const [index, { rule }] of model.checks.entries())
    if (rule.type === 'unique') mustExist(`check ${index}`, rule.columns)
  const recordId = model.recordId?.toLowerCase()
  if (known.some((name) => name.toLowerCase() === recordId)) {
    findings.push(
      headerFinding(
        model,
        'record id',
        `the loader gives "${model.recordId}"; the select must not yield it`,
      ),
    )
  }
  if (
    recordId !== undefined &&
    (SYSTEM_COLUMNS.includes(recordId) || recordId.startsWith(SYSTEM_PREFIX))
  ) {
    findings.push(
      headerFinding(
        model,
        'record id',
        `"${model.recordId}" is a name that Tote itself uses in the warehouse`,
      ),
    )
  }
  const nullableKeys =
    model.nullable === 'all' ? [] : model.key.filter((column) => model.nullable.includes(column))
  for (const column of nullableKeys) {
    findings.push(
      headerFinding(model, 'nullable', `"${column}" is in the key, and a key is never null`),
    )
  }
  return findings
}

/** What the source does not always have cannot be demanded. */
function isNotNull({ key, nullable }: ModelText, column: string, origin: Origin | null): boolean {
  if (key.includes(column)) return true
  return nullable !== 'all' && !nullable.includes(column) && origin?.partial !== true
}

function ownValue(types: Readonly<Record<string, string>>, column: string): string | undefined {
  return Object.hasOwn(types, column) ? types[column] : undefined
}
