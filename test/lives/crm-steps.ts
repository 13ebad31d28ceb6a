/** What befalls the second source: its rows and keys change, it is down, a table is renamed, it is restored from a dump. */
import { expect } from 'vitest'
import type { TestDatabase } from '../support/postgres.ts'
import type { Chance } from './chance.ts'
import { crmSetup, crmSql, drawCrmTypes, hasTable } from './crm.ts'
import { twinTypes } from './crm-models.ts'
import { runAndCheck } from './runs.ts'
import { runOnce } from './stay.ts'
import { newestPoint, observe, said, type State } from './state.ts'
import type { OwnServers } from '../support/servers.ts'
import { withPassword, type TestProject } from '../support/project.ts'
import { SECRET } from '../support/project-shop.ts'

export interface Crm {
  readonly database: TestDatabase
  readonly url: string
}

/** Its database, which the reader may read. The warehouse has the extension, or has not. */
export async function openCrm(
  servers: OwnServers,
  { reader, warehouse }: TestProject,
  chance: Chance,
): Promise<Crm> {
  const database = await servers.warehouse.createDatabase('e2e_crm')
  const types = drawCrmTypes(chance)
  await database.query(crmSetup(types))
  await database.query(
    `create role ${reader} login password '${SECRET}-reader';
     grant select on all tables in schema public to ${reader};
     alter default privileges in schema public grant select on tables to ${reader}`,
  )
  twinTypes.isFolded = types.c === 'citext' && chance.yes(0.5)
  if (twinTypes.isFolded)
    await warehouse.query(
      'create schema ext; create extension citext schema ext; grant usage on schema ext to public',
    )
  return { database, url: withPassword(database.roleUrl(reader), `${SECRET}-reader`) }
}

/** Its rows; mostly the first source's, too, so that it is a batch whatever models make of them. */
export async function changeCrm(state: State): Promise<void> {
  const { crm, project, chance } = state
  await crm.database.query(said(state, await crmSql(crm.database, chance)))
  if (chance.yes(0.8)) await project.source.query('update beat set n = n + 1')
}

export async function befallCrm(state: State): Promise<void> {
  const { chance, crm } = state
  const way = chance.of([down, renameTable, dumpOrRestore, otherKey])
  if (chance.yes(0.7)) await crm.database.query(said(state, await crmSql(crm.database, chance)))
  await way(state)
}

/** While it lets nobody in, the first goes on; then both do. */
async function down(state: State): Promise<void> {
  const { crm, admin, project, life, chance } = state
  const { name } = crm.database
  await admin.warehouse.query(said(state, `alter database ${name} allow_connections false`))
  await endSessionsOf(admin.warehouse, name)
  life.count('second source down')
  try {
    for (let n = 0; n <= chance.below(2); n++) {
      await project.source.query('update beat set n = n + 1')
      await runAndCheck(state, { failing: ['SourceUnreachable', 'SourceRefused'] })
    }
  } finally {
    await admin.warehouse.query(`alter database ${name} allow_connections true`)
  }
  await runAndCheck(state)
}

async function endSessionsOf(admin: TestDatabase, name: string): Promise<void> {
  await admin.query(
    `select pg_terminate_backend(pid) from pg_stat_activity where datname = '${name}'`,
  )
  await new Promise((resolve) => setTimeout(resolve, 50))
}

/** Refused until accepted; then its rows stay, and are compared when it is back. */
async function renameTable(state: State): Promise<void> {
  const { crm, project, life } = state
  if (!(await hasTable(crm.database, 'client'))) {
    await crm.database.query(said(state, 'alter table customer rename to client'))
    state.accept.add('customer')
    life.count('table renamed back')
    return void (await runAndCheck(state))
  }
  await runAndCheck(state)
  await crm.database.query(said(state, 'alter table client rename to customer'))
  await refusedThenAccepted(state, 'client')
  await project.source.query('update beat set n = n + 1')
  life.count('table renamed')
}

async function refusedThenAccepted(state: State, table: string): Promise<void> {
  const recorded = newestPoint(state)
  const { error } = await runOnce(state, { acceptChange: [...state.accept] })
  expect(error?.name, `refused: ${error?.message}`).toBe('SourceChanged')
  await observe(state)
  state.accept.add(table)
  await runAndCheck(state, {}, recorded)
}

/** Another key for its rows to be told apart by at the source: not in the lake. */
async function otherKey(state: State): Promise<void> {
  const { crm, chance } = state
  const { key } = drawCrmTypes(chance)
  await crm.database.query(
    said(
      state,
      `alter table twin drop constraint twin_pkey; alter table twin add primary key (${key.join(', ')})`,
    ),
  )
}

/** Put back to an earlier state, under its name, in another database: what changed since is undone, by an ordinary batch. */
async function dumpOrRestore(state: State): Promise<void> {
  const { crm, admin, life } = state
  const { name } = crm.database
  const copy = `${name}_dump`
  await runAndCheck(state)
  await endSessionsOf(admin.warehouse, name)
  if (!state.crmDump) {
    await admin.warehouse.query(said(state, `create database ${copy} template ${name}`))
    state.crmDump = true
    return
  }
  life.count('second source restored')
  const had = await hasTable(crm.database, 'client')
  await endSessionsOf(admin.warehouse, name)
  await admin.warehouse.query(said(state, `drop database ${name} with (force)`))
  await admin.warehouse.query(`alter database ${copy} rename to ${name}`)
  state.crmDump = false
  const has = await hasTable(crm.database, 'client')
  const lost = has === had ? null : has ? 'customer' : 'client'
  if (lost !== null) await refusedThenAccepted(state, lost)
  else await runAndCheck(state)
}

export async function dropCrm({ crm, admin, crmDump }: State): Promise<void> {
  if (crmDump)
    await admin.warehouse.query(`drop database if exists ${crm.database.name}_dump with (force)`)
  await crm.database.drop()
}
