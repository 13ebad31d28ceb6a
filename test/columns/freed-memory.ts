/**
 * A process of its own for limits.test.ts (`node --expose-gc`): DuckDBs that rest or close in one give freed memory back,
 * too. Prints what it held before most of 600 MB was freed, and what it holds ten seconds later at most, in bytes.
 */
import { setTimeout } from 'node:timers/promises'
import { openEngine } from '../../src/columns/engine.ts'

const [tempFolder = ''] = process.argv.slice(2)
const engine = await openEngine({ tempFolder, threads: 2 })
const work = engine.run('select count(*) from range(100000000000) r(i) where hash(i) = 1')
work.catch(() => undefined)
// A DuckDB that rests gives back of itself: it must have begun.
await setTimeout(1000)

// Pieces that glibc keeps when they are freed, because some stay in use among them.
const pieces = Array.from({ length: 6000 }, () => Buffer.alloc(100_000, 1))
const held = process.memoryUsage.rss()
const left = pieces.splice(0).filter((_, index) => index % 20 === 0)
globalThis.gc?.()
// More is needed.
left.push(Buffer.alloc(100_000_000, 1))
let holds = held
for (let times = 0; times < 100 && holds > held - 350_000_000; times++) {
  await setTimeout(100)
  holds = process.memoryUsage.rss()
}
process.stdout.write(JSON.stringify({ held, holds, left: left.length }))
engine.close()
process.exit()
