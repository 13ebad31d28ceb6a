import { expect, test } from 'vitest'
import { createStyle, printable } from '../../src/terminal/style.ts'
import { fitText, renderTable } from '../../src/terminal/table.ts'

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
