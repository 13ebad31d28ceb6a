/** Other checkouts of a test's project, on the same lake and warehouse, and its command line under the kill switch. */
import { spawn, type ChildProcess } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { cp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { openProject } from '../../src/project/project.ts'
import { run, type RunOptions, type RunResult } from '../../src/pipeline/run.ts'
import type { KillPoint } from './kill.ts'
import type { TestProject } from './project.ts'

/** Makes `folder` a checkout of the project as it stands, with these models in the place of its own. */
export async function checkOutAgain(
  project: TestProject,
  folder: string,
  models: Readonly<Record<string, string>>,
): Promise<void> {
  for (const name of ['tote.config.ts', '.env', 'models'])
    await cp(join(project.folder, name), join(folder, name), { recursive: true })
  await writeModels(folder, models)
  const config = join(folder, 'tote.config.ts')
  const text = await readFile(config, 'utf8')
  await writeFile(config, text.replaceAll("'lake/", `'${project.folder}/lake/`))
}

export async function writeModels(
  folder: string,
  models: Readonly<Record<string, string>>,
): Promise<void> {
  for (const [name, text] of Object.entries(models))
    await writeFile(join(folder, 'models', `${name}.sql`), text)
}

/** A run of a checkout in this process. */
export async function runIn(folder: string, options: RunOptions = {}): Promise<RunResult> {
  const opened = await openProject({ cwd: folder })
  try {
    return await run(opened, options, {
      run: 'second',
      signal: new AbortController().signal,
      now: () => new Date(),
      emit: () => undefined,
    })
  } finally {
    await opened.close()
  }
}

export interface Switched {
  readonly child: ChildProcess
  /** Resolves when the switch was thrown, with where; undefined when the run ended before. */
  readonly thrown: Promise<KillPoint | undefined>
  /** Its exit code; null when it was killed. */
  readonly ended: Promise<number | null>
}

/** `tote run` in a checkout, with the settings of kill-switch.mjs: KILL_AT, KILL_ON, KILL_WITH. */
export function startSwitched(
  folder: string,
  settings: Readonly<Record<string, string>>,
): Switched {
  const here = (name: string): string => fileURLToPath(new URL(name, import.meta.url))
  const report = join(tmpdir(), `tote-kill-${randomUUID()}.report`)
  const args = ['--import', here('kill-switch.mjs'), here('../../dist/cli.js'), 'run', '--json']
  const { PATH, HOME } = process.env
  const child = spawn(process.execPath, args, {
    cwd: folder,
    env: { PATH, HOME, KILL_REPORT: report, ...settings },
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  const ended = new Promise<number | null>((resolve) => child.on('close', resolve))
  const look = async (): Promise<KillPoint | undefined> => {
    const text = await readFile(report, 'utf8').catch(() => '')
    const line = text.split('\n').find((one) => one.startsWith('{"killed"') && one.endsWith('}'))
    return line === undefined ? undefined : (JSON.parse(line) as KillPoint)
  }
  const thrown = (async (): Promise<KillPoint | undefined> => {
    let over = false
    void ended.then(() => (over = true))
    for (;;) {
      const isLast = over
      const point = await look()
      if (point !== undefined || isLast) return point
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  })()
  void Promise.all([ended, thrown]).then(async () => rm(report, { force: true }))
  return { child, thrown, ended }
}
