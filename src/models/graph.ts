/** The order in which models can be evaluated: each after those that it reads. */
import { ToteError } from '../errors.ts'
import type { TableName } from './model.ts'

interface Reader {
  readonly name: string
  readonly path: string
  readonly reads: readonly TableName[]
}

/** Models in the order of their dependencies, else of their names. Throws ModelCycle, naming one circle. */
export function orderModels<M extends Reader>(models: readonly M[]): M[] {
  const byName = new Map(models.map((model) => [model.name, model]))
  const ordered = new Set<M>()
  const visit = (model: M, path: readonly M[]): void => {
    if (ordered.has(model)) return
    if (path.includes(model)) throw cycle(path.slice(path.indexOf(model)))
    for (const { schema, name } of sorted(model.reads)) {
      const read = schema === null ? byName.get(name) : undefined
      if (read !== undefined) visit(read, [...path, model])
    }
    ordered.add(model)
  }
  for (const model of sorted(models)) visit(model, [])
  return [...ordered]
}

function cycle(circle: readonly Reader[]): ToteError {
  const names = circle.map((model) => model.name)
  return new ToteError(
    'ModelCycle',
    names.length === 1
      ? `The model "${names[0]}" reads itself.`
      : `Models refer to each other in a circle: ${[...names, names[0]].join(' → ')}.`,
    {
      where: circle.map((model) => model.path).join(', '),
      fix: 'Let one of them read the tables of the source instead.',
    },
  )
}

function sorted<T extends { readonly name: string }>(items: readonly T[]): T[] {
  return items.toSorted((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0))
}
