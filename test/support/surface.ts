/** A Surface without a process: what was written, and to which stream, is kept as text. */
import { main } from '../../src/program/program.ts'
import type { Pipeline } from '../../src/cli/pipeline.ts'
import type { Surface } from '../../src/cli/surface.ts'
import type { TextOutput } from '../../src/observability/reader.ts'
import type { Project } from '../../src/project/project.ts'

export interface Written extends TextOutput {
  text(): string
}

export function captureOutput(
  size: { isTTY?: boolean; columns?: number; rows?: number } = {},
): Written {
  let text = ''
  const { isTTY = false, columns = 80, rows = 24 } = size
  return { isTTY, columns, rows, text: () => text, write: (more) => void (text += more) }
}

export interface Played {
  readonly exit: number
  readonly stdout: string
  readonly stderr: string
}

export interface Play {
  readonly pipeline?: Partial<Pipeline>
  readonly surface?: Partial<Surface>
  /** Where `.tote` is. */
  readonly stateFolder?: string
  readonly terminal?: boolean
}

/** Two runs of one project have two ids, and every test sees the same ones. */
const played = new Map<string, number>()

/** One command line, played through the real program. */
export async function play(argv: readonly string[], options: Play = {}): Promise<Played> {
  const { pipeline = {}, surface = {}, stateFolder = '/nowhere/.tote', terminal = false } = options
  const turn = (played.get(stateFolder) ?? 0) + 1
  played.set(stateFolder, turn)
  const stdout = captureOutput({ isTTY: terminal })
  const stderr = captureOutput({ isTTY: terminal })
  const unused = async (): Promise<never> => {
    throw new Error('this command should not have called it')
  }
  const project = {
    name: 'shop',
    folder: '/nowhere',
    stateFolder,
    close: async () => undefined,
  } as unknown as Project
  const exit = await main(
    argv,
    {
      stdout,
      stderr,
      cwd: '/',
      env: {},
      signal: new AbortController().signal,
      now: () => new Date('2026-11-20T11:06:48.000Z'),
      random: (bytes) => new Uint8Array(bytes).fill(turn),
      readInput: async () => '',
      ask: null,
      ...surface,
    },
    {
      openProject: async () => project,
      rebuild: unused,
      run: unused,
      verify: unused,
      status: unused,
      query: unused,
      check: unused,
      test: unused,
      init: unused,
      roles: unused,
      list: unused,
      names: unused,
      show: unused,
      ...pipeline,
    },
  )
  return { exit, stdout: stdout.text(), stderr: stderr.text() }
}
