/**
 * A TCP proxy that can be told to misbehave: to drop what goes through it, or to keep it and say nothing, as a
 * firewall that has forgotten a connection does.
 */
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'

export interface Proxy {
  readonly port: number
  /** Resets every connection there is. */
  drop(): void
  /** Nothing passes from here on: on the connections there are, or also on those to come. */
  stall(which: 'present' | 'all'): void
  /** Does so when so many more bytes have passed. */
  after(bytes: number, action: () => void): void
  /** Lets everything pass again; what was stalled is reset. */
  heal(): void
  close(): Promise<void>
}

interface Pair {
  readonly ends: readonly [Socket, Socket]
  stalled: boolean
}

/** Opens a proxy before a port of this machine. */
export async function openProxy(target: number): Promise<Proxy> {
  const pairs = new Set<Pair>()
  let stalling = false
  let armed: { left: number; action: () => void } | undefined
  const reset = (pair: Pair): void => {
    pairs.delete(pair)
    for (const end of pair.ends) if (!end.destroyed) end.resetAndDestroy()
  }
  const carry = (pair: Pair, from: Socket, to: Socket): void => {
    from.on('data', (chunk) => {
      if (pair.stalled) return
      if (armed !== undefined && (armed.left -= chunk.length) <= 0) {
        const { action } = armed
        armed = undefined
        // The first half of it passes: a message may be cut anywhere.
        to.write(chunk.subarray(0, chunk.length >> 1))
        action()
        return
      }
      if (!to.write(chunk)) {
        from.pause()
        to.once('drain', () => from.resume())
      }
    })
    from.on('end', () => {
      if (!pair.stalled) to.end()
    })
    from.on('error', () => undefined)
    from.on('close', () => {
      if (!pair.stalled) reset(pair)
    })
  }
  const server = createServer({ allowHalfOpen: true }, (client) => {
    const pair: Pair = {
      ends: [client, connect({ port: target, host: '127.0.0.1', allowHalfOpen: true })],
      stalled: stalling,
    }
    pairs.add(pair)
    const [near, far] = pair.ends
    carry(pair, near, far)
    carry(pair, far, near)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    drop: () => {
      for (const pair of pairs) reset(pair)
    },
    stall: (which) => {
      stalling = which === 'all'
      for (const pair of pairs) pair.stalled = true
    },
    after: (bytes, action) => {
      armed = { left: bytes, action }
    },
    heal: () => {
      armed = undefined
      stalling = false
      for (const pair of pairs) if (pair.stalled) reset(pair)
    },
    close: async () => {
      for (const pair of pairs) reset(pair)
      server.close()
      await once(server, 'close')
    },
  }
}
