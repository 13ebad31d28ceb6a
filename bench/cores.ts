/**
 * Cores given to processes, so that a server has one of its own beside all else on this machine, as it has on a machine of its
 * own. Linux only, by util-linux's `taskset`.
 */
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'

export type Core = 0 | 1

/** Whether there are two cores to give, and a way to. */
export function hasCores(): boolean {
  return availableParallelism() > 1 && spawnSync('taskset', ['-V']).status === 0
}

/** A command whose process keeps to the core from its start; to any where none is given. */
export function commandOn(
  core: Core | undefined,
  command: string,
  args: readonly string[],
): readonly [file: string, args: readonly string[]] {
  return core === undefined ? [command, args] : ['taskset', ['-c', String(core), command, ...args]]
}

/** Keeps a process and those that it has started to the core, and from now on whatever they start. Throws where that may not be. */
export function keepTo(core: Core, pid: number): void {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim()
  for (const one of [String(pid), ...children.split(' ').filter(Boolean)]) {
    const { status, stderr } = spawnSync('taskset', ['-acp', String(core), one])
    if (status !== 0) throw new Error(`taskset: ${String(stderr).trim()}`)
  }
}
