/**
 * Seeded random numbers. A generator is named by what it is for, such as (seed, 'orders', date), so
 * that one part of the simulation drawing more numbers changes nothing elsewhere.
 */
export interface Random {
  /** At least 0, less than 1. */
  next(): number
  /** A whole number, both ends included. */
  int(least: number, most: number): number
  chance(probability: number): boolean
  pick<T>(choices: readonly T[]): T
  shuffle<T>(things: readonly T[]): T[]
}

/** The generator of this name (sfc32, seeded by an FNV-1a hash of the name). */
export function namedRandom(...name: readonly (string | number)[]): Random {
  const text = name.join('/')
  let [a, b, c, count] = [hash(text, 1), hash(text, 2), hash(text, 3), 1]
  const next = (): number => {
    const sum = (a + b + count) | 0
    count = (count + 1) | 0
    a = b ^ (b >>> 9)
    b = (c + (c << 3)) | 0
    c = ((c << 21) | (c >>> 11)) + sum
    c |= 0
    return (sum >>> 0) / 4_294_967_296
  }
  // sfc32 needs a few rounds before neighbouring seeds have nothing in common.
  for (let round = 0; round < 12; round += 1) next()
  const int = (least: number, most: number): number =>
    least + Math.floor(next() * (most - least + 1))
  return {
    next,
    int,
    chance: (probability) => next() < probability,
    pick: (choices) => {
      if (choices.length === 0) throw new RangeError(`nothing to pick from (${text})`)
      return choices[int(0, choices.length - 1)] as (typeof choices)[number]
    },
    shuffle: (things) => {
      const keyed = things.map((thing) => ({ thing, key: next() }))
      return keyed.sort((left, right) => left.key - right.key).map(({ thing }) => thing)
    },
  }
}

function hash(text: string, salt: number): number {
  let value = 0x81_1c_9d_c5 ^ salt
  for (let index = 0; index < text.length; index += 1) {
    value = Math.imul(value ^ text.charCodeAt(index), 0x01_00_01_93)
  }
  return Math.imul(value ^ (value >>> 15), 0x2c_1b_3c_6d)
}
