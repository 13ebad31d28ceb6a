/** Work on several engines of one database, as much of it at once as there are engines. */
import type { Engine } from '../columns/engine.ts'

/**
 * Does the work of each item, in their order where an engine is free, and after the items that it needs,
 * which come before it. When it settles nothing goes on any more; what is thrown is the failure of the
 * first item that has one.
 */
export async function sideBySide<T, R>(
  items: readonly T[],
  engines: readonly Engine[],
  work: (item: T, engine: Engine) => Promise<R>,
  needs: (item: T) => readonly T[] = () => [],
): Promise<R[]> {
  const free = engines.toReversed()
  const waiting: ((engine: Engine) => void)[] = []
  const take = async (): Promise<Engine> =>
    free.pop() ?? new Promise<Engine>((resolve) => waiting.push(resolve))
  const giveBack = (engine: Engine): void => {
    const next = waiting.shift()
    if (next === undefined) free.push(engine)
    else next(engine)
  }
  const begun = new Map<T, Promise<R>>()
  for (const item of items) {
    const needed = needs(item).flatMap((other) => begun.get(other) ?? [])
    begun.set(
      item,
      (async () => {
        await Promise.all(needed)
        const engine = await take()
        try {
          return await work(item, engine)
        } finally {
          giveBack(engine)
        }
      })(),
    )
  }
  await Promise.allSettled(begun.values())
  return Promise.all(begun.values())
}
