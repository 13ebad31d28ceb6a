/** A zone: the objects of a store, and the chains whose manifests say which of them exist. */
import type { FileFormat } from '../columns/file.ts'
import type { Store } from '../storage/store.ts'
import { openChain, type Chain } from './chain.ts'
import { chainOf, formatManifestKey } from './keys.ts'

export interface Zone {
  readonly store: Store
  /** Of the files that are written; those that are there tell theirs by their keys. */
  readonly format: FileFormat
  /** The chain of a source or a pipeline; one object per name. */
  chain(name: string): Chain
  /** The names of all chains that have a manifest. */
  chains(): Promise<readonly string[]>
}

export function openZone(store: Store, format: FileFormat = 'parquet'): Zone {
  const chains = new Map<string, Chain>()
  return {
    store,
    format,
    chain: (name) => {
      const chain = chains.get(name) ?? openChain(store, name)
      chains.set(name, chain)
      return chain
    },
    chains: async () => {
      const names = (await store.folders()).map(chainOf)
      const begun = await Promise.all(
        names.map(async (name) => store.has(formatManifestKey(name, 1))),
      )
      return names.filter((_name, index) => begun[index])
    },
  }
}
