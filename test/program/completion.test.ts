import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
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

/** Names that are there, and nothing for the flag of a file. */
const ANSWER = `case "$*" in *-c*) ;; *) printf '%s\\n' 'shop.Odd Name' shop.plain ;; esac`

test('fish completes names, a blank in them included, and files where there is no name', async (ctx) => {
  ctx.skip(spawnSync('fish', ['--version']).error !== undefined, 'there is no fish here')
  const { stdout: script } = await play(['completion', 'fish'])
  const folder = mkdtempSync(join(tmpdir(), 'tote-fish-'))
  writeFileSync(join(folder, 'other.config.ts'), '')
  const asked = [
    'function tote; if not contains -- -c $argv; printf "%s\\n" "shop.Odd Name" shop.plain; end; end',
    script,
    "complete -C 'tote show shop.'",
    "complete -C 'tote status -c oth'",
  ]
  const shell = spawnSync('fish', ['--no-config', '-c', asked.join('\n')], {
    encoding: 'utf8',
    cwd: folder,
    env: { ...process.env, HOME: folder },
  })
  rmSync(folder, { recursive: true })
  expect(shell.stderr).toBe('')
  expect(shell.stdout).toBe('shop.Odd Name\nshop.plain\nother.config.ts\n')
})

test('zsh completes a name with a blank as one word', async (ctx) => {
  ctx.skip(spawnSync('zsh', ['--version']).error !== undefined, 'there is no zsh here')
  const { stdout: script } = await play(['completion', 'zsh'])
  const folder = mkdtempSync(join(tmpdir(), 'tote-zsh-'))
  writeFileSync(join(folder, 'tote.zsh'), script)
  writeFileSync(
    join(folder, 'setup.zsh'),
    `PS1=; autoload -U compinit; compinit -u -D
     tote() { ${ANSWER} }
     source ./tote.zsh; bindkey '^I' complete-word; print -r -- "rea""dy"`,
  )
  // A terminal of its own: what is typed is what a person types.
  const typed = `zmodload zsh/zpty; zpty shell zsh -f -i; all=
    seen() { repeat 200; do zpty -r -t shell more && all+=$more; [[ $all == *$1* ]] && return; sleep 0.05; done }
    zpty -w shell 'source ./setup.zsh'; seen ready
    zpty -w -n shell $'tote show shop.O\t'; sleep 0.5
    zpty -w -n shell $'\n'; seen $'\nshop.Odd Name'
    print -r -- "$all"; zpty -d shell`
  const shell = spawnSync('zsh', ['-f', '-c', typed], {
    encoding: 'utf8',
    cwd: folder,
    timeout: 25_000,
  })
  rmSync(folder, { recursive: true })
  expect(shell.stdout).toContain(String.raw`tote show shop.Odd\ Name`)
})
