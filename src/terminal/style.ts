/**
 * Colour and marks. Colour only repeats what a mark and a word already say, so that nothing is lost
 * without it; whether it is wanted is decided once, by the surface.
 */
import { styleText } from 'node:util'

type Paint = (text: string) => string

export interface Style {
  readonly bold: Paint
  readonly dim: Paint
  readonly red: Paint
  readonly green: Paint
  readonly yellow: Paint
  readonly cyan: Paint
}

export const MARKS = {
  done: '✔',
  failed: '✖',
  running: '●',
  waiting: '○',
  nothing: '•',
  warning: '▲',
} as const

/** Paints that colour, or leave the text as it is. */
export function createStyle(colour: boolean): Style {
  // The caller has looked at the stream and the environment already.
  const paint =
    (format: keyof Style): Paint =>
    (text) =>
      colour && text !== '' ? styleText(format, text, { validateStream: false }) : text
  return {
    bold: paint('bold'),
    dim: paint('dim'),
    red: paint('red'),
    green: paint('green'),
    yellow: paint('yellow'),
    cyan: paint('cyan'),
  }
}

/**
 * Text that came from elsewhere, safe for a terminal: control characters (an escape sequence in a
 * server's message, a line break in a cell) are written out.
 */
export function printable(text: string): string {
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]/g, (character) => {
    if (character === '\n') return '\\n'
    if (character === '\r') return '\\r'
    if (character === '\t') return '\\t'
    const code = character.charCodeAt(0)
    return code < 256 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u${code.toString(16)}`
  })
}
