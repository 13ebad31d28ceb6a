/** Damage that disks, copies and editors do to bytes. */
import fc from 'fast-check'

export type Damage = (body: Buffer) => Buffer

const place = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })
const at = (body: Buffer, share: number): number => Math.floor(share * body.length)

const flip = fc
  .tuple(place, fc.integer({ min: 1, max: 255 }))
  .map(([share, bits]) => (body: Buffer) => {
    const damaged = Buffer.from(body)
    const index = at(body, share)
    damaged[index] = (damaged[index] ?? 0) ^ bits
    return damaged
  })
const cut = place.map((share) => (body: Buffer) => body.subarray(0, at(body, share)))
const insert = fc
  .tuple(place, fc.uint8Array({ minLength: 1, maxLength: 20 }))
  .map(([share, bytes]) => (body: Buffer) => {
    const index = at(body, share)
    return Buffer.concat([body.subarray(0, index), bytes, body.subarray(index)])
  })
const range = fc
  .tuple(place, place)
  .map(([one, other]) => [Math.min(one, other), Math.max(one, other)])
const remove = range.map(
  ([from = 0, to = 0]) =>
    (body: Buffer) =>
      Buffer.concat([body.subarray(0, at(body, from)), body.subarray(at(body, to))]),
)
const double = range.map(
  ([from = 0, to = 0]) =>
    (body: Buffer) =>
      Buffer.concat([body.subarray(0, at(body, to)), body.subarray(at(body, from))]),
)
const zeros = range.map(
  ([from = 0, to = 0]) =>
    (body: Buffer) =>
      Buffer.from(body).fill(0, at(body, from), at(body, to)),
)
const noise = fc.uint8Array({ maxLength: 200 }).map((bytes) => () => Buffer.from(bytes))

export const damage: fc.Arbitrary<Damage> = fc.oneof(
  { weight: 4, arbitrary: flip },
  cut,
  insert,
  remove,
  double,
  zeros,
  noise,
)

/** Whatever JSON may hold where something else is expected. */
const anyJson: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom<unknown>(
    null,
    true,
    -1,
    0,
    0.5,
    2 ** 53,
    1e308,
    '',
    '1',
    'constructor',
    [],
    [null],
    {},
    { length: -1 },
    JSON.parse('{"__proto__": null}'),
  ),
  fc.jsonValue({ maxDepth: 2 }),
)

type Holder = Record<string, unknown>

function holdersIn(value: unknown, found: [Holder, string][] = []): [Holder, string][] {
  if (typeof value !== 'object' || value === null) return found
  for (const [name, held] of Object.entries(value)) {
    found.push([value as Holder, name])
    holdersIn(held, found)
  }
  return found
}

export type Edit = <T extends object>(record: T) => T

/** Valid JSON still: somewhere in it a property is gone, is another value, or has another name. */
export const edit: fc.Arbitrary<Edit> = fc
  .tuple(
    place,
    fc.constantFrom('remove', 'replace', 'rename'),
    anyJson,
    fc.constantFrom('__proto__', 'toString', 'x'),
  )
  .map(([share, how, value, name]) => (record) => {
    const edited = structuredClone(record)
    const holders = holdersIn(edited)
    const [holder, property] = holders[Math.floor(share * holders.length)] ?? []
    if (holder === undefined || property === undefined) return edited
    const held = holder[property]
    if (how === 'replace') holder[property] = value
    else if (Array.isArray(holder)) holder.splice(Number(property), 1)
    else {
      Reflect.deleteProperty(holder, property)
      if (how === 'rename')
        Object.defineProperty(holder, name, { value: held, enumerable: true, configurable: true })
    }
    return edited
  })
