/** Chance by a seed: the same seed draws the same, and each step draws for itself, so that one can be left out. */

export interface Chance {
  /** A whole number from 0 to n - 1. */
  below(n: number): number
  of<T>(list: readonly T[]): T
  yes(share: number): boolean
}

/** Mulberry32 of the seed and a number. */
export function chanceOf(seed: number, step: number): Chance {
  let state = (Math.imul(seed, 0x9e3779b1) ^ Math.imul(step + 1, 0x85ebca6b)) >>> 0
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
  next()
  const below = (n: number): number => Math.floor(next() * n)
  return {
    below,
    of: (list) => {
      const one = list[below(list.length)]
      if (one === undefined) throw new RangeError('nothing to choose from')
      return one
    },
    yes: (share) => next() < share,
  }
}
