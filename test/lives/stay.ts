/** A project that stays open from one run to the next, as in a program that has a schedule of its own. */
import type { NewEvent } from '../../src/events.ts'
import { run, type RunOptions, type RunResult } from '../../src/pipeline/run.ts'
import { openProject } from '../../src/project/project.ts'
import { contextHere } from '../support/here.ts'
import type { State } from './state.ts'

/** Opened, and closed again when it was open: what it holds in memory is gone then. */
export async function openOrClose(state: State): Promise<void> {
  if (await closeOpen(state)) return
  state.open = await openProject({ cwd: state.project.folder })
  state.life.count('stays open')
}

/** True when it was open. Settings are read once: who edits them opens it anew. */
export async function closeOpen(state: State): Promise<boolean> {
  const { open } = state
  state.open = null
  await open?.close()
  return open !== null
}

export async function openAgain(state: State): Promise<void> {
  if (await closeOpen(state)) state.open = await openProject({ cwd: state.project.folder })
}

/** One run, by whatever stays open, or by an opening of its own. */
export async function runOnce(
  { open, project, life }: State,
  options: RunOptions = {},
): Promise<RunResult & { readonly events: readonly NewEvent[] }> {
  if (open === null) return project.run(options)
  life.count('runs of one opening')
  const events: NewEvent[] = []
  const result = await run(
    open,
    options,
    contextHere((event) => void events.push(event)),
  )
  return { ...result, events }
}
