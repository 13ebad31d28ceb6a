/**
 * The one place where the command line touches the process: streams, environment, clock, signals.
 * All else is handed a Surface, so that tests drive the real program without a process.
 */
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { addAbortSignal } from 'node:stream'
import { text } from 'node:stream/consumers'
import type { WriteStream } from 'node:tty'
import { ToteError } from '../errors.ts'
import type { TextOutput } from '../observability/reader.ts'

export interface Surface {
  readonly stdout: TextOutput
  readonly stderr: TextOutput
  readonly cwd: string
  readonly env: Readonly<Record<string, string | undefined>>
  /** Aborted by the first SIGINT, SIGTERM or SIGHUP; the reason is a ToteError that names it. */
  readonly signal: AbortSignal
  now(): Date
  random(bytes: number): Uint8Array
  /** All of stdin. */
  readInput(): Promise<string>
  /** Asks the person at the terminal; null where there is none. */
  readonly ask: ((question: string) => Promise<string>) | null
}

/** Exit codes by custom: 128 and the signal's number. */
const SIGNALS = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const

/** The process as a Surface. A second signal ends it at once. */
export function openSurface(): Surface {
  const controller = new AbortController()
  for (const [name, exit] of Object.entries(SIGNALS)) {
    process.on(name, () => {
      if (controller.signal.aborted) process.exit(exit)
      controller.abort(interruption(name))
    })
  }
  return {
    stdout: openOutput(process.stdout, outputFailed),
    stderr: openOutput(process.stderr, () => process.exit(3)),
    cwd: process.cwd(),
    env: process.env,
    signal: controller.signal,
    now: () => new Date(),
    random: (bytes) => randomBytes(bytes),
    readInput: () => text(addAbortSignal(controller.signal, process.stdin)),
    ask:
      process.stdin.isTTY && process.stderr.isTTY
        ? async (question) => askPerson(question, controller.signal)
        : null,
  }
}

/** One line from the terminal. Throws RunCancelled when the person ends the input instead. */
async function askPerson(question: string, signal: AbortSignal): Promise<string> {
  const { createInterface } = await import('node:readline/promises')
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  // In raw mode the terminal sends no signal for Ctrl-C.
  terminal.on('SIGINT', () => process.kill(process.pid, 'SIGINT'))
  try {
    const ended = new Promise<never>((_, reject) => {
      terminal.once('close', () =>
        reject(new ToteError('RunCancelled', 'The question was not answered; nothing was written')),
      )
    })
    return await Promise.race([terminal.question(question, { signal }), ended])
  } catch (error) {
    signal.throwIfAborted()
    throw error
  } finally {
    terminal.close()
  }
}

/** An answer that nobody gets is no answer; the state is consistent at any moment (P4). */
function outputFailed({ code, message }: NodeJS.ErrnoException): void {
  process.stderr.write(`The answer could not be written (${code ?? message})\n`)
  process.exit(3)
}

/** What a run ends with that a signal stopped. */
export function interruption(signal: string): ToteError {
  return new ToteError('RunCancelled', `Interrupted by ${signal}; nothing is half done`, {
    details: { signal },
  })
}

/** The exit code of an error: its own, or that of the signal behind it. */
export function exitCodeOf(error: ToteError): number {
  const signal = error.name === 'RunCancelled' ? error.facts.details?.['signal'] : undefined
  const exit = Object.entries(SIGNALS).find(([name]) => name === signal)?.[1]
  return exit ?? error.exit
}

/** Whether colour is wanted on an output: the flag, then FORCE_COLOR, NO_COLOR, then the stream. */
export function wantsColour(output: TextOutput, env: Surface['env'], flag: boolean): boolean {
  if (!flag) return false
  const force = env['FORCE_COLOR']
  if (force !== undefined) return force !== '0' && force !== 'false'
  if ((env['NO_COLOR'] ?? '') !== '' || env['TERM'] === 'dumb') return false
  return output.isTTY
}

/**
 * A stream that may go away: when its reader has closed the pipe, what is still written is dropped,
 * so that `tote run | head` carries its batch to the end. Any other failure is handed over.
 */
export function openOutput(
  stream: NodeJS.WriteStream | WriteStream,
  onFailure: (error: NodeJS.ErrnoException) => void,
): TextOutput {
  let gone = false
  stream.on('error', (error: NodeJS.ErrnoException) => {
    gone = true
    if (error.code !== 'EPIPE') onFailure(error)
  })
  return {
    write(text) {
      if (!gone) stream.write(text)
    },
    isTTY: stream.isTTY === true,
    get columns() {
      return stream.columns ?? 80
    },
    get rows() {
      return stream.rows ?? 24
    },
  }
}

/** The version in package.json, which lies as far from `src/cli` as from `dist/cli`. */
export function version(): string {
  const manifest: unknown = JSON.parse(
    readFileSync(new URL('../../package.json', import.meta.url), 'utf8'),
  )
  const found =
    typeof manifest === 'object' && manifest !== null && 'version' in manifest
      ? manifest.version
      : undefined
  return typeof found === 'string' ? found : 'unknown'
}
