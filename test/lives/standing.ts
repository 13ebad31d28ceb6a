/** What must hold of lake and warehouse when a run went well. */
import { expect } from 'vitest'
import type { NewEvent, RunSummary } from '../../src/events.ts'
import { openProject } from '../../src/index.ts'
import { wholeStar } from '../support/rebuild.ts'
import { rowsAt, tableIn, tableOf, variantAt, versionsOf, type Point } from './history.ts'
import { write } from './models.ts'
import { observe, type PendingEdits, type State } from './state.ts'

export async function expectStar(state: State): Promise<void> {
  const { project, models, points, known, segments, thing } = state
  const last = points.at(-1)
  if (last === undefined) throw new Error('no batch')
  // A point at which no model changed a row is no batch.
  const newest: Point = { ...last, shop: state.shop, seeds: state.seeds, crm: state.crmBatch }
  for (const [name, variant] of models) {
    const of = { name, variant, points, known }
    expect(
      await rowsAt(project.source, segments, { ...of, point: last }),
      `P7: ${name} at the newest point`,
    ).toEqual(await rowsAt(project.source, segments, { ...of, point: newest }))
  }
  for (const [name, variant] of models) {
    const wanted = await tableOf(project.source, segments, { name, variant, points, known, thing })
    const found = await tableIn(project.warehouse, { name, variant, schema: 'public', thing })
    for (const line of found.filter((one) => !wanted.includes(one)))
      state.life.log(`    too much in ${name}: ${line}`)
    for (const line of wanted.filter((one) => !found.includes(one)))
      state.life.log(`    missing in ${name}: ${line}`)
    expect(
      found,
      `${name}, ${JSON.stringify(variant)} ${JSON.stringify(segments.get(name))}`,
    ).toEqual(wanted)
    if (variant.kind === 'fact' || variant.kind === 'history') {
      const [row] = await project.warehouse.query(`select count(*) as n from ${name}_current`)
      expect(Number(row?.['n']), `${name}_current`).toBe(
        wanted.filter((line) => line.includes('valid_to: null')).length,
      )
    }
  }
  const [ledger] = await project.warehouse.query(
    'select count(distinct batch) as n, max(batch) as batch from tote.ledger',
  )
  expect(ledger, 'the ledger').toEqual({
    n: String(points.length),
    batch: String(points.at(-1)?.batch),
  })
  for (const [name, before] of state.retired) {
    const there = await project.warehouse.query(`select to_regclass('public.${name}') as found`)
    if (there[0]?.['found'] === null) continue
    const rows = (
      await project.warehouse.query(`select to_jsonb(t)::text as row from ${name} t order by 1`)
    ).map(({ row }) => row ?? '')
    if (before !== null) expect(rows, `${name}, whose model is gone`).toEqual(before)
    state.retired.set(name, rows)
  }
}

export function expectCounts(state: State, summary: RunSummary): void {
  void state
  for (const { rowsInSource, rowsInLake, table } of summary.tables)
    if (rowsInSource !== null) expect(rowsInSource, `P12: ${table}`).toBe(rowsInLake)
}

export async function expectVerified(state: State): Promise<void> {
  const { project } = state
  const api = await openProject({ cwd: project.folder })
  try {
    const { error, verified } = await api.verify().summary
    expect(error && { ...error, verified }, 'verify').toBeUndefined()
  } finally {
    await api.close()
  }
  await observe(state)
}

export async function expectRebuilt(state: State, dryRun: boolean): Promise<void> {
  const { project, life } = state
  const live = await wholeStar(project.warehouse)
  const api = await openProject({ cwd: project.folder })
  try {
    const { error, rebuild } = await api.rebuild({ dryRun }).summary
    expect(error, 'P7: rebuild').toBeUndefined()
    for (const { table, rowsLive, rowsRebuilt, rowsEqual } of rebuild?.tables ?? [])
      if (rowsLive !== rowsRebuilt || rowsEqual !== rowsLive)
        life.log(`    rebuild: ${table} ${rowsLive} ${rowsRebuilt} ${rowsEqual}`)
  } finally {
    await api.close()
  }
  expect(await wholeStar(project.warehouse), 'P7: a rebuild equals the live warehouse').toEqual(
    live,
  )
  await expectStar(state)
}

export async function expectAsOf(state: State): Promise<void> {
  const { project, models, known, segments, chance } = state
  const point = chance.of(state.points)
  const api = await openProject({ cwd: project.folder })
  try {
    for (const [name, variant] of models) {
      const { columns, whole, shown } = write(name, variant)
      if (whole) continue
      const { versions } = await versionsOf(project.source, segments, {
        name,
        points: state.points,
        known,
      })
      const wanted = versions
        .filter(({ batch, to }) => batch <= point.batch && (to === null || to > point.instant))
        .map(({ row }) => JSON.stringify(columns.map((column) => row[column] ?? null)))
        .toSorted()
      const list = (side: 'star' | 'lake'): string =>
        columns.map((column) => shown(side, column)).join(', ')
      const lake = await api.query(
        `select json_array(${list('lake')})::varchar as row from ${name} as t`,
        {
          asOf: point.batch,
          limit: 1000,
        },
      )
      expect(
        lake.rows.map(([row]) => JSON.stringify(JSON.parse(String(row)))).toSorted(),
        `${name} in the lake as of ${point.batch}`,
      ).toEqual(wanted)
      if (variant.kind !== 'fact' && variant.kind !== 'history') continue
      const star = await api.query(
        `select json_build_array(${list('star')})::text as row from ${name} as t`,
        { on: 'warehouse', asOf: point.batch, limit: 1000 },
      )
      expect(
        star.rows.map(([row]) => JSON.stringify(JSON.parse(String(row)))).toSorted(),
        `${name} in the warehouse as of ${point.batch}`,
      ).toEqual(wanted)
    }
    // Source tables, as the batch saw them.
    const columns: Readonly<Record<string, readonly string[]>> = {
      place: ['place_id', 'city', 'region'],
      sale: ['sale_id', 'item_id', 'place_id', 'units', 'price', 'note'],
      tag: ['a', 'b'],
      beat: ['id', 'n'],
    }
    for (const [table, list] of Object.entries(columns)) {
      const lake = await api.query(
        `select json_array(${list.join(', ')})::varchar as row from shop.${table}`,
        { asOf: point.batch, limit: 1000 },
      )
      const wanted = (
        await project.source.query(
          `select json_build_array(${list.join(', ')})::text as row from kept.${table} where batch = ${point.shop}`,
        )
      )
        .map(({ row }) => JSON.stringify(JSON.parse(row ?? '')))
        .toSorted()
      expect(
        lake.rows.map(([row]) => JSON.stringify(JSON.parse(String(row)))).toSorted(),
        `P2: shop.${table} as of ${point.batch}`,
      ).toEqual(wanted)
    }
  } finally {
    await api.close()
  }
}

/** What was said before a restatement is what then changed. */
export async function expectSaid(
  state: State,
  {
    forward,
    events,
    recorded,
    edits,
  }: {
    forward: readonly string[]
    events: readonly NewEvent[]
    recorded: Point | undefined
    edits: PendingEdits
  },
): Promise<void> {
  const {
    project: { source },
    known,
    models,
    segments,
    points,
    life,
  } = state
  if (recorded === undefined) return
  const notes = events.flatMap((event) => (event.type === 'note' ? [event.text] : []))
  for (const text of notes) {
    life.log(`    note: ${text}`)
    if (text.includes('; restated over '))
      life.count(/\d go\b/.test(text) ? 'restated, and rows go' : 'restated')
  }
  for (const name of edits.removed)
    expect(notes.join('\n'), 'a model that is gone').toContain(`${name} has no model any more`)
  for (const name of edits.changed) {
    const old = variantAt(segments, name, recorded.batch)
    const now = models.get(name)
    if (old === null || now === undefined) continue
    const text = notes.find(
      (note) => /^\w+ was edited: \d/.test(note) && note.startsWith(`${name} `),
    )
    if (text === undefined) {
      life.log(`    nothing said of ${name}`)
      continue
    }
    const [a, b] = [write(name, old), write(name, now)]
    const point = recorded
    const before = await rowsAt(source, segments, { name, variant: old, point, points, known })
    const later = new Map(segments).set(name, [{ from: 0, variant: now }])
    // What it reads may have been edited with it.
    for (const read of b.reads)
      if (edits.changed.includes(read) && !forward.includes(read))
        later.set(read, [{ from: 0, variant: models.get(read) ?? null }])
    if (b.reads.some((read) => forward.includes(read))) continue
    const after = await rowsAt(source, later, { name, variant: now, point, points, known })
    if (before.length === 0) {
      expect(text).toContain(`: ${after.length} rows`)
      continue
    }
    const gone = /columns that go: ([^;]*)/.exec(text)?.[1]?.split(', ') ?? []
    const kept = a.columns.filter((column) => b.columns.includes(column) && !gone.includes(column))
    const keyOf = (row: Readonly<Record<string, unknown>>, key: readonly string[]): string =>
      JSON.stringify(key.map((column) => row[column]))
    const values = (row: Readonly<Record<string, unknown>>): string =>
      JSON.stringify(kept.map((column) => row[column]))
    const sameKey = a.key.join() === b.key.join()
    const old2 = new Map(before.map((row) => [keyOf(row, a.key), values(row)]))
    const new2 = new Map(after.map((row) => [keyOf(row, b.key), values(row)]))
    const changed = sameKey
      ? [...new2].filter(([key, row]) => old2.has(key) && old2.get(key) !== row).length
      : 0
    const added = sameKey ? [...new2.keys()].filter((key) => !old2.has(key)).length : new2.size
    const go = sameKey ? [...old2.keys()].filter((key) => !new2.has(key)).length : old2.size
    expect(text, `what ${name} was said to change`).toContain(
      [
        `${changed} of ${before.length} rows change`,
        ...(added > 0 ? [`${added} are new`] : []),
        ...(go > 0 ? [`${go} go`] : []),
      ].join(', '),
    )
    for (const column of a.columns.filter((one) => !b.columns.includes(one)))
      expect(gone, 'columns that go').toContain(column)
  }
}
