/** What every refusal owes its user: the exit code, the name, words to act on, and a world left as it was. */
import { expect } from 'vitest'
import { ERRORS, type ErrorName } from '../../src/errors.ts'
import type { Standing } from './project-standing.ts'
import type { TestProject, Told } from './project.ts'

export interface Refusal {
  readonly name: ErrorName
  /** What a user must read: what, where, and what to do. */
  readonly says: readonly (string | RegExp)[]
  /** The command line; `run` when not given. */
  readonly args?: readonly string[]
  /** What may move all the same: stages before the refusing one have done their work. */
  readonly moves?: 'nothing' | 'ingestion' | 'lake'
}

/** Runs a command line that must be refused, and compares everything before and after. */
export async function expectRefusal(project: TestProject, refusal: Refusal): Promise<Told> {
  const { name, says, args = ['run'], moves = 'nothing' } = refusal
  const before = await project.standing()
  const told = await project.tote(...args)
  expect(`${told.stderr}\n(exit ${told.exit})`).toContain(`${name}  `)
  expect(told.exit).toBe(ERRORS[name].exit)
  for (const words of says) {
    if (typeof words === 'string') expect(oneLine(told.stderr)).toContain(words)
    else expect(oneLine(told.stderr)).toMatch(words)
  }
  expect(standingWithout(await project.standing(), moves)).toEqual(standingWithout(before, moves))
  return told
}

/** A message may be laid out over several lines. */
function oneLine(text: string): string {
  return text.replaceAll(/\s+/g, ' ')
}

function standingWithout(
  { manifests, warehouse }: Standing,
  moves: 'nothing' | 'ingestion' | 'lake',
): Standing {
  const stays = { nothing: '', ingestion: 'processed/', lake: 'nothing of the lake' }[moves]
  return { manifests: manifests.filter((line) => line.startsWith(stays)), warehouse }
}
