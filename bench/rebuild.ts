/**
 * A large fact whose rows have changed since its first load, rebuilt beside the live one, compared and switched: beside
 * what its first load took, end to end.
 */
import { rm } from 'node:fs/promises'
import type { Measured, Sizes } from './benchmark.ts'
import { inFreshProcess, type Answer } from './child.ts'
import { compareRows, type Comparison } from './equal-rows.ts'
import { createSource, FACT, files } from './first-load.ts'
import { installFiles } from './installation.ts'
import { execute, type Place } from './place.ts'
import { COLUMNS } from './sales-orders.ts'

/** Each changes one row in ten. */
const BATCHES = [3, 7]

export async function measureRebuild(place: Place, sizes: Sizes): Promise<Measured> {
  const compared: Comparison[] = []
  const rounds: { readonly first: Answer; readonly rebuilt: Answer }[] = []
  for (let round = 0; round < sizes.rounds; round++) {
    const source = await createSource(place, sizes)
    const { folder: cwd, env, warehouseUrl } = await installFiles(place, source, files())
    const first = await inFreshProcess(env, { task: 'whole', cwd, options: {} })
    for (const rest of BATCHES) {
      await execute(
        source.ownerUrl,
        `update sales_order set units_sold = units_sold + 1 where sales_order_id % 10 = ${rest}`,
      )
      await inFreshProcess(env, { task: 'whole', cwd, options: {} })
    }
    const rebuilt = await inFreshProcess(env, { task: 'rebuild', cwd })
    requireEqual(rebuilt)
    rounds.push({ first, rebuilt })
    const urls = { source: source.ownerUrl, warehouse: warehouseUrl }
    const fact = `select ${COLUMNS} from ${FACT} where valid_to is null and not is_deleted`
    compared.push(
      ...(await compareRows(urls, [
        { table: FACT, source: `select ${COLUMNS} from sales_order`, warehouse: fact },
      ])),
    )
    await rm(cwd, { recursive: true })
  }
  return {
    figures: [
      {
        name: 'rebuild',
        what: `rebuild with history, compared and switched; ${sizes.rows.toLocaleString('en')} rows`,
        unit: 's',
        samples: rounds.map(({ rebuilt }) => rebuilt.seconds),
        limit: {
          what: 'its first load, end to end',
          samples: rounds.map(({ first }) => first.seconds),
          as: 'times',
        },
        goal: { of: 'ratio', is: 'at most', bound: 1 },
      },
      {
        name: 'rebuild-memory',
        what: '  the same, peak memory of our process',
        unit: 'MB',
        samples: rounds.map(({ rebuilt }) => rebuilt.peakMb),
        goal: { of: 'figure', is: 'at most', bound: 600 },
      },
    ],
    compared,
  }
}

/** Throws when a row of the live star was not made again to the byte. */
function requireEqual({ summary }: Answer): void {
  const tables = summary?.rebuild?.tables ?? []
  const differ = tables.filter(
    ({ rowsLive, rowsEqual, rowsRebuilt }) => rowsLive !== rowsEqual || rowsRebuilt !== rowsEqual,
  )
  if (tables.length === 0 || differ.length > 0)
    throw new Error(`the rebuilt star differs: ${JSON.stringify(differ)}`)
}
