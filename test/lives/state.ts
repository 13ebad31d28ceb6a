/** A project as its owner has written it, what was taken of that, and what the lake has seen of the source since. */
import { mkdir, readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Project } from '../../src/project/project.ts'
import type { TestProject } from '../support/project.ts'
import type { Backup } from './backup.ts'
import type { Chance } from './chance.ts'
import type { Known, Point, Segment } from './history.ts'
import type { Hung } from './hanging.ts'
import { captureCrm } from './crm.ts'
import type { Crm } from './crm-steps.ts'
import { capture } from './mirror.ts'
import type { OwnServers } from '../support/servers.ts'
import type { TestDatabase } from '../support/postgres.ts'
import { captureThing, type Thing } from './thing.ts'
import { write, type Variant, type Written } from './models.ts'
import { configOf, type Settings } from './world.ts'

export interface Life {
  readonly servers: OwnServers
  readonly seed: number
  /** null: every kind of step. */
  readonly steps: number | null
  readonly skip: ReadonlySet<number>
  readonly log: (text: string) => void
  readonly count: (what: string) => void
}

export interface State {
  readonly project: TestProject
  settings: Settings
  /** What the lake last saw of them. */
  carried: Settings
  /** Files on disk. */
  readonly models: Map<string, Variant>
  /** What the processed zone was made with. */
  taken: Map<string, Variant>
  segments: Map<string, readonly Segment[]>
  points: Point[]
  readonly known: Known
  shop: number
  seeds: number
  crmBatch: number
  readonly crm: Crm
  /** There is a copy of it. */
  crmDump: boolean
  /** Of either server, the database that nobody drops. */
  readonly admin: { readonly source: TestDatabase; readonly warehouse: TestDatabase }
  seedRows: readonly (readonly [string, string])[]
  seedColumns: readonly string[]
  extraAttribute: number
  thing: Thing
  accept: Set<string>
  /** Tables of models that have no file any more, as they were left; null where nobody knows. */
  retired: Map<string, readonly string[] | null>
  dump: boolean
  readonly hung: Hung
  hungSoFar: number
  backup: Backup | null
  /** What stays open from run to run; null when each run opens the project for itself. */
  open: Project | null
  chance: Chance
  readonly life: Life
}

export function said(state: State, text: string): string {
  state.life.log(`    ${text.replaceAll('\n', '\n    ')}`)
  return text
}

export async function writeAll(state: State): Promise<void> {
  const { project, settings } = state
  await project.configure(configOf(settings))
  await project.environment(environmentOf(state))
  await writeSeeds(state)
  await writeModels(state)
}

export function environmentOf({ settings, crm }: State): Readonly<Record<string, string>> {
  return { MASK_SECRET: settings.secret, CRM_URL: crm.url }
}

export async function writeModels({ project, models }: State): Promise<void> {
  await rm(join(project.folder, 'models'), { recursive: true, force: true })
  await mkdir(join(project.folder, 'models'))
  for (const [name, variant] of models)
    await project.write(`models/${name}.sql`, write(name, variant).text)
}

/** Columns that no model names come and go, and change their places. */
export async function writeSeeds({ project, seedRows, seedColumns }: State): Promise<void> {
  await project.write(
    'seeds/region.csv',
    [
      seedColumns,
      ...seedRows.map(([code, label]) =>
        seedColumns.map((name) =>
          name === 'code' ? code : name === 'label' ? quoted(label) : 'x',
        ),
      ),
    ]
      .map((row) => `${row.join(',')}\n`)
      .join(''),
  )
}

const quoted = (text: string): string => `"${text.replaceAll('"', '""')}"`

export interface Asked {
  readonly fullRefresh?: boolean
  readonly forward?: readonly string[]
  /** What else may be said of the run, which otherwise goes well: of a source that is down. */
  readonly failing?: readonly string[]
}

export const newestPoint = ({ points }: State): Point | undefined => points.at(-1)

/** What the chains have now; a batch of the source saw what the source is, since nobody writes while a step runs. */
export async function observe(state: State): Promise<void> {
  const { project, settings } = state
  const { source, folder } = project
  const zone = join(folder, settings.lake)
  const extra = await source.query(
    `select attnum from pg_attribute where attrelid = 'public.sale'::regclass and attname = 'extra' and not attisdropped`,
  )
  const attribute = Number(extra[0]?.['attnum'] ?? 0)
  const shop = (await batchesOf(join(zone, 'ingestion/shop'))).at(-1)?.batch ?? 0
  const extraIsNew = attribute !== 0 && attribute !== state.extraAttribute
  for (let batch = state.shop + 1; batch <= shop; batch++) {
    await capture(source, settings, { batch, extraIsNew })
    state.thing = await captureThing(source, state.thing, batch)
    if (attribute !== 0) state.extraAttribute = attribute
    state.carried = structuredClone(settings)
  }
  state.shop = shop
  const seeds = (await batchesOf(join(zone, 'ingestion/seeds'))).at(-1)?.batch ?? 0
  for (let batch = state.seeds + 1; batch <= seeds; batch++)
    for (const [code, label] of state.seedRows)
      await source.query('insert into kept.region values ($1, $2, $3)', [batch, code, label])
  state.seeds = seeds
  const crm = (await batchesOf(join(zone, 'ingestion/crm'))).at(-1)?.batch ?? 0
  for (let batch = state.crmBatch + 1; batch <= crm; batch++)
    await captureCrm(source, state.crm.database, batch)
  state.crmBatch = crm
  const processed = await batchesOf(join(zone, 'processed/shop'))
  state.points = processed.map(({ batch, instant, inputs }) => ({
    batch,
    instant,
    shop: inputs?.['shop']?.batch ?? 0,
    seeds: inputs?.['seeds']?.batch ?? 0,
    crm: inputs?.['crm']?.batch ?? 0,
  }))
}

interface ManifestText {
  readonly batch: number
  readonly instant: string
  readonly inputs?: Readonly<Record<string, { readonly batch: number }>>
}

/** The manifests of a chain that added a batch. */
async function batchesOf(folder: string): Promise<ManifestText[]> {
  const names = (await readdir(join(folder, '_manifests')).catch(() => [])).filter((name) =>
    /^\d+\.json$/.test(name),
  )
  const found: ManifestText[] = []
  for (const name of names.toSorted()) {
    const text = await readFile(join(folder, '_manifests', name), 'utf8')
    const manifest = JSON.parse(text) as ManifestText
    if (manifest.batch > (found.at(-1)?.batch ?? 0)) found.push(manifest)
  }
  return found
}

export interface PendingEdits {
  readonly added: readonly string[]
  /** Their rows may be others. */
  readonly changed: readonly string[]
  /** The same rows, said otherwise: another kind, fewer demands. */
  readonly described: readonly string[]
  readonly removed: readonly string[]
}

/** Models whose text is another than what was taken. */
export function pendingEdits({ models, taken }: Pick<State, 'models' | 'taken'>): PendingEdits {
  const names = [...models.keys()]
  const other = names.filter(
    (name) => taken.has(name) && plain(textOf(name, models)) !== plain(textOf(name, taken)),
  )
  const sameRows = (name: string): boolean => {
    const [now, before] = [models, taken].map((all) => {
      const variant = all.get(name)
      return variant === undefined ? undefined : write(name, variant)
    })
    if (now === undefined || before === undefined) return false
    const query = ({ text }: Written): string => plain(text.slice(text.indexOf('\nselect')))
    return (
      query(now) === query(before) &&
      now.key.join() === before.key.join() &&
      now.demanded.every((column) => before.demanded.includes(column)) &&
      now.references.every((one) => before.references.some(({ model }) => model === one.model))
    )
  }
  return {
    added: names.filter((name) => !taken.has(name)),
    changed: other.filter((name) => !sameRows(name)),
    described: other.filter(sameRows),
    removed: [...taken.keys()].filter((name) => !models.has(name)),
  }
}

/** Without what means nothing. */
function plain(text: string): string {
  return text.replaceAll(/\/\*.*?\*\//g, '').replaceAll(/\s+/g, ' ')
}

export function textOf(name: string, models: ReadonlyMap<string, Variant>): string {
  const variant = models.get(name)
  return variant === undefined ? '' : write(name, variant).text
}

/** Whose history is made anew: what was edited, without what goes on, and what reads it. */
export function remade(state: State, forward: readonly string[]): string[] {
  const { added, changed } = pendingEdits(state)
  const names = new Set([...added, ...changed].filter((name) => !forward.includes(name)))
  for (const [name, variant] of state.models)
    if (!forward.includes(name) && write(name, variant).reads.some((read) => names.has(read)))
      names.add(name)
  return [...names]
}

/** The edits are taken up: what is remade begins with the first batch, what goes on with the one after `recorded`. */
export function take(
  state: State,
  { forward = [] }: Asked,
  {
    recorded,
    skips,
  }: { readonly recorded: Point | undefined; readonly skips: ReadonlySet<number> },
): void {
  const { segments, models, taken } = state
  const again = remade(state, forward)
  const { added, changed, described, removed } = pendingEdits(state)
  const from = (recorded?.batch ?? 0) + 1
  for (const name of again)
    segments.set(name, [{ from: 0, variant: models.get(name) ?? null, skips }])
  for (const name of [...added, ...changed].filter(
    (one) => forward.includes(one) && !again.includes(one),
  ))
    segments.set(name, [...(segments.get(name) ?? []), { from, variant: models.get(name) ?? null }])
  for (const name of [...described, ...changed].filter((one) => !again.includes(one))) {
    const known = segments.get(name) ?? []
    const last = known.at(-1)
    const variant = models.get(name)
    if (last !== undefined && variant !== undefined && !forward.includes(name))
      segments.set(name, [...known.slice(0, -1), { ...last, variant }])
  }
  for (const name of removed) {
    segments.set(name, [...(segments.get(name) ?? []), { from, variant: null }])
    state.retired.set(name, null)
  }
  for (const name of added) state.retired.delete(name)
  state.taken = new Map([...models].filter(() => taken !== models))
}
