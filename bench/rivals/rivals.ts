/** `--only rivals`: the same tables carried by Tote and by what else there is, and what each of them loses. */
import type { Measured, Sizes } from '../benchmark.ts'
import type { BenchDatabase, Place } from '../place.ts'
import { suffer, type Suffered } from './adversity.ts'
import { openRival, openTote, type Carrier, type Table } from './carrier.ts'
import { findRivals } from './environments.ts'
import { measureSpeed } from './speed.ts'
import { carryValues, type Carried } from './values.ts'

/** Speed, then what is missed, then what is altered; the last two as Markdown in `notes`. */
export async function measureRivals(place: Place, sizes: Sizes): Promise<Measured> {
  const { installed, missing } = await findRivals(true)
  for (const reason of missing) console.error(`left out: ${reason}`)
  const measured = await measureSpeed(place, sizes, installed)
  const opening = [
    async (source: BenchDatabase, table: Table): Promise<Carrier> => openTote(place, source, table),
    ...installed.map(
      (one) => async (source: BenchDatabase, table: Table) => openRival(place, source, table, one),
    ),
  ]
  const suffered: Suffered[] = []
  const carried: Carried[] = []
  for (const open of opening) {
    suffered.push(await suffer(place, open))
    carried.push(await carryValues(place, open))
  }
  return { ...measured, notes: [...renderSuffered(suffered), '', ...renderCarried(carried)] }
}

/** Pure: a row for each move, a column for each tool. */
export function renderSuffered(suffered: readonly Suffered[]): string[] {
  const moves = suffered[0]?.moves.map(({ move }) => move) ?? []
  return renderTable(
    ['20 rows', ...suffered.map(({ name }) => name)],
    moves.map((move, index) => [
      move,
      ...suffered.map(({ moves: each }) => {
        const outcome = each[index]?.outcome
        const said = Object.entries(outcome ?? {})
          .filter(([, rows]) => rows > 0)
          .map(([what, rows]) => `**${rows} ${what}**`)
        return said.length === 0 ? 'right' : said.join(', ')
      }),
    ]),
  )
}

function renderCarried(carried: readonly Carried[]): string[] {
  const types = carried[0]?.types.map(({ type }) => type) ?? []
  return renderTable(
    ['type', ...carried.map(({ name }) => name)],
    types.map((type, index) => [
      type,
      ...carried.map(({ types: each }) => each[index]?.fate || 'as it was'),
    ]),
  )
}

function renderTable(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`
  return [line(head), line(head.map(() => '---')), ...rows.map(line)]
}
