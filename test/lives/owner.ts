/** What the owner of a project does to it, and what happens to it, between two runs. */
import { mkdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { dropHanging } from './hanging.ts'
import { columnsOf } from './mirror.ts'
import { edited, FIRST_VARIANTS, write } from './models.ts'
import { openAgain } from './stay.ts'
import { environmentOf, said, writeModels, writeSeeds, type State } from './state.ts'
import { configOf } from './world.ts'

export async function editSome(state: State): Promise<void> {
  const { models, chance } = state
  for (let n = 0; n <= chance.below(3); n++) {
    const name = chance.of([...models.keys()].filter((one) => one !== 'fact_beat'))
    const variant = models.get(name)
    if (variant !== undefined) models.set(name, edited(name, variant, chance))
    said(state, write(name, models.get(name) ?? { kind: 'table', parts: {} }).text)
  }
  await writeModels(state)
}

export async function editFiles(state: State): Promise<void> {
  const { models, chance } = state
  const name = chance.of(['fact_totals', 'tags', 'all_item', 'dim_place'])
  const other = `${name}_renamed`
  const here = models.get(name)
  const there = models.get(other)
  if (here !== undefined) {
    models.delete(name)
    if (chance.yes(0.4)) models.set(other, here)
  } else if (there !== undefined) {
    models.delete(other)
    if (chance.yes(0.6)) models.set(name, there)
  } else
    models.set(name, edited(name, FIRST_VARIANTS[name] ?? { kind: 'table', parts: {} }, chance))
  said(state, `models: ${[...models.keys()].join(', ')}`)
  await writeModels(state)
}

export async function editConfig(state: State): Promise<void> {
  const { settings, chance, project } = state
  const table = chance.of(['sale', 'item', 'place'] as const)
  const edits: (() => void)[] = [
    () => (settings.excluded = !settings.excluded),
    () => (settings.mask = chance.of(['none', 'hash', 'redact', 'drop'])),
    () => (settings.region = chance.of(['none', 'hash', 'redact', 'drop'])),
    () => (settings.stockOut = !settings.stockOut),
    () => (settings.all = chance.of(['auto', 'xmin', 'compare'])),
    () => (settings.crm = chance.of(['auto', 'xmin', 'compare'])),
    () => (settings.placeKey = !settings.placeKey),
    () => (settings.secret = `secret number ${chance.below(3)} of all`),
    () => (settings.where = chance.of(['true', 'place_id <> 2', 'item_id > 1'])),
    () =>
      (settings.strategy[table] = chance.of(
        table === 'sale' ? ['auto', 'compare', 'xmin', 'cursor'] : ['auto', 'compare', 'xmin'],
      )),
    () => (settings.format = chance.of(['parquet', 'csv', 'json'])),
    () => (settings.baseAfter = chance.of([1, 2, 3, 32])),
    () => {
      settings.tagLeftOut = !settings.tagLeftOut
      if (settings.tagLeftOut) state.accept.add('tag')
    },
    () => (settings.memory = chance.of([`memory: '512MB',`, ''])),
  ]
  for (let n = 0; n <= chance.below(2); n++) chance.of(edits)()
  said(state, JSON.stringify(settings))
  await project.configure(configOf(settings))
  await project.environment(environmentOf(state))
  await openAgain(state)
}

export async function editSeeds(state: State): Promise<void> {
  const { chance, project } = state
  state.seedRows = [0, 1, 2, 3]
    .filter(() => chance.yes(0.7))
    .map((n) => [`R${n}`, `Label ${n}${chance.of(['', ', 1', ' "2"', '\n3'])}`] as const)
  state.seedColumns = chance.of([
    ['code', 'label'],
    ['code', 'label', 'more'],
    ['code', 'other', 'label'],
  ])
  said(state, JSON.stringify(state.seedRows))
  await writeSeeds(state)
  await project.source.query('update beat set n = n + 1')
}

/** True when a column has another type now, with which no older version goes on (docs/models.md): it must not meet an edit. */
export async function changeSchema(state: State): Promise<boolean> {
  const {
    project: { source },
    chance,
  } = state
  const has = (await columnsOf(source, 'sale')).has('extra')
  const isWidened = chance.yes(0.25)
  const sql = isWidened
    ? 'alter table sale alter column units type bigint'
    : has
      ? chance.yes(0.4)
        ? 'alter table sale drop column extra'
        : 'update sale set extra = coalesce(extra, 0) + 1, touched = clock_timestamp() where sale_id % 2 = 0'
      : `alter table sale add column extra integer ${chance.yes(0.5) ? 'default 7' : ''}`
  await source.query(`${said(state, sql)}; update beat set n = n + 1`)
  return isWidened
}

export async function emptyWarehouse(state: State): Promise<void> {
  const { project } = state
  await dropHanging(state)
  await project.warehouse.query(
    `drop schema if exists tote cascade; drop schema public cascade; create schema public; alter schema public owner to ${project.loader}`,
  )
  for (const name of state.retired.keys()) state.retired.set(name, null)
}

const dumpName = ({ project }: State): string => `${project.warehouse.name}_dump`

export async function endSessions({ project: { warehouse }, admin }: State): Promise<void> {
  await admin.warehouse.query(
    `select pg_terminate_backend(pid) from pg_stat_activity where datname like '${warehouse.name}%'`,
  )
  await new Promise((resolve) => setTimeout(resolve, 50))
}

export async function dump(state: State): Promise<void> {
  const {
    project: { warehouse, loader },
    admin: { warehouse: admin },
    life,
  } = state
  const name = dumpName(state)
  await dropHanging(state)
  await endSessions(state)
  if (state.dump) {
    life.count('dump put back')
    await admin.query(`drop database ${warehouse.name} with (force)`)
    await admin.query(`create database ${warehouse.name} template ${name}`)
    await admin.query(`alter database ${warehouse.name} owner to ${loader}`)
    await admin.query(`drop database ${name}`)
    for (const one of state.retired.keys()) state.retired.set(one, null)
  } else await admin.query(`create database ${name} template ${warehouse.name}`)
  state.dump = !state.dump
}

export async function dropDump(state: State): Promise<void> {
  if (state.dump) await state.admin.warehouse.query(`drop database if exists ${dumpName(state)}`)
  state.dump = false
}

export async function moveLake(state: State): Promise<void> {
  const { project, settings } = state
  const to = settings.lake === 'lake' ? 'lake/elsewhere/pond' : 'lake'
  const folder = (path: string): string => join(project.folder, path)
  await rename(folder(settings.lake), folder('moved'))
  await mkdir(join(folder(to), '..'), { recursive: true })
  await rm(folder(to), { recursive: true, force: true })
  await rename(folder('moved'), folder(to))
  settings.lake = to
  await project.configure(configOf(settings))
  await openAgain(state)
}
