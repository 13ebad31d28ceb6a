/** A process, timed from its start to its end. One that fails is no figure but an error. */
import { spawn } from 'node:child_process'
import { open, type FileHandle } from 'node:fs/promises'
import { commandOn, type Core } from './cores.ts'

export interface TimedOptions {
  readonly cwd?: string
  /** The whole environment. */
  readonly env?: NodeJS.ProcessEnv
  /** Standard input. */
  readonly input?: string
  /** Where standard output goes; thrown away when not given. */
  readonly output?: string
  /** In a session of its own, as a scheduler would start it: Linux shares the cores out among sessions first. */
  readonly ownSession?: boolean
  /** The core that it keeps to; any when not given. */
  readonly core?: Core | undefined
}

/** Returns seconds. Throws, with the end of standard error, unless it exits with 0. */
export async function timeProcess(
  command: string,
  args: readonly string[],
  options: TimedOptions = {},
): Promise<number> {
  const input = await openAt(options.input, 'r')
  const output = await openAt(options.output, 'w')
  try {
    const startedAt = performance.now()
    const [file, all] = commandOn(options.core, command, args)
    const child = spawn(file, all, {
      cwd: options.cwd,
      env: options.env,
      detached: options.ownSession === true,
      stdio: [input?.fd ?? 'ignore', output?.fd ?? 'ignore', 'pipe'],
    })
    let complaint = ''
    child.stderr?.on('data', (chunk: Buffer) => (complaint += chunk.toString()))
    const code = await new Promise<number | null>((resolve, reject) => {
      child.on('error', reject)
      child.on('exit', resolve)
    })
    const seconds = (performance.now() - startedAt) / 1000
    if (code !== 0)
      throw new Error(`${command} ended with ${code ?? 'a signal'}: ${complaint.slice(-2000)}`)
    return seconds
  } finally {
    await input?.close()
    await output?.close()
  }
}

async function openAt(path: string | undefined, flags: 'r' | 'w'): Promise<FileHandle | undefined> {
  return path === undefined ? undefined : open(path, flags)
}
