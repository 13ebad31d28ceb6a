/** Backups of the lake, alone or with the warehouse of the same time, put back later (docs/operations.md, Backups). */
import { cp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'vitest'
import { CRM_TABLES } from './crm.ts'
import { dropHanging } from './hanging.ts'
import { dropDump, emptyWarehouse, endSessions } from './owner.ts'
import { runAndCheck } from './runs.ts'
import { expectStar } from './standing.ts'
import { openAgain, runOnce } from './stay.ts'
import { newestPoint, observe, type State } from './state.ts'

/** What a life knows of the lake at one time. */
type Known = Pick<
  State,
  | 'taken'
  | 'segments'
  | 'points'
  | 'shop'
  | 'seeds'
  | 'crmBatch'
  | 'extraAttribute'
  | 'thing'
  | 'carried'
  | 'retired'
>

export interface Backup {
  readonly known: Known
  /** A column that has another type since: older versions go on with no edit. */
  readonly units: string
}

const copyName = ({ project }: State): string => `${project.warehouse.name}_backup`
const copyFolder = ({ project }: State): string => join(project.folder, 'backup')
const lakeFolder = ({ project, settings }: State): string => join(project.folder, settings.lake)

export async function backUpOrPutBack(state: State): Promise<void> {
  const { backup, chance, life } = state
  await dropHanging(state)
  if (backup === null) {
    await runAndCheck(state)
    return backUp(state)
  }
  if (
    backup.units !== (await unitsType(state)) ||
    state.thing.oid !== backup.known.thing.oid ||
    state.thing.retypes !== backup.known.thing.retypes
  ) {
    life.count('backup too old')
    return dropBackup(state)
  }
  await (chance.yes(0.5) ? putBoth(state, backup) : putLake(state, backup))
  await dropBackup(state)
}

async function backUp(state: State): Promise<void> {
  const { project, admin } = state
  await endSessions(state)
  await admin.warehouse.query(
    `create database ${copyName(state)} template ${project.warehouse.name}`,
  )
  await cp(lakeFolder(state), copyFolder(state), { recursive: true })
  state.backup = { known: knownOf(state), units: await unitsType(state) }
}

export async function dropBackup(state: State): Promise<void> {
  if (state.backup === null) return
  await state.admin.warehouse.query(`drop database if exists ${copyName(state)} with (force)`)
  await rm(copyFolder(state), { recursive: true, force: true })
  state.backup = null
}

/** The next batch carries everything that changed since. */
async function putBoth(state: State, backup: Backup): Promise<void> {
  const {
    project: { warehouse, loader },
    admin: { warehouse: admin },
    life,
  } = state
  life.log('    lake and warehouse put back')
  life.count('lake and warehouse put back')
  await endSessions(state)
  await admin.query(`drop database ${warehouse.name} with (force)`)
  await admin.query(`create database ${warehouse.name} template ${copyName(state)}`)
  await admin.query(`alter database ${warehouse.name} owner to ${loader}`)
  await putFiles(state, backup)
  await runAndCheck(state)
}

/** The warehouse has seen what this lake does not have; or it is a new one. */
async function putLake(state: State, backup: Backup): Promise<void> {
  const { project, life, chance, points } = state
  const isAhead = points.length > backup.known.points.length
  const isNew = chance.yes(0.4)
  life.log(`    lake put back, ${isNew ? 'warehouse new' : 'warehouse as it is'}`)
  life.count(isNew ? 'lake put back, warehouse new' : 'lake put back, warehouse as it is')
  // The other environment's would be ahead, too.
  await project.warehouse.query(
    'drop schema if exists dev cascade; drop schema if exists tote_dev cascade',
  )
  if (isNew) await emptyWarehouse(state)
  await putFiles(state, backup)
  if (!isNew) {
    const told = await project.tote('rebuild', '--json')
    const text = `${told.stdout}${told.stderr}`
    if (isAhead) expect(text, 'a lake behind its warehouse').toContain('LedgerMismatch')
    const accepted = await project.tote('rebuild', '--accept-lake', '--json')
    expect(accepted.exit, `${text}\n${accepted.stdout}`).toBe(0)
    await expectStar({ ...state, models: state.taken })
  }
  const recorded = newestPoint(state)
  const { error } = await runOnce(state, { acceptChange: [...state.accept] })
  if (error?.name === 'LedgerMismatch') {
    // The table of a model that this lake knew nothing of: it is made anew, too.
    life.count('a table from a later lake')
    const again = await project.tote('rebuild', '--accept-lake', '--json')
    expect(again.exit, `tote rebuild: ${again.stdout}`).toBe(0)
  }
  await observe(state)
  await runAndCheck(state, {}, recorded)
}

async function putFiles(state: State, { known }: Backup): Promise<void> {
  const { project } = state
  await rm(lakeFolder(state), { recursive: true, force: true })
  await cp(copyFolder(state), lakeFolder(state), { recursive: true })
  await openAgain(state)
  await dropDump(state)
  Object.assign(state, knownOf(known))
  state.known.clear()
  if (state.settings.tagLeftOut) state.accept.add('tag')
  // Whichever of the two it is called, the lake may know the other.
  state.accept.add('client')
  state.accept.add('customer')
  for (const table of ['place', 'item', 'sale', 'tag', 'beat', 'thing'])
    await project.source.query(`delete from kept.${table} where batch > ${known.shop}`)
  for (const table of CRM_TABLES)
    await project.source.query(`delete from kept.${table} where batch > ${known.crmBatch}`)
  await project.source.query(`delete from kept.region where batch > ${known.seeds}`)
}

function knownOf(from: Known): Known {
  return {
    taken: new Map(from.taken),
    segments: new Map(from.segments),
    points: [...from.points],
    shop: from.shop,
    seeds: from.seeds,
    crmBatch: from.crmBatch,
    extraAttribute: from.extraAttribute,
    thing: from.thing,
    carried: structuredClone(from.carried),
    retired: new Map([...from.retired].map(([name]) => [name, null])),
  }
}

async function unitsType({ project }: State): Promise<string> {
  const [row] = await project.source.query(
    `select format_type(atttypid, atttypmod) as type from pg_attribute where attrelid = 'public.sale'::regclass and attname = 'units'`,
  )
  return String(row?.['type'])
}
