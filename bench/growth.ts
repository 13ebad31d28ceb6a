/** Ten times the rows: how much longer a first load takes, and how much more memory. Rows are compared afterwards. */
import { rm } from 'node:fs/promises'
import type { Measured, Sizes } from './benchmark.ts'
import { inFreshProcess, type Answer } from './child.ts'
import { compareRows, type Comparison } from './equal-rows.ts'
import type { Figure } from './figures.ts'
import { createSource, FACT, files, sayRows } from './first-load.ts'
import { installFiles } from './installation.ts'
import { execute, type BenchDatabase, type Place } from './place.ts'
import { COLUMNS } from './sales-orders.ts'

const TIMES = 10

/** At `rows` and at a tenth of them, in pairs. */
export async function measureGrowth(place: Place, sizes: Sizes): Promise<Measured> {
  const few = await createSource(place, { ...sizes, rows: Math.ceil(sizes.rows / TIMES) })
  const many = await createSource(place, sizes)
  const pairs: { readonly few: Loaded; readonly many: Loaded }[] = []
  for (let round = 0; round < sizes.rounds; round++)
    pairs.push({ few: await loadFirst(place, few), many: await loadFirst(place, many) })
  return {
    figures: figuresOf(
      pairs.map((pair) => ({ few: pair.few.answer, many: pair.many.answer })),
      sayRows(sizes),
    ),
    compared: pairs.flatMap((pair) => [...pair.few.compared, ...pair.many.compared]),
  }
}

interface Loaded {
  readonly answer: Answer
  readonly compared: readonly Comparison[]
}

async function loadFirst(place: Place, source: BenchDatabase): Promise<Loaded> {
  const { folder: cwd, env, warehouseUrl } = await installFiles(place, source, files())
  const answer = await inFreshProcess(env, { task: 'whole', cwd, options: {} })
  const compared = await compareRows({ source: source.ownerUrl, warehouse: warehouseUrl }, [
    {
      table: FACT,
      source: `select ${COLUMNS} from sales_order`,
      warehouse: `select ${COLUMNS} from ${FACT} where valid_to is null and not is_deleted`,
    },
  ])
  await execute(warehouseUrl, `drop table ${FACT} cascade`)
  await rm(cwd, { recursive: true })
  return { answer, compared }
}

function figuresOf(
  pairs: readonly { readonly few: Answer; readonly many: Answer }[],
  size: string,
): Figure[] {
  const beside = `a tenth of the rows`
  return [
    {
      name: 'growth',
      what: `first load of ${size}, ten times as many`,
      unit: 's',
      samples: pairs.map(({ many }) => many.seconds),
      limit: { what: beside, samples: pairs.map(({ few }) => few.seconds), as: 'times' },
      goal: { of: 'ratio', is: 'at most', bound: 11 },
    },
    {
      name: 'growth-memory',
      what: '  the same, peak memory of our process',
      unit: 'MB',
      samples: pairs.map(({ many }) => many.peakMb),
      limit: { what: beside, samples: pairs.map(({ few }) => few.peakMb), as: 'times' },
      goal: { of: 'ratio', is: 'at most', bound: 1.2 },
    },
  ]
}
