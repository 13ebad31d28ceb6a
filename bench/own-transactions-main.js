// The source's own work, in a process of its own: transactions as pgbench makes them, begun at given moments
// whatever became of those before. What each took is counted from the moment at which it was due.
import pg from 'pg'

const CONNECTIONS = 16
const STATEMENTS = [
  ['begin', 'begin'],
  ['pay', 'update account set balance = balance + $2, changed = now() where account_id = $1'],
  ['look', 'select balance from account where account_id = $1'],
  ['teller', 'update teller set balance = balance + $2 where teller_id = $1'],
  ['branch', 'update branch set balance = balance + $2 where branch_id = $1'],
  [
    'note',
    'insert into movement (account_id, teller_id, branch_id, amount) values ($1, $2, $3, $4)',
  ],
  ['commit', 'commit'],
]

let working = null

/** Numbers below `bound`, the same for the same seed (Lehmer's generator). */
function draw(seed) {
  let state = (seed % 2147483646) + 1
  return (bound) => {
    state = (state * 48271) % 2147483647
    return (state / 2147483647) * bound
  }
}

async function transact(client, { accounts, tellers, branches }, next) {
  const account = 1 + Math.floor(next(accounts))
  const teller = 1 + Math.floor(next(tellers))
  const branch = 1 + Math.floor(next(branches))
  const amount = Math.floor(next(10_000)) - 5000
  const values = {
    pay: [account, amount],
    look: [account],
    teller: [teller, amount],
    branch: [branch, amount],
    note: [account, teller, branch, amount],
  }
  for (const [name, text] of STATEMENTS)
    await client.query({ name, text, values: values[name] ?? [] })
}

async function begin({ url, perSecond, seed, sizes }) {
  const clients = Array.from(
    { length: CONNECTIONS },
    () => new pg.Client({ connectionString: url }),
  )
  await Promise.all(clients.map((client) => client.connect()))
  const next = draw(seed)
  const free = [...clients]
  const due = []
  let took = []
  let failure = null
  let ended = false
  let at = performance.now()
  const serve = async (client, since) => {
    try {
      await transact(client, sizes, next)
      took.push(performance.now() - since)
    } catch (error) {
      failure ??= error
    }
    const waiting = due.shift()
    if (waiting === undefined) free.push(client)
    else await serve(client, waiting)
  }
  const tick = () => {
    if (ended) return
    const now = performance.now()
    while (at <= now) {
      const client = free.pop()
      if (client === undefined) due.push(at)
      else void serve(client, at)
      // Exponential gaps, as pgbench draws them.
      at += (-Math.log(1 - next(1)) * 1000) / perSecond
    }
    setTimeout(tick, 1)
  }
  tick()
  return {
    take: () => {
      if (failure !== null) throw failure
      const taken = took
      took = []
      return taken
    },
    end: async () => {
      ended = true
      while (free.length < clients.length || due.length > 0)
        await new Promise((resolve) => setTimeout(resolve, 5))
      await Promise.all(clients.map((client) => client.end()))
    },
  }
}

const tasks = {
  begin: async (given) => {
    working = await begin(given)
    return []
  },
  /** Milliseconds of each that has ended since the last time this was asked. */
  take: async () => working.take(),
  end: async () => {
    await working.end()
    return working.take()
  },
}

async function answer({ task, ...given }) {
  try {
    process.send({ took: await tasks[task](given) })
  } catch (error) {
    process.send({ error: String(error?.stack ?? error) })
  }
}

process.on('message', (message) => void answer(message))
process.on('disconnect', () => process.exit())
