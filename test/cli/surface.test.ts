import { PassThrough } from 'node:stream'
import { expect, test } from 'vitest'
import { ToteError } from '../../src/errors.ts'
import { exitCodeOf, interruption, openOutput, wantsColour } from '../../src/cli/surface.ts'
import type { TextOutput } from '../../src/observability/reader.ts'
import { captureOutput } from '../support/surface.ts'

function openOn(stream: PassThrough): { output: TextOutput; failures: string[] } {
  const failures: string[] = []
  const output = openOutput(stream as unknown as NodeJS.WriteStream, ({ code }) =>
    failures.push(code ?? ''),
  )
  return { output, failures }
}

test.each([
  ['EPIPE', []],
  ['ENOSPC', ['ENOSPC']],
])(
  'after %s nothing more is written; only a reader that has gone is no failure',
  (code, expected) => {
    const stream = new PassThrough()
    const { output, failures } = openOn(stream)
    output.write('before')
    stream.emit('error', Object.assign(new Error(code), { code }))
    output.write('after')
    expect(String(stream.read())).toBe('before')
    expect(failures).toEqual(expected)
  },
)

test('a stream without a size is taken for an old terminal', () => {
  const { output } = openOn(new PassThrough())
  expect([output.isTTY, output.columns, output.rows]).toEqual([false, 80, 24])
})

test('colour: the flag, then FORCE_COLOR, then NO_COLOR, then the stream', () => {
  const terminal = captureOutput({ isTTY: true })
  const pipe = captureOutput()
  expect(wantsColour(terminal, {}, true)).toBe(true)
  expect(wantsColour(pipe, {}, true)).toBe(false)
  expect(wantsColour(terminal, { NO_COLOR: '1' }, true)).toBe(false)
  expect(wantsColour(terminal, { NO_COLOR: '' }, true)).toBe(true)
  expect(wantsColour(pipe, { FORCE_COLOR: '1', NO_COLOR: '1' }, true)).toBe(true)
  expect(wantsColour(terminal, { FORCE_COLOR: '0' }, true)).toBe(false)
  expect(wantsColour(terminal, { TERM: 'dumb' }, true)).toBe(false)
  expect(wantsColour(terminal, { FORCE_COLOR: '1' }, false)).toBe(false)
})

test('an error has the exit code of its name, an interruption that of its signal', () => {
  expect(exitCodeOf(new ToteError('CountMismatch', ''))).toBe(5)
  expect(exitCodeOf(new ToteError('RunCancelled', ''))).toBe(130)
  expect(exitCodeOf(interruption('SIGTERM'))).toBe(143)
})
