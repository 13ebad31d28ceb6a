/** The demo's pages: text from values, nothing else. */
import type { RunSummary } from 'totedata'
import type { Comparison } from './changes.ts'
import type { Count } from './counts.ts'

export function renderRun(title: string, summary: RunSummary): string {
  const stages = summary.stages.map(({ stage, ms }) => `${stage} ${seconds(ms)}`).join(' · ')
  const changed = summary.tables.reduce(
    (sum, table) => sum + table.inserted + table.updated + table.deleted,
    0,
  )
  const loaded = summary.warehouse.reduce((sum, table) => sum + table.rowsLoaded, 0)
  return [
    `${title}: ${summary.outcome} in ${seconds(summary.ms)} (${stages})`,
    `  ${count(changed)} changes found in ${summary.tables.length} tables, ${count(loaded)} rows loaded into ${summary.warehouse.length} tables`,
  ].join('\n')
}

/** Every source table with what the two runs found, and the warehouse table that it feeds. */
export function renderTables(
  first: RunSummary,
  second: RunSummary,
  counts: readonly Count[],
): string {
  const rows = counts.map(({ table, model, source, versions }) => {
    const found = (summary: RunSummary): string => {
      const one = summary.tables.find(
        (candidate) => candidate.source === 'totesys' && candidate.table === table,
      )
      return one === undefined ? '' : changes(one.inserted, one.updated, one.deleted)
    }
    return [
      table,
      count(source.rows),
      found(first),
      found(second),
      model ?? '(joined only)',
      model === undefined ? '' : count(versions),
    ]
  })
  return section(
    'Tables',
    ['source table', '>rows', '>first run', '>second run', 'warehouse table', '>rows with history'],
    rows,
  )
}

/** What happened between the runs, by reason, and whether Tote found it. */
export function renderChanges({ agreed, missing, extra }: Comparison): string {
  const reasons = new Map<string, { happened: number; missing: number; tables: Set<string> }>()
  const lost = new Set(missing)
  for (const change of [...agreed, ...missing]) {
    for (const kind of change.kinds) {
      const reason = reasons.get(kind) ?? { happened: 0, missing: 0, tables: new Set<string>() }
      reason.happened += 1
      if (lost.has(change)) reason.missing += 1
      reason.tables.add(change.table)
      reasons.set(kind, reason)
    }
  }
  const rows = [...reasons].map(([kind, { happened, missing: gone, tables }]) => [
    kind,
    count(happened),
    count(happened - gone),
    REASONS[kind] ?? '',
    [...tables].toSorted().join(', '),
  ])
  const table = section(
    'What changed, and why (the simulator’s journal beside the lake)',
    ['reason', '>happened', '>found', 'what it is', 'in'],
    rows,
  )
  const verdict =
    missing.length === 0 && extra.length === 0
      ? `  ✔ ${count(agreed.length)} rows changed, ${count(agreed.length)} found: none missing, none extra`
      : `  ✖ ${count(missing.length)} missing, ${count(extra.length)} extra`
  return `${table}\n${verdict}`
}

const REASONS: Readonly<Record<string, string>> = {
  order: 'new orders, with transaction and payment',
  late: 'stamped before a run, committed after it',
  paid: 'the batch of payments at 07:55',
  design: 'new designs',
  silent: 'changed with last_updated untouched',
  department: 'staff moved, or a department did',
  address: 'an address changed, or a counterparty moved',
  deleted: 'rows deleted, and what refers to them',
}

export function renderCounts(counts: readonly Count[]): string {
  const rows = counts.map(({ table, source, lake, warehouse, equal }) => [
    table,
    count(source.rows),
    count(lake.rows),
    warehouse === undefined ? '–' : count(warehouse.rows),
    source.sum === '0' ? '' : source.sum,
    warehouse === undefined || source.sum === '0' ? '' : warehouse.sum,
    equal ? '✔ equal' : '✖ differ',
  ])
  const all = counts.every(({ equal }) => equal)
  return [
    section(
      'Counted afresh in all three places',
      ['table', '>source', '>lake', '>warehouse', '>sum in source', '>sum in warehouse', ''],
      rows,
    ),
    all ? '  ✔ source, lake and warehouse agree, to the cent' : '  ✖ they do not agree',
  ].join('\n')
}

export function renderNext(proven: boolean): string {
  const tote = 'npx tote'
  const at = '-C examples/totesys'
  return [
    '',
    'What to try next',
    `  ${tote} status ${at}`,
    `  ${tote} query ${at} "select sales_order_id, count(*) as versions from changes.fact_sales_order group by 1 having count(*) > 1"`,
    `  ${tote} query ${at} --warehouse "select * from fact_sales_order where is_deleted"`,
    `  ${tote} query ${at} "select location, count(*) from dim_staff group by 1 order by 2 desc"`,
    `  npm run demo        one more day on the same databases`,
    `  its files are under examples/totesys/.tote; remove that folder to begin anew`,
    '',
    proven
      ? '✔ Nothing lost, nothing doubled, nothing altered.'
      : '✖ The proof failed: please report this.',
  ].join('\n')
}

function section(
  title: string,
  header: readonly string[],
  rows: readonly (readonly string[])[],
): string {
  const right = header.map((name) => name.startsWith('>'))
  const names = header.map((name) => name.replace(/^>/, ''))
  const widths = names.map((name, column) =>
    Math.max(name.length, ...rows.map((row) => row[column]?.length ?? 0)),
  )
  const line = (cells: readonly string[]): string =>
    `  ${cells.map((cell, column) => (right[column] === true ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0))).join('   ')}`.trimEnd()
  return ['', title, line(names), ...rows.map(line)].join('\n')
}

function changes(inserted: number, updated: number, deleted: number): string {
  const parts = [
    inserted > 0 ? `+${count(inserted)}` : '',
    updated > 0 ? `~${count(updated)}` : '',
    deleted > 0 ? `-${count(deleted)}` : '',
  ]
  return parts.filter((part) => part !== '').join(' ') || '–'
}

function count(number: number): string {
  return number.toLocaleString('en-GB')
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`
}
