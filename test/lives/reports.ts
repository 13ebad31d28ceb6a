/** What only looks: every command that answers, asked of a project in the middle of its life. */
import { expect } from 'vitest'
import { runAndCheck } from './runs.ts'
import type { State } from './state.ts'

export async function askEverything(state: State): Promise<void> {
  const { project, models, chance, settings } = state
  if (chance.yes(0.7)) await runAndCheck(state)
  const before = await project.standing()
  const name = chance.of([...models.keys()])
  const table = chance.of([
    'place',
    'item',
    'sale',
    'beat',
    ...(settings.tagLeftOut ? [] : ['tag']),
  ])
  const batch = chance.of(state.points).batch
  const lines: readonly (readonly string[])[] = [
    ['status'],
    ['list'],
    ['list', '--json'],
    ['show', name],
    ['show', name, '--as-of', String(batch)],
    ['show', table === 'item' ? 'crm.item' : table],
    ['show', `shop.${table}`, '--as-of', String(batch)],
    ['show', name, '--json'],
    ['runs'],
    ['roles'],
    ['query', `select count(*) from shop_changes.${table}`],
    ['query', `select count(*) from changes.${name}`],
    ['query', '--as-of', String(batch), `select * from changes.${name} order by _tote_batch`],
    ['query', '--warehouse', `select * from ${name}`],
  ]
  for (const line of lines) {
    // A model that is not in the lake yet has no rows to show.
    if (line.includes(name) && !state.taken.has(name)) continue
    const told = await project.onTerminal(...line)
    expect(told.exit, `tote ${line.join(' ')}\n${told.stdout}\n${told.stderr}`).toBe(0)
  }
  expect(await project.standing(), 'who looks writes nothing').toEqual(before)
}

/** Whether models hang on the order of rows: none does here. */
export async function checkData(state: State): Promise<void> {
  await runAndCheck(state)
  const told = await state.project.onTerminal('check', '--data', '--live')
  expect(told.exit, `${told.stdout}\n${told.stderr}`).toBe(0)
}
