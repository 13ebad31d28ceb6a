/** The process around the program: streams, signals and exit codes as a shell sees them. */
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const cli = fileURLToPath(new URL('../src/cli.ts', import.meta.url))

function start(...argv: string[]) {
  const child = spawn(process.execPath, ['--import', 'jiti/register', cli, ...argv])
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (text) => (stdout += text))
  child.stderr.on('data', (text) => (stderr += text))
  const ended = new Promise<number | null>((resolve) => child.on('close', resolve))
  return { child, end: async () => ({ exit: await ended, stdout, stderr }) }
}

test('the answer goes to stdout, an error to stderr, and the exit code tells them apart', async () => {
  const [version, wrong] = await Promise.all([start('--version').end(), start('rnu').end()])
  expect(version).toMatchObject({ exit: 0, stderr: '' })
  expect(version.stdout).toMatch(/^\d+\.\d+\.\d+\n$/)
  expect(wrong).toMatchObject({ exit: 2, stdout: '' })
  expect(wrong.stderr).toContain('Did you mean run?')
})

test.each([
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const)('%s while it waits ends it with %i and without a stack', async (signal, exit) => {
  const { child, end } = start('query', '-')
  // More than a pipe holds: written only when it is being read, and by then signals are listened to.
  child.stdin.on('error', () => undefined)
  child.stdin.write(' '.repeat(1_000_000), () => child.kill(signal))
  const ended = await end()
  expect(ended.exit).toBe(exit)
  expect(ended.stderr).toContain(`Interrupted by ${signal}`)
  expect(ended.stderr).not.toContain('    at ')
})

test('a reader that closes the pipe early (EPIPE) is no error', async () => {
  const { child, end } = start('explain')
  child.stdout.destroy()
  expect(await end()).toMatchObject({ exit: 0, stderr: '' })
})
