/** The models folder: every `.sql` file directly in it, in the order of their names. */
import { readdir, readFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { ToteError, type Problem } from '../errors.ts'
import { invalid } from './finding.ts'
import { parseModelText } from './header.ts'
import type { ModelText } from './model.ts'

/** Models whose headers cannot be read. */
export interface Unreadable {
  readonly names: readonly string[]
  readonly problems: readonly Problem[]
}

/**
 * Reads all models of a folder; `shownAs` is its path in messages. Throws ModelInvalid with every
 * problem of every header, also when there is no folder.
 */
export async function readModels(
  folder: string,
  shownAs: string = basename(folder),
): Promise<ModelText[]> {
  const { texts, unreadable } = await readFolder(folder, shownAs)
  if (unreadable.problems.length > 0) throw invalid(unreadable.problems)
  return texts
}

/** The same, for whoever binds what can be read and then tells all problems. Throws ModelInvalid when there is no folder. */
export async function readFolder(
  folder: string,
  shownAs: string,
): Promise<{ readonly texts: ModelText[]; readonly unreadable: Unreadable }> {
  const texts: ModelText[] = []
  const names: string[] = []
  const problems: Problem[] = []
  for (const file of await sqlFiles(folder, shownAs)) {
    const text = await readFile(join(folder, file), 'utf8')
    const parsed = parseModelText(basename(file, '.sql'), `${shownAs}/${file}`, text)
    problems.push(...parsed.problems)
    if (parsed.model === undefined) names.push(basename(file, '.sql'))
    else texts.push(parsed.model)
  }
  return { texts, unreadable: { names, problems } }
}

async function sqlFiles(folder: string, shownAs: string): Promise<string[]> {
  try {
    const entries = await readdir(folder, { withFileTypes: true })
    return entries
      .filter((entry) => !entry.isDirectory() && entry.name.endsWith('.sql'))
      .map((entry) => entry.name)
      .toSorted()
  } catch (cause) {
    throw new ToteError('ModelInvalid', `The folder of models "${shownAs}" cannot be read.`, {
      where: folder,
      cause,
    })
  }
}
