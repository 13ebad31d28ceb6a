/** The star in one snapshot of the warehouse: its ledger, its rows as text, and what differs from rows that are sent. */
import { quoteIdentifier, quoteQualified } from '../postgres/identifiers.ts'
import { readCatalogue, readTypes, type Catalogue } from '../star/catalogue.ts'
import { allColumns, layoutOf, loadOrder } from '../star/layout.ts'
import { relationNames, unknownTypes } from '../star/shape.ts'
import type { StarTable } from '../star/star-table.ts'
import type { Site } from './session.ts'
import { readLast, refuseGone } from './ledger.ts'
import { compareRows, stageRows } from './remade.ts'
import { beginComparing } from './session.ts'
import type { StarReading } from './warehouse.ts'

/** Runs `work` in a transaction that is rolled back. */
export async function readStar<T>(site: Site, work: (star: StarReading) => Promise<T>): Promise<T> {
  const { connection, schema } = site
  await connection.query('begin', beginComparing())
  let tables: ReadonlyMap<string, StarTable> = new Map()
  let catalogue: Catalogue = new Map()
  let stages = 0
  const here = (table: StarTable): StarTable => tables.get(table.name) ?? table
  const answer = await work({
    last: async (pipeline) => readLast(site, pipeline),
    open: async (star, entry) => {
      const { plans } = await site.survey(loadOrder(star), 'incomplete')
      for (const { layout, action } of plans)
        if (action === 'create') refuseGone(entry, layout.table.name)
      // A type that this warehouse lacks has given way to a built-in one.
      tables = new Map(plans.map(({ layout }) => [layout.table.name, layout.table]))
      catalogue = await readCatalogue(connection, schema, relationNames(star))
      return new Map(
        [...catalogue.values()].map(({ name, columns }) => [
          name,
          new Map(columns.map((column) => [column.name, column.type])),
        ]),
      )
    },
    copy: async (table, sink, format) => {
      const names = allColumns(layoutOf(table)).map(({ name }) => quoteIdentifier(name))
      const from = quoteQualified(schema, table.name)
      await connection.copyOut(
        `read "${table.name}"`,
        `copy (select ${names.join(', ')} from ${from}) to stdout (format ${format === 'lines' ? 'text' : 'csv'})`,
        sink,
      )
    },
    compare: async (remade, namedKeys, context) => {
      const table = here(remade.table)
      const types = await readTypes(connection, unknownTypes([table], catalogue))
      const keptAs = ({ type }: { readonly type: string }): string => types.get(type) ?? type
      const staged = await stageRows(
        site,
        { remade: { ...remade, table }, index: stages++, keptAs },
        { ...context, emit: () => undefined },
      )
      return compareRows(site, staged, { kept: catalogue, namedKeys })
    },
  })
  await connection.query('roll back', 'rollback')
  return answer
}
