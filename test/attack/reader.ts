/**
 * A reader of the warehouse throughout the attack, as the role of somebody else, with views of its own: every
 * statement, and every transaction that repeats its reads, must find whole batches and no key that leads nowhere.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'

export interface Reads {
  queries: number
  /** Transactions in which every read was the same. */
  repeated: number
  /** The newest batch seen, and how many were. */
  batches: number
  readonly problems: string[]
}

/** Made once by the reader's owner, over the star; nobody but the reader knows of it. */
export const READER_VIEWS = `
create view bi.seen as select
  (select count(*) from public.fact_order f left join public.dim_item d using (item_id) where d.item_id is null) as dangling,
  (select count(*) from public.fact_order_current f join public.dim_item d using (item_id)) -
    (select count(*) from public.fact_order_current) as unjoined,
  (select sum(amount) from public.fact_till_current) + (select sum(amount) from public.fact_safe_current) as held,
  (select max(batch) from public.fact_pulse) as pulse,
  (select max(batch) from tote.ledger) as ledger,
  (select count(*) from public.fact_till_current) as purses;
create view bi.daily as select d.colour, count(*) as orders, sum(f.units) as units
  from public.fact_order_current f join public.dim_item d using (item_id) group by d.colour;
`

interface Seen {
  readonly dangling: string
  readonly unjoined: string
  readonly held: string
  readonly pulse: string
  readonly ledger: string
  readonly purses: string
}

const SEEN = 'select dangling, unjoined, held, pulse, ledger, purses from bi.seen'

/** Reads until told to stop: single statements, and now and then a transaction that looks twice. */
export async function readWarehouse(url: string, reads: Reads, stop: AbortSignal): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    for (let n = 1; !stop.aborted; n++) {
      if (n % 10 === 0) {
        await client.query('begin isolation level repeatable read read only')
        const first = await look(client, reads)
        const units = await client.query('select * from bi.daily order by colour')
        await sleep(20)
        const again = await look(client, reads)
        const later = await client.query('select * from bi.daily order by colour')
        await client.query('commit')
        reads.queries += 2
        if (JSON.stringify([first, units.rows]) === JSON.stringify([again, later.rows]))
          reads.repeated += 1
        else reads.problems.push(`one transaction saw ${JSON.stringify([first, again])}`)
      } else await look(client, reads)
      await sleep(4)
    }
  } finally {
    await client.end()
  }
}

async function look(client: pg.Client, reads: Reads): Promise<Seen | undefined> {
  const { rows } = await client.query<Seen>(SEEN)
  const [seen] = rows
  reads.queries += 1
  const whole =
    seen !== undefined &&
    seen.dangling === '0' &&
    seen.unjoined === '0' &&
    seen.held === '0' &&
    // Every batch changes the pulse, so both name the same one.
    seen.pulse === seen.ledger
  if (!whole) reads.problems.push(`a statement saw ${JSON.stringify(seen)}`)
  reads.batches = Math.max(reads.batches, Number(seen?.ledger ?? 0))
  return seen
}
