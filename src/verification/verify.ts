/**
 * `tote verify`: one batch, and then source, lake and warehouse compared row by row at its instant. What must be
 * equal at any instant is compared at one that each side can show: a source in the snapshot of its own batch, the
 * warehouse in a snapshot of its own, at the batch where its ledger stands. So nobody need stop writing.
 *
 * A repair is an ordinary batch wherever one can do it: of tables of a source the ranges of keys that differ are read
 * again, in the snapshot in which they were found, so that all others are known to be equal; models that differ are
 * evaluated over all rows. Warehouse rows are then made what the lake says, in place, and what they held up is loaded.
 */
import { nearestName, ToteError } from '../errors.ts'
import type { Context, SourceTableSummary, VerifiedTable } from '../events.ts'
import { extract, namesTable, type ExtractOptions, type Extracted } from '../pipeline/extract.ts'
import { load } from '../pipeline/load.ts'
import { run, type Progress, type RunResult } from '../pipeline/run.ts'
import { transform } from '../pipeline/transform.ts'
import type { Project, ProjectSource } from '../project/project.ts'
import { describeVerified, differingRows, nameOf } from '../terminal/verified.ts'
import { verifyLakeFiles } from './lake-files.ts'
import { verifyModels } from './models.ts'
import {
  doubtOf,
  holdSource,
  verifySource,
  type HeldSource,
  type SourceTableVerified,
  type SourceToVerify,
} from './source.ts'
import { repairOf, verifyWarehouse, type WarehouseVerified } from './warehouse.ts'

export interface VerifyOptions {
  /** Tables of sources, models and warehouse tables by name; all of them when there are none. */
  readonly tables?: readonly string[] | undefined
  /** Makes good what differs, and compares again. */
  readonly repair?: boolean | undefined
  /** As of a run. */
  readonly wait?: boolean | undefined
}

interface Verification {
  readonly project: Project
  readonly repair: boolean
  readonly chosen: Chosen
  readonly verified: VerifiedTable[]
}

/** Says how it went, `verified` in its summary included; throws nothing. What differs and is not repaired is a DifferenceFound. */
export async function verify(
  project: Project,
  { tables = [], repair = false, wait = true }: VerifyOptions,
  context: Context,
): Promise<RunResult> {
  const work: Verification = { project, repair, chosen: chooseTables(tables), verified: [] }
  let sound: Promise<void> | undefined
  return run(project, { wait }, context, {
    command: 'verify',
    begin: async (counting) => {
      sound = verifyLakeFiles(project, counting)
      // Heard by whoever compares.
      sound.catch(() => undefined)
    },
    extract: async (_, from, options, counting) =>
      extractAndVerify(work, from, { ...options, sound }, counting),
    verify: async (counting, progress) => {
      progress.verified = work.verified
      await sound
      return sound !== undefined && verifyRest(work, progress, counting)
    },
  })
}

async function extractAndVerify(
  work: Verification,
  from: ProjectSource,
  options: ExtractOptions,
  context: Context,
): Promise<Extracted> {
  const { project, chosen, verified } = work
  const held = holdSource(from.source)
  const wanted = (table: string): boolean => chosen.has(table, from)
  let before: Extracted | null = null
  try {
    for (let attempt = 1; ; attempt++) {
      const recounting = { ...options, recount: work.repair }
      // Nothing is built on a lake whose files are not what they were, or compared with it; they are looked at meanwhile.
      const [isSound, extracted] = await Promise.allSettled([
        options.sound,
        extract(project, { ...from, source: held.source }, recounting, context),
      ])
      if (isSound.status === 'rejected') throw isSound.reason
      if (extracted.status === 'rejected') throw extracted.reason
      const taken = after(before, extracted.value)
      before = taken
      const found = await verifyTaken(project, held, { taken, wanted }, context)
      const differ = found.filter((table) => isDifferent(table.found))
      if (!work.repair || taken.manifest === null || differ.length === 0) {
        verified.push(...found.map(foundOf))
        return taken
      }
      try {
        const doubts = new Map(differ.map((table) => [table.found.table, doubtOf(table)]))
        const again = await extract(
          project,
          { ...from, source: held.again },
          { ...options, again: { after: taken.manifest, doubts } },
          context,
        )
        const toVerify = { taken: again, wanted: (table: string) => doubts.has(table) }
        const seen = await verifyTaken(project, held, { ...toVerify, before: differ }, context)
        verified.push(...afterRepair(found.map(foundOf), seen.map(foundOf)))
        return after(taken, again)
      } catch (error) {
        const isLost = error instanceof ToteError && error.name === 'LakeConflict'
        if (isLost && attempt < ATTEMPTS) continue
        verified.push(...found.map(foundOf))
        throw error
      }
    }
  } finally {
    await held.release()
  }
}

/** What two batches came to, one after the other. */
function after(first: Extracted | null, second: Extracted): Extracted {
  if (first === null) return second
  const changed = first.changed || second.changed
  return { ...second, changed, tables: addCounts(first.tables, second.tables) }
}

const foundOf = ({ found }: SourceTableVerified): VerifiedTable => found

async function verifyTaken(
  project: Project,
  held: HeldSource,
  { taken, ...toVerify }: Pick<SourceToVerify, 'wanted' | 'before'> & { readonly taken: Extracted },
  context: Context,
): Promise<readonly SourceTableVerified[]> {
  const { manifest } = taken
  if (manifest === null) return []
  const { name: source } = held.source
  return verifySource(
    project,
    { source, snapshot: held.snapshot(), manifest, ...toVerify },
    context,
  )
}

/** Models, and the warehouse. Throws DifferenceFound with every table that differs, sources' included. */
async function verifyRest(
  work: Verification,
  progress: Progress,
  context: Context,
): Promise<boolean> {
  const { project, chosen, verified } = work
  const wanted = (table: string): boolean => chosen.has(table)
  const models = verifyAllModels(work, progress, context)
  // What is repaired of a model goes on into the warehouse; otherwise models are looked at while it sends its rows.
  if (work.repair) await models
  const failed = new AbortController()
  const signal = AbortSignal.any([context.signal, failed.signal])
  const warehouse = verifyWarehouse(project, wanted, { ...context, signal })
  // A model that fails is told at once: its error is the one that is thrown, whatever the warehouse comes to.
  const ended = models.catch(async () => {
    failed.abort()
    await project.warehouse.close()
  })
  await Promise.allSettled([ended, warehouse])
  verified.push(...(await models))
  const first = await warehouse
  const seen = { ...first, tables: await repairWarehouse(work, first, context) }
  const { at, tables } = work.repair ? await loadHeldUp(work, seen, progress, context) : seen
  verified.push(...tables)
  if (at !== null) {
    const { batch, instant } = at.entry
    progress.inWarehouse = { batch, instant }
  }
  // What a failed stage did not come to is not unknown.
  if (progress.errors.length === 0) chosen.refuseUnknown()
  const differing = verified.filter((table) => isDifferent(table) && !table.repaired)
  if (differing.length > 0) throw differenceFound(differing)
  return true
}

async function verifyAllModels(
  { project, repair, chosen }: Verification,
  progress: Progress,
  context: Context,
): Promise<readonly VerifiedTable[]> {
  const chain = project.processed.chain(project.name)
  const wanted = (table: string): boolean => chosen.has(table)
  const manifest = await chain.newest()
  if (manifest === null) return []
  const found = await verifyModels(project, { manifest, wanted }, context)
  const differ = namesOf(found.filter(isDifferent))
  if (!repair || differ.size === 0) return found
  const transformed = await transform(project, { anew: differ }, context)
  progress.models = transformed.models
  try {
    progress.warehouse = (await load(project, context)).tables
  } catch (error) {
    // The star must be put right first.
    if (!isMiscounted(error)) throw error
    progress.errors.push(error)
  }
  const now = (await chain.newest()) ?? manifest
  progress.processed = { batch: now.batch, instant: now.instant }
  const after = await verifyModels(
    project,
    { manifest: now, wanted: (table) => differ.has(table) },
    context,
  )
  return afterRepair(found, after)
}

/** Whether rows of the star were too many or too few for a batch to be loaded. */
function isMiscounted(error: unknown): error is ToteError {
  const { name, facts } = error instanceof ToteError ? error : {}
  return name === 'CountMismatch' && facts?.details?.['rowsInWarehouse'] !== undefined
}

/** Loads what could not be before the star was put right, and compares it again. */
async function loadHeldUp(
  { project, chosen }: Pick<Verification, 'project' | 'chosen'>,
  repaired: WarehouseVerified,
  progress: Progress,
  context: Context,
): Promise<WarehouseVerified> {
  const { errors } = progress
  if (!errors.some(isMiscounted)) return repaired
  progress.warehouse = (await load(project, context)).tables
  errors.splice(0, errors.length, ...errors.filter((error) => !isMiscounted(error)))
  const after = await verifyWarehouse(project, (table) => chosen.has(table), context)
  const tables = repaired.tables.map(
    (table) => after.tables.find((now) => now.table === table.table && isDifferent(now)) ?? table,
  )
  return { ...after, tables }
}

/** How often somebody else may come between a comparison and its repair. */
const ATTEMPTS = 5

async function repairWarehouse(
  { project, repair, chosen }: Verification,
  first: WarehouseVerified,
  context: Context,
): Promise<readonly VerifiedTable[]> {
  let seen = first
  for (let attempt = 1; repair; attempt++) {
    const { at, tables, among } = seen
    const differ = namesOf(tables.filter(isDifferent))
    if (at === null || differ.size === 0) return seen.tables
    const engine = await project.engine(context.signal)
    let outcome: 'repaired' | 'stale'
    try {
      outcome = await project.warehouse.repair(
        await repairOf(project, engine, { at, among }, differ, context),
        context,
      )
    } catch (error) {
      // Of a table of which some rows were sent, somebody has added or removed others since they were compared.
      const isMoved = error instanceof ToteError && error.name === 'CountMismatch'
      if (!isMoved || among.size === 0 || attempt === ATTEMPTS) throw error
      outcome = 'stale'
    } finally {
      engine.close()
    }
    const wanted = (table: string): boolean =>
      outcome === 'stale' ? chosen.has(table) : differ.has(table)
    const after = await verifyWarehouse(project, wanted, context)
    if (outcome === 'repaired') return afterRepair(tables, after.tables)
    if (attempt === ATTEMPTS) return after.tables
    seen = after
  }
  return seen.tables
}

/** Tables that are equal now tell what was repaired; the others what still differs. */
function afterRepair(
  before: readonly VerifiedTable[],
  after: readonly VerifiedTable[],
): VerifiedTable[] {
  return before.map((table) => {
    const now = after.find((other) => other.table === table.table)
    if (now === undefined) return table
    return isDifferent(now) ? now : { ...table, repaired: true }
  })
}

function isDifferent(table: VerifiedTable): boolean {
  return differingRows(table) > 0
}

function namesOf(tables: readonly VerifiedTable[]): ReadonlySet<string> {
  return new Set(tables.map(({ table }) => table))
}

function addCounts(
  first: readonly SourceTableSummary[],
  second: readonly SourceTableSummary[],
): SourceTableSummary[] {
  return first.map((table) => {
    const again = second.find((other) => other.table === table.table)
    if (again === undefined) return table
    return {
      ...again,
      inserted: table.inserted + again.inserted,
      updated: table.updated + again.updated,
      deleted: table.deleted + again.deleted,
    }
  })
}

interface Chosen {
  /** Whether a table was asked for; one of a source may be named with it, or with its schema. */
  has(table: string, from?: ProjectSource): boolean
  /** Throws UsageInvalid for names that no table had. */
  refuseUnknown(): void
}

function chooseTables(asked: readonly string[]): Chosen {
  const unknown = new Set(asked)
  const seen = new Set<string>()
  return {
    has: (table, from) => {
      seen.add(table)
      const names = asked.filter((name) =>
        from === undefined
          ? name === table
          : name === `${from.source.name}.${table}` || namesTable(name, table, from),
      )
      for (const name of names) unknown.delete(name)
      return asked.length === 0 || names.length > 0
    },
    refuseUnknown: () => {
      const [name] = unknown
      if (name === undefined) return
      const nearest = nearestName(name, seen)
      throw new ToteError(
        'UsageInvalid',
        `No table of a source or of the warehouse is named "${name}".${nearest === undefined ? '' : ` Did you mean "${nearest}"?`}`,
        { fix: 'tote list' },
      )
    },
  }
}

function differenceFound(differing: readonly VerifiedTable[]): ToteError {
  const rows = differing.reduce((sum, table) => sum + differingRows(table), 0)
  const places = differing.map((table) => ({
    where: nameOf(table),
    message: `${describeVerified(table)} ${BETWEEN[table.what]}`,
  }))
  return new ToteError(
    'DifferenceFound',
    `${rows} ${rows === 1 ? 'row differs' : 'rows differ'} in ${differing.length === 1 ? 'one comparison' : `${differing.length} comparisons`} of source, lake and warehouse.`,
    {
      where: places[0]?.where,
      problems: places,
      why: 'whatever wrote to the lake or to the warehouse beside Tote, or a fault of Tote: docs/verify.md says how to tell',
      fix: 'tote verify --repair',
      details: { rows, comparisons: differing.length },
    },
  )
}

const BETWEEN: Readonly<Record<VerifiedTable['what'], string>> = {
  source: 'in the lake, by the source',
  model: 'in the lake, by the query',
  warehouse: 'in the warehouse, by the lake',
}
