/** Counts and sums taken afresh in all three places: nothing here comes from what a run reported. */
import type { Project } from 'totedata'
import { openDatabase } from '../simulator/database.ts'
import { KEYS, MODELS, SUMS, type SourceTableName } from './tables.ts'

export interface Count {
  readonly table: SourceTableName
  readonly model: string | undefined
  readonly source: Tally
  readonly lake: Tally
  /** Current rows; undefined for a table without a model of its own. */
  readonly warehouse: Tally | undefined
  /** All rows of the warehouse table, every version included. */
  readonly versions: number
  readonly equal: boolean
}

interface Tally {
  readonly rows: number
  /** Of a fact: what it adds up to, as exact text. */
  readonly sum: string
}

export async function countEverywhere(project: Project, ownerUrl: string): Promise<Count[]> {
  const tables = Object.keys(KEYS) as SourceTableName[]
  const tally = (table: SourceTableName, from: string): string =>
    `select '${table}' as name, count(*) as n, cast(coalesce(${SUMS[table] ?? '0'}, 0) as varchar) as total from ${from}`
  const union = (texts: readonly string[]): string => texts.join(' union all ')
  const source = await openDatabase(ownerUrl)
  try {
    const inSource = await source.query(
      union(tables.map((table) => tally(table, `public."${table}"`))),
    )
    const inLake = await project.query(
      union(tables.map((table) => tally(table, `totesys."${table}"`))),
      { on: 'lake', limit: 100 },
    )
    const loaded = tables.filter((table) => MODELS[table] !== undefined)
    const current = (table: SourceTableName): string => {
      const model = MODELS[table] ?? ''
      return model.startsWith('fact_') ? `"${model}_current"` : `"${model}" where not is_deleted`
    }
    const inWarehouse = await project.query(
      union(loaded.map((table) => tally(table, current(table)))),
      { on: 'warehouse', limit: 100 },
    )
    const versions = await project.query(
      union(
        loaded.map(
          (table) => `select '${table}' as name, count(*) as n from "${MODELS[table] ?? ''}"`,
        ),
      ),
      { on: 'warehouse', limit: 100 },
    )
    return tables.map((table): Count => {
      const at = (rows: readonly (readonly unknown[])[]): Tally | undefined => {
        const row = rows.find(([name]) => name === table)
        return row === undefined
          ? undefined
          : { rows: Number(row[1]), sum: normalize(String(row[2])) }
      }
      const [sourceTally, lake, warehouse] = [
        at(inSource.map((row) => Object.values(row))),
        at(inLake.rows),
        at(inWarehouse.rows),
      ]
      if (sourceTally === undefined || lake === undefined) throw new Error(`no count of ${table}`)
      const same = (other: Tally): boolean =>
        other.rows === sourceTally.rows && other.sum === sourceTally.sum
      return {
        table,
        model: MODELS[table],
        source: sourceTally,
        lake,
        warehouse,
        versions: Number(versions.rows.find(([name]) => name === table)?.[1] ?? 0),
        equal: same(lake) && (warehouse === undefined || same(warehouse)),
      }
    })
  } finally {
    await source.close()
  }
}

/** `12.50` and `12.5000` are one number. */
function normalize(sum: string): string {
  return sum.includes('.') ? sum.replace(/\.?0+$/, '') : sum
}
