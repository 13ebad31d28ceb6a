/** A zone that is only read, under another that takes what is written: both are read as if they were one. */
import type { Store } from './store.ts'

/** Opens `above` over `below`; nothing is written below, and objects there that are `hidden` do not exist. */
export function openOverlayStore(
  below: Store,
  above: Store,
  hidden: (key: string) => boolean,
): Store {
  const isBelow = async (key: string): Promise<boolean> => !hidden(key) && below.has(key)
  return {
    url: below.url,
    create: async (key, body) => ((await isBelow(key)) ? 'exists' : above.create(key, body)),
    writeFile: async (key, produce) => above.writeFile(key, produce),
    read: async (key) => (await above.read(key)) ?? (hidden(key) ? undefined : below.read(key)),
    has: async (key) => (await above.has(key)) || isBelow(key),
    folders: async () =>
      [...new Set([...(await below.folders()), ...(await above.folders())])].sort(),
    localPath: async (key, expected) =>
      ((await above.has(key)) ? above : below).localPath(key, expected),
    verify: async (key, expected) => ((await above.has(key)) ? above : below).verify(key, expected),
  }
}
