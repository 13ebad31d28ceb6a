/** Where ranges of keys are laid: over those that the lake has. */
import type { Engine } from '../columns/engine.ts'
import type { KeyNumbers } from '../ranges/key-numbers.ts'
import { spansOver, type KeySpans } from '../ranges/key-spans.ts'

/** Of so many rows the least and the greatest key are known well enough. */
const SAMPLED_ROWS = 5000

/**
 * Of the rows of a relation, `text` being the key's text over it as `r`. The first and the last range are open, so that keys of the other side are in one, too.
 * A hundredth at each end is left to these, because one key far away would leave all others to one range.
 */
export async function sampleSpans(
  engine: Engine,
  {
    numbers,
    text,
    rows,
  }: { readonly numbers: KeyNumbers; readonly text: string; readonly rows: string },
): Promise<KeySpans | undefined> {
  const bound = (number: bigint): string => `'${number}'::${numbers.type}`
  const [row] = await engine.rows(
    `select quantile_disc(k, 0.01) as least, quantile_disc(k, 0.99) as greatest from` +
      ` (select ${numbers.number(text, 0)} as k from (select * from (${rows}) using sample reservoir(${SAMPLED_ROWS} rows)) as r)` +
      ` where k between ${bound(numbers.least)} and ${bound(numbers.greatest)}`,
  )
  const [least, greatest] = [row?.['least'], row?.['greatest']]
  if (typeof least !== 'bigint' || typeof greatest !== 'bigint') return undefined
  return spansOver(numbers, least, greatest)
}
