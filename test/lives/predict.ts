/** What a run must come to, told from the rows alone. */
import { rowsAt, variantAt, type Point, type Segment } from './history.ts'
import { write, type Variant } from './models.ts'
import { pendingEdits, remade, type Asked, type State } from './state.ts'

export type Outcome =
  | { readonly kind: 'good'; readonly skips: ReadonlySet<number> }
  | {
      readonly kind: 'refused'
      readonly names: readonly string[]
      readonly restated: boolean
      readonly skips: ReadonlySet<number>
    }

/** What a run must come to, by the rows that it has seen. */
export async function predict(
  state: State,
  { forward = [] }: Asked,
  recorded: Point | undefined,
): Promise<Outcome> {
  const { models, taken } = state
  const good = { kind: 'good', skips: new Set<number>() } as const
  const refused = (
    names: readonly string[],
    restated = false,
    skips: ReadonlySet<number> = new Set(),
  ): Outcome => ({ kind: 'refused', names, restated, skips })
  for (const [name, variant] of models) {
    const { reads, references, columns, sql } = write(name, variant)
    if (
      reads.some((read) => !models.has(read)) ||
      references.some(({ model }) => !models.has(model))
    )
      return refused(['ModelInvalid'])
    for (const read of reads) {
      const other = models.get(read)
      const has = other === undefined ? [] : write(read, other).columns
      const wanted =
        read === 'fact_sale'
          ? ['place_id', 'item_id', 'units', 'sale_id'].filter((c) => sql.includes(`f.${c}`))
          : []
      if (wanted.some((c) => !has.includes(c))) return refused(['ModelInvalid'])
    }
    if (columns.includes('extra') && state.extraAttribute === 0) return refused(['ModelInvalid'])
  }
  const { changed, described } = pendingEdits(state)
  if (taken.size > 0)
    for (const name of changed.filter((one) => forward.includes(one))) {
      const now = models.get(name)
      const old = taken.get(name)
      if (now === undefined || old === undefined) continue
      const [a, b] = [write(name, now), write(name, old)]
      if (a.key.join() !== b.key.join()) return refused(['ModelEdited'])
      if (
        a.columns.some(
          (column) => b.columns.includes(column) && a.types[column] !== b.types[column],
        )
      )
        return refused(['ModelEdited'])
    }
  // What is replayed, at the points that there were.
  const segments = new Map(state.segments)
  const again = remade(state, forward)
  for (const name of again) segments.set(name, [{ from: 0, variant: models.get(name) ?? null }])
  for (const name of described) {
    const known = segments.get(name) ?? []
    const last = known.at(-1)
    if (last !== undefined && !again.includes(name))
      segments.set(name, [...known.slice(0, -1), { ...last, variant: models.get(name) ?? null }])
  }
  const refers = ([name, variant]: [string, Variant]): boolean =>
    write(name, variant).references.some(({ model }) => again.includes(model))
  const referring = new Set([...models].filter(refers).map(([name]) => name))
  const skips = new Set<number>()
  const points = state.points.filter(({ batch }) => batch <= (recorded?.batch ?? 0))
  if (again.length > 0)
    for (const point of points) {
      const failing = await failures(state, segments, point, [...models.keys()])
      const touched = failing.filter((name) => again.includes(name) || referring.has(name))
      if (touched.length === 0) continue
      if (point === points.at(-1) || touched.some((name) => !again.includes(name)))
        return refused(['CheckFailed'])
      skips.add(point.batch)
    }
  // What comes after: the newest rows must pass.
  const newest: Point = {
    batch: (recorded?.batch ?? 0) + 1,
    instant: '',
    shop: state.shop,
    seeds: state.seeds,
    crm: state.crmBatch,
  }
  const later = new Map(state.segments)
  for (const [name, variant] of models) later.set(name, [{ from: 0, variant }])
  const failing = await failures(state, later, newest, [...models.keys()])
  return failing.length === 0 ? { ...good, skips } : refused(['CheckFailed'], true, skips)
}

/** Models whose rows fail what they demand, at a point. */
async function failures(
  state: State,
  segments: ReadonlyMap<string, readonly Segment[]>,
  point: Point,
  names: readonly string[],
): Promise<string[]> {
  const {
    known,
    project: { source },
  } = state
  const failing: string[] = []
  for (const name of names) {
    const variant = variantAt(segments, name, point.batch)
    if (variant === null) continue
    const { demanded, references } = write(name, variant)
    const rows = await rowsAt(source, segments, {
      name,
      variant,
      point,
      points: state.points,
      known,
    })
    if (rows.some((row) => demanded.some((column) => row[column] === null))) failing.push(name)
    for (const { column, model } of references) {
      const target = variantAt(segments, model, point.batch)
      if (target === null) continue
      const [key = ''] = write(model, target).key
      const keys = new Set(
        (
          await rowsAt(source, segments, {
            name: model,
            variant: target,
            point,
            points: state.points,
            known,
          })
        ).map((row) => row[key]),
      )
      if (rows.some((row) => row[column] !== null && !keys.has(row[column]))) failing.push(name)
    }
  }
  return failing
}
