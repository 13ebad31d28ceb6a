/** The tests of a project: every `.md` file directly in its folder `tests`. */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ToteError, type Problem } from '../errors.ts'
import { parseCases, type Case, type KnownColumns } from './case.ts'

export interface Cases {
  readonly cases: readonly Case[]
  readonly known: readonly KnownColumns[]
}

/** None when there is no such folder. Throws TestInvalid with every problem of every file. */
export async function readCases(folder: string, shownAs: string): Promise<Cases> {
  const names = await readdir(folder).catch(() => [])
  const cases: Case[] = []
  const known: KnownColumns[] = []
  const problems: Problem[] = []
  for (const name of names.filter((file) => file.endsWith('.md')).toSorted()) {
    const file = parseCases(`${shownAs}/${name}`, await readFile(join(folder, name), 'utf8'))
    cases.push(...file.cases)
    known.push(...file.known)
    problems.push(...file.problems)
  }
  if (problems.length > 0) throw testInvalid(problems)
  return { cases, known }
}

export function testInvalid(problems: readonly Problem[]): ToteError {
  return new ToteError('TestInvalid', 'The tests of models have problems.', {
    problems,
    fix: 'docs/models.md says how a test is written',
  })
}
