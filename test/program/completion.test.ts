import { spawnSync } from 'node:child_process'
import { expect, test } from 'vitest'
import { play } from '../support/surface.ts'

const complete = async (...words: string[]): Promise<string[]> => {
  const { exit, stdout, stderr } = await play(['complete', '--', ...words], {
    pipeline: {
      names: async () => ({
        models: ['dim_a'],
        shown: ['dim_a', 'shop.Odd Name'],
        runs: ['1M7XA', '1M7XB'],
      }),
    },
  })
  expect({ exit, stderr }).toEqual({ exit: 0, stderr: '' })
  return stdout === '' ? [] : stdout.trimEnd().split('\n')
}

test.each([
  [['st'], ['status']],
  [['run', '--on'], ['--only']],
  [
    ['run', '--only', ''],
    ['extract', 'load', 'transform'],
  ],
  [['-C', 'shop', 'run', '--only', 'l'], ['load']],
  [
    ['show', ''],
    ['dim_a', 'shop.Odd Name'],
  ],
  [['show', '--limit', ''], []],
  [['run', '--dry-run', '-s', ''], ['dim_a']],
  [['run', '--select', 'dim_b', 'dim'], ['dim_a']],
  [['run', '--select', 'dim_a', '--dry'], ['--dry-run']],
  [['runs', '1M7XB'], ['1M7XB']],
  [['logs', 'l'], ['last']],
  [['explain', 'SourceUn'], ['SourceUnreachable']],
  [['completion', 'z'], ['zsh']],
  [['query', ''], []],
])('after %j may come %j', async (words, found) => {
  expect(await complete(...words)).toEqual(found)
})

test('every command and its flags are completed', async () => {
  expect(await complete('')).toEqual(expect.arrayContaining(['init', 'run', 'show', 'completion']))
  expect(await complete('status', '--')).toEqual(expect.arrayContaining(['--json', '--help']))
})

test('what goes wrong while somebody types is not said', async () => {
  const openProject = async (): Promise<never> => Promise.reject(new Error('no project'))
  expect(await play(['complete', '--', 'show', ''], { pipeline: { openProject } })).toEqual({
    exit: 0,
    stdout: '',
    stderr: '',
  })
})

test.each(['bash', 'zsh', 'fish'])('the script for %s is one that asks tote', async (shell) => {
  const { exit, stdout } = await play(['completion', shell])
  expect(exit).toBe(0)
  expect(stdout).toContain('tote complete -- ')
  expect(JSON.parse((await play(['completion', shell, '--json'])).stdout)).toMatchObject({
    command: 'completion',
    data: { shell, script: stdout },
  })
})

test('another shell is refused with the nearest', async () => {
  expect((await play(['completion', 'bsh'])).stderr).toContain('Did you mean bash?')
})

test('bash completes a name with a blank as one word', async () => {
  const { stdout: script } = await play(['completion', 'bash'])
  const shell = spawnSync(
    'bash',
    [
      '-c',
      `tote() { printf '%s\\n' 'shop.Odd Name' "got $*"; }
       complete() { :; }
       ${script}
       COMP_WORDS=(tote show 'shop.O'); COMP_CWORD=2; _tote; printf '%s|' "\${COMPREPLY[@]}"`,
    ],
    { encoding: 'utf8' },
  )
  expect(shell.stderr).toBe('')
  expect(shell.stdout).toBe(String.raw`shop.Odd\ Name|got\ complete|--|show|shop.O|`)
})
