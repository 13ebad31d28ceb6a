/** Rows compared in the two databases after a load: a figure about wrong rows is no figure. */
import { execute } from './place.ts'

export interface Comparison {
  readonly table: string
  readonly source: Side
  readonly warehouse: Side
}

export interface Side {
  readonly rows: number
  /** The same for the same rows in any order. */
  readonly digest: string
}

export interface Compared {
  readonly table: string
  /** A select for each side; the same columns in the same order. */
  readonly source: string
  readonly warehouse: string
}

/** Compares every table whole. Throws when one differs. */
export async function compareRows(
  urls: { readonly source: string; readonly warehouse: string },
  tables: readonly Compared[],
): Promise<Comparison[]> {
  const compared: Comparison[] = []
  for (const { table, ...selects } of tables) {
    const source = await sideOf(urls.source, selects.source)
    const warehouse = await sideOf(urls.warehouse, selects.warehouse)
    compared.push({ table, source, warehouse })
  }
  const different = compared.filter(
    ({ source, warehouse }) => source.rows !== warehouse.rows || source.digest !== warehouse.digest,
  )
  if (different.length > 0)
    throw new Error(`the warehouse differs from the source: ${JSON.stringify(different)}`)
  return compared
}

async function sideOf(url: string, select: string): Promise<Side> {
  const [row] = await execute(
    url,
    `select count(*)::text as rows, coalesce(sum(hashtextextended(t::text, 0)::numeric), 0)::text as digest
     from (${select}) as t`,
  )
  return { rows: Number(row?.['rows']), digest: row?.['digest'] ?? '' }
}
