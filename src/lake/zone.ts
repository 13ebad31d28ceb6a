/** A zone: the objects of a store, and the chains whose manifests say which of them exist. */
import type { Store } from '../storage/store.ts'
import { openChain, type Chain } from './chain.ts'

export interface Zone {
  readonly store: Store
  /** The chain of a source or a pipeline; one object per name. */
  chain(name: string): Chain
}

export function openZone(store: Store): Zone {
  const chains = new Map<string, Chain>()
  return {
    store,
    chain: (name) => {
      const chain = chains.get(name) ?? openChain(store, name)
      chains.set(name, chain)
      return chain
    },
  }
}
