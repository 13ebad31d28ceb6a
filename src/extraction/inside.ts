/** What has become of the enums and composites inside a column's type, in words. Pure. */
import type { TypePart } from '../types.ts'

/**
 * Each change of labels and attributes, for people. Labels are told by their places, because they are what cells hold. In
 * which order they are says nothing of values, so that another order is no change. What was not known before is none either.
 */
export function insideChanges(
  now: readonly TypePart[] = [],
  before: readonly TypePart[] = [],
): string[] {
  return now.flatMap((part) => {
    const known = before.find(({ type }) => type === part.type)
    if (known === undefined) return []
    if (part.labels !== undefined && known.labels !== undefined)
      return labelChanges(part.type, part.labels, known.labels)
    if (part.attributes !== undefined && known.attributes !== undefined)
      return attributeChanges(part.type, part.attributes, known.attributes)
    return [`${part.type} was ${kindOf(known)} and is ${kindOf(part)}`]
  })
}

function kindOf({ labels }: TypePart): string {
  return labels === undefined ? 'a composite' : 'an enum'
}

function labelChanges(type: string, now: readonly string[], before: readonly string[]): string[] {
  const places = (of: readonly string[], others: readonly string[]): number[] =>
    of.flatMap((label, index) => (others.includes(label) ? [] : [index + 1]))
  const lost = places(before, now)
  const come = places(now, before)
  // A label stays where it is when it is renamed, and none can be dropped.
  const renamed = lost.length > 0 && now.length >= before.length
  const fresh = renamed ? come.slice(lost.length) : come
  return [
    ...lost.map(
      (place) => `label ${place} of ${type} is ${renamed ? 'called otherwise' : 'no longer there'}`,
    ),
    ...fresh.map((place) => `label ${place} of ${type} is new`),
  ]
}

function attributeChanges(
  type: string,
  now: NonNullable<TypePart['attributes']>,
  before: NonNullable<TypePart['attributes']>,
): string[] {
  const was = new Map(before)
  const is = new Map(now)
  return [
    ...before
      .filter(([name]) => !is.has(name))
      .map(([name]) => `attribute "${name}" of ${type} is no longer there`),
    ...now.flatMap(([name, own]) => {
      const old = was.get(name)
      if (old === undefined) return [`attribute "${name}" of ${type} is new (${own})`]
      return old === own ? [] : [`attribute "${name}" of ${type} was ${old} and is ${own}`]
    }),
  ]
}
