/** A first load of one table by Tote and each rival, in turns, each into an empty database. */
import type { Measured, Sizes } from '../benchmark.ts'
import { compareRows, type Comparison } from '../equal-rows.ts'
import { medianOf, type Figure } from '../figures.ts'
import { execute, type BenchDatabase, type Place } from '../place.ts'
import { COLUMNS, createOrders } from '../sales-orders.ts'
import { openRival, openTote, type Carrier } from './carrier.ts'
import type { Installed } from './environments.ts'

const TABLE = { name: 'sales_order', key: 'sales_order_id', cursor: 'last_updated' } as const

interface Timed {
  readonly name: string
  readonly samples: number[]
}

/** What was loaded is compared with its source, as far as the rival's types let it. */
export async function measureSpeed(
  place: Place,
  { rows, rounds }: Pick<Sizes, 'rows' | 'rounds'>,
  installed: readonly Installed[],
): Promise<Measured> {
  const source = await place.createDatabase()
  const reading = `grant select on ${TABLE.name} to ${place.reader}; analyze ${TABLE.name}`
  await execute(source.ownerUrl, [...createOrders(rows), reading].join(';'))
  const timed: Timed[] = []
  const compared: Comparison[] = []
  for (let round = 0; round < rounds; round++) {
    const opening = [
      async () => openTote(place, source, TABLE),
      ...installed.map((one) => async () => openRival(place, source, TABLE, one)),
    ]
    for (const open of opening) {
      const carrier = await open()
      const seconds = await carrier.carry('whole')
      const known = timed.find(({ name }) => name === carrier.name)
      if (known === undefined) timed.push({ name: carrier.name, samples: [seconds] })
      else known.samples.push(seconds)
      compared.push(await compareLoaded(source, carrier))
      await execute(carrier.warehouseUrl, `drop table ${carrier.table} cascade`)
      await carrier.close()
    }
  }
  return { figures: figuresOf(timed, rows), compared }
}

/** Types that the rival made of ours are cast back: what that cannot mend is a difference. */
async function compareLoaded(source: BenchDatabase, carrier: Carrier): Promise<Comparison> {
  const columns = COLUMNS.replace('unit_price', 'unit_price::numeric(10,2) as unit_price')
    .split(',')
    .map((column) => column.trim())
  const rows = (table: string): string =>
    `select ${columns.map((column) => (/_id$|units_sold/.test(column) ? `${column}::integer` : column)).join(', ')} from ${table}`
  const [comparison] = await compareRows(
    { source: source.ownerUrl, warehouse: carrier.warehouseUrl },
    [
      {
        table: `${carrier.name}: ${TABLE.name}`,
        source: rows(TABLE.name),
        warehouse: `${rows(carrier.table)} where ${carrier.current}`,
      },
    ],
  )
  if (comparison === undefined) throw new RangeError('nothing was compared')
  return comparison
}

function figuresOf(timed: readonly Timed[], rows: number): Figure[] {
  const [ours, ...rivals] = timed
  if (ours === undefined) return []
  const size = `${rows.toLocaleString('en')} rows`
  const beside = (rival: Timed, name: string, bound: number): Figure => ({
    name,
    what: `first load by Tote, ${size}, beside ${name === 'rivals-fastest' ? `the fastest of the others` : rival.name}`,
    unit: 's',
    samples: ours.samples,
    limit: { what: rival.name, samples: rival.samples, as: 'share' },
    goal: { of: 'ratio', is: 'at least', bound },
  })
  const fastest = rivals.toSorted((a, b) => medianOf(a.samples) - medianOf(b.samples))[0]
  const standard = rivals.find(({ name }) => name === 'dlt, default')
  return [
    ...timed.map((one) => ({
      name: `rivals-load ${one.name}`,
      what: `first load by ${one.name}, ${size}`,
      unit: 's' as const,
      samples: one.samples,
    })),
    ...(fastest === undefined ? [] : [beside(fastest, 'rivals-fastest', 1.5)]),
    ...(standard === undefined ? [] : [beside(standard, 'rivals-dlt-default', 10)]),
  ]
}
