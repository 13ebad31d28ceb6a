/** What others hang on the star's tables: it stays, or the run stops by name and nothing is changed. */
import { expect } from 'vitest'
import { runAndCheck } from './runs.ts'
import { write } from './models.ts'
import { said, type State } from './state.ts'

/** Relations by name, as `drop` calls their kind. */
export type Hung = Map<string, 'view' | 'materialized view' | 'index'>

/** A view, a materialized one, or an index over a table of the star. */
export async function hang(state: State): Promise<void> {
  const { project, chance, models } = state
  await runAndCheck(state)
  const name = chance.of([...models.keys()])
  const variant = models.get(name)
  if (variant === undefined) return
  const { key } = write(name, variant)
  const hung = `hung_${state.hungSoFar++}`
  const from =
    (variant.kind === 'fact' || variant.kind === 'history') && chance.yes(0.3)
      ? `${name}_current`
      : name
  const ways = {
    view: `create view ${hung} as select * from ${from}`,
    'materialized view': `create materialized view ${hung} as select ${key.join(', ')}, count(*) as times from ${from} group by ${key.join(', ')}`,
    index: `create index ${hung} on ${name} (${key.toReversed().join(', ')})`,
  } as const
  const kind = chance.of(Object.keys(ways) as (keyof typeof ways)[])
  const more = kind === 'index' ? '' : `comment on ${kind} ${hung} is 'of ${name}'`
  await project.warehouse.query(
    `set role ${project.loader}; ${said(state, ways[kind])}; ${more}; reset role`,
  )
  state.hung.set(hung, kind)
}

export async function expectHanging({ project, hung }: State): Promise<void> {
  for (const [name, kind] of hung) {
    const [found] = await project.warehouse.query(
      `select obj_description(to_regclass('public.${name}')) as said, to_regclass('public.${name}') as found`,
    )
    expect(found?.['found'], `${kind} ${name}`).not.toBeNull()
    if (kind === 'index') continue
    expect(found?.['said'], `${kind} ${name}`).toMatch(/^of /)
    await project.warehouse.query(`select * from ${name}`)
  }
}

export async function dropHanging({ project, hung }: State): Promise<void> {
  for (const [name, kind] of hung)
    await project.warehouse.query(`drop ${kind} if exists public.${name} cascade`)
  hung.clear()
}
