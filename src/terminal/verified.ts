/** How the findings of `tote verify` read: a phrase for each table, and the block that ends the command. */
import type { VerifiedTable } from '../events.ts'
import { counted, formatChange, formatCount } from './number.ts'
import { MARKS, printable, type Style } from './style.ts'
import { renderTable } from './table.ts'

/** Rows that differed between the two sides of a table. */
export function differingRows({ missing, extra, different }: VerifiedTable): number {
  return missing + extra + different
}

/** A table as a person tells it from others: `shop.sale`, `query of dim_staff`, `dim_staff`. */
export function nameOf({ what, source, table }: VerifiedTable): string {
  if (what === 'source') return `${source}.${table}`
  return what === 'model' ? `query of ${table}` : table
}

/** `equal`; `2 rows missing, 1 row with other values (units)`. */
export function describeVerified(found: VerifiedTable): string {
  if (differingRows(found) === 0) return 'equal'
  const columns = Object.keys(found.columns).map(printable).join(', ')
  const parts = [
    ...(found.missing === 0 ? [] : [`${counted(found.missing, 'row')} missing`]),
    ...(found.extra === 0 ? [] : [`${counted(found.extra, 'row')} too many`]),
    ...(found.different === 0
      ? []
      : [`${counted(found.different, 'row')} with other values (${columns})`]),
  ]
  return `${parts.join(', ')}${found.repaired ? '; repaired' : ''}`
}

const BETWEEN: Readonly<Record<VerifiedTable['what'], string>> = {
  source: 'source → lake',
  model: 'query → lake',
  warehouse: 'lake → warehouse',
}

/** So many comparisons are listed one by one; of more, those that are equal are summed up. */
const LISTED = 200

/** One line a table with the rows of both sides, and one for all; below, where keys may be shown, which rows. */
export function verifiedTables(
  found: readonly VerifiedTable[],
  { style, ownTerminal }: { readonly style: Style; readonly ownTerminal: boolean },
): string[] {
  if (found.length === 0) return []
  const row = (name: string, between: string, of: readonly VerifiedTable[]): string[] => {
    const sum = (count: 'rowsExpected' | 'rowsFound' | 'missing' | 'extra' | 'different'): number =>
      of.reduce((rows, table) => rows + table[count], 0)
    return [
      name,
      between,
      formatCount(sum('rowsExpected')),
      formatCount(sum('rowsFound')),
      formatChange(sum('missing')),
      formatChange(sum('extra')),
      formatChange(sum('different')),
      outcome(of, style),
    ]
  }
  const numbers = ['expected', 'found', 'missing', 'too many', 'different']
  const listed = found.length > LISTED ? found.filter((one) => differingRows(one) > 0) : found
  const rows = listed.map((one) => row(printable(nameOf(one)), BETWEEN[one.what], [one]))
  const sides = Object.entries(BETWEEN).flatMap(([what, between]) => {
    const rest = found.filter((one) => one.what === what && !listed.includes(one))
    return rest.length === 0 ? [] : [row(`${counted(rest.length, 'table')} equal`, between, rest)]
  })
  return [
    ...renderTable(
      [
        { title: 'Verified', align: 'left' },
        { title: 'between', align: 'left' },
        ...numbers.map((title) => ({ title, align: 'right' }) as const),
        { title: '', align: 'left' },
      ],
      [...rows, ...sides, ...(found.length > 1 ? [row('all', '', found)] : [])],
      { indent: 2, title: style.dim },
    ),
    ...(ownTerminal ? found.flatMap(firstKeys) : []),
  ]
}

function firstKeys(found: VerifiedTable): string[] {
  // Kept runs have no keys.
  const keys = (found.keys as VerifiedTable['keys'] | undefined)?.value ?? []
  if (keys.length === 0) return []
  const more = differingRows(found) - keys.length
  const rest = more > 0 ? `, and ${formatCount(more)} more` : ''
  return ['', `  ${printable(nameOf(found))}: ${keys.map(printable).join(', ')}${rest}`]
}

function outcome(of: readonly VerifiedTable[], style: Style): string {
  const differ = of.filter((one) => differingRows(one) > 0)
  if (differ.length === 0) return style.green(MARKS.done)
  return differ.every(({ repaired }) => repaired)
    ? `${style.yellow(MARKS.warning)} repaired`
    : `${style.red(MARKS.failed)} differ`
}
