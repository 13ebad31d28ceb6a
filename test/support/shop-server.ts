/** The shop on a server of a test's own, and whether a warehouse holds what such a server holds. */
import { expect } from 'vitest'
import type { Cluster } from './cluster.ts'
import { createProject, type TestProject } from './project.ts'
import { ORACLE, SHOP } from './project-shop.ts'

/** Makes a database `shop` there. */
export async function fillShop(cluster: Cluster): Promise<void> {
  await cluster.query('postgres', 'create database shop')
  await cluster.query(
    'shop',
    `${SHOP}; create role reader login; grant select on all tables in schema public to reader`,
  )
}

/** A project whose source is the shop of whichever server `pointAt` names last. */
export async function projectOn(
  cluster: Cluster,
  source = '',
): Promise<TestProject & { pointAt(other: Cluster): Promise<void> }> {
  const project = await createProject({ source })
  const pointAt = async (other: Cluster): Promise<void> =>
    project.environment({ SHOP_URL: other.url('shop', 'reader') })
  await pointAt(cluster)
  return { ...project, pointAt }
}

/** Every model, as PostgreSQL computes it there, against the warehouse's current rows. */
export async function expectShop(project: TestProject, cluster: Cluster): Promise<void> {
  for (const [model, sql] of Object.entries(ORACLE)) {
    const rows = (from: string): string =>
      `select coalesce(string_agg(r::text, E'\\n' order by r::text), '') as rows from (${from}) r`
    const [expected] = await cluster.query('shop', rows(`select to_jsonb(t) from (${sql}) t`))
    const current = model.startsWith('fact_') ? 'valid_to is null' : 'not is_deleted'
    const own = `to_jsonb(t) - '{sale_record_id,payment_record_id,valid_from,valid_to,is_deleted,batch}'::text[]`
    const [found] = await project.warehouse.query(
      rows(`select ${own} from public.${model} t where ${current}`),
    )
    expect({ model, rows: found?.['rows'] }).toEqual({ model, rows: expected?.['rows'] })
  }
}
