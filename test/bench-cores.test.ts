/** Cores that the benchmarks give to processes. */
import { spawn } from 'node:child_process'
import { mkdtemp, readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { hasCores, keepTo } from '../bench/cores.ts'
import { timeProcess } from '../bench/timed-process.ts'

const NO_CORES = 'no second core, or no taskset to give it with'
const ALLOWED = /^Cpus_allowed_list:\s*(.+)$/m

test('a process and its children keep to the core they are given', async (ctx) => {
  if (!hasCores()) return ctx.skip(NO_CORES)
  const child = spawn('sh', ['-c', 'sleep 60 & echo $!; wait'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  try {
    const grandchild = await new Promise<string>((resolve) =>
      child.stdout.once('data', (bytes: Buffer) => resolve(bytes.toString().trim())),
    )
    keepTo(1, child.pid ?? 0)
    for (const pid of [String(child.pid), grandchild])
      expect(ALLOWED.exec(await readFile(`/proc/${pid}/status`, 'utf8'))?.[1]).toBe('1')
    process.kill(Number(grandchild))
  } finally {
    child.kill()
  }
})

test('a timed process keeps to its core from the start', async (ctx) => {
  if (!hasCores()) return ctx.skip(NO_CORES)
  const output = join(await mkdtemp(join(tmpdir(), 'tote-cores-')), 'status')
  await timeProcess('cat', ['/proc/self/status'], { core: 1, output })
  expect(ALLOWED.exec(await readFile(output, 'utf8'))?.[1]).toBe('1')
})
