import { createRequire } from 'node:module'
import { expect, test } from 'vitest'
import { createStyle, MARKS, printable } from '../../src/terminal/style.ts'
import { fitText, renderTable, textWidth } from '../../src/terminal/table.ts'

const require = createRequire(import.meta.url)

test('Unicode’s tables are not loaded for our own marks, colour, and letters of Europe', () => {
  const marks = Object.values(MARKS).join('')
  const { green } = createStyle(true)
  const loaded = (): string[] =>
    Object.keys(require.cache).filter((path) => path.includes('string-width'))
  // A test that ran before in this process may have had wide characters.
  for (const path of loaded()) Reflect.deleteProperty(require.cache, path)
  expect([textWidth(green(`Łódź ${marks} … a → b`)), textWidth('')]).toEqual([13 + marks.length, 0])
  expect(loaded()).toEqual([])
})

test('a text is as wide as Unicode says', () => {
  const { default: width } = require('string-width') as typeof import('string-width')
  for (let code = 0x20; code < 0xffff; code++) {
    const text = `a${String.fromCharCode(code)}b`
    if (textWidth(text) !== width(text)) throw new Error(`U+${code.toString(16)}`)
  }
})

test('columns line up by what is seen: wide characters count two, colour and marks nothing more', () => {
  const { green } = createStyle(true)
  const lines = renderTable(
    [
      { title: 'name', align: 'left' },
      { title: 'rows', align: 'right' },
      { title: '', align: 'left' },
    ],
    [
      ['漢字', '1,204', green('✔')],
      ['a', '3', ''],
    ],
    { indent: 1 },
  )
  expect(lines.map((line) => line.replaceAll(green('✔'), '✔'))).toEqual([
    ' name    rows',
    ' 漢字   1,204   ✔',
    ' a          3',
  ])
})

test('text is cut by width, never inside a character', () => {
  expect(fitText('plain', 5)).toBe('plain')
  expect(fitText('plainer', 5)).toBe('plai…')
  expect(fitText('漢字漢字', 6)).toBe('漢字…')
  expect(fitText('👩‍👩‍👧‍👦👩‍👩‍👧‍👦👩‍👩‍👧‍👦', 5)).toBe('👩‍👩‍👧‍👦👩‍👩‍👧‍👦…')
  expect(fitText('anything', 0)).toBe('')
})

test('a text from elsewhere cannot move the cursor, turn the line around or break it', () => {
  expect(printable('a\nb\tc\r\u001b[2J\u009b\u202e')).toBe('a\\nb\\tc\\r\\x1b[2J\\x9b\\u202e')
  expect(printable('“ünïcode” 漢字 👩‍👧')).toBe('“ünïcode” 漢字 👩‍👧')
})

test('without colour nothing is added', () => {
  expect(createStyle(false).red('x')).toBe('x')
  expect(createStyle(true).red('x')).toBe('\u001b[31mx\u001b[39m')
  expect(createStyle(true).red('')).toBe('')
})
