/** The public types, as a program would use them; judged by the compiler (`npm run check:types`). */
import { expectTypeOf, test } from 'vitest'
import {
  defineProject,
  env,
  openProject,
  type ErrorName,
  type Project,
  type Run,
  type RunEvent,
  type RunSummary,
  type ToteError,
} from 'totedata'

test('a project opens to methods that need nothing but themselves', () => {
  expectTypeOf(openProject).toBeCallableWith({ cwd: '.' })
  expectTypeOf(openProject).returns.resolves.toEqualTypeOf<Project>()
  expectTypeOf<Project['run']>().toBeCallableWith()
  expectTypeOf<Project['load']>().toBeCallableWith({ signal: AbortSignal.timeout(1), wait: false })
  expectTypeOf<Project['extract']>().returns.toEqualTypeOf<Run>()
  expectTypeOf<Project['transform']>().returns.toEqualTypeOf<Run>()
  expectTypeOf<Project>().toExtend<AsyncDisposable>()
})

test('a run is an async iterable of events, told apart by their type, with the summary of --json', () => {
  expectTypeOf<Run>().toExtend<AsyncIterable<RunEvent>>()
  expectTypeOf<Run['summary']>().resolves.toEqualTypeOf<RunSummary>()
  expectTypeOf<Run['succeeded']>().returns.resolves.toEqualTypeOf<RunSummary>()
  expectTypeOf<Extract<RunEvent, { type: 'run.finished' }>['summary']>().toEqualTypeOf<RunSummary>()
  expectTypeOf<RunSummary['outcome']>().toEqualTypeOf<
    'succeeded' | 'nothing to do' | 'failed' | 'cancelled'
  >()
  expectTypeOf<ToteError['name']>().toEqualTypeOf<ErrorName>()
  expectTypeOf<'SourceUnreachable'>().toExtend<ErrorName>()
})

test('a config that cannot be is refused where it is written', () => {
  expectTypeOf(defineProject).toBeCallableWith({
    name: 'shop',
    sources: { shop: { type: 'postgres', url: env('SHOP_URL') } },
    warehouse: { url: env('WAREHOUSE_URL') },
  })
  type Config = Parameters<typeof defineProject>[0]
  expectTypeOf<{ name: string }>().not.toExtend<Config>()
  expectTypeOf<{
    name: string
    sources: { shop: { type: 'oracle'; url: string } }
    warehouse: { url: string }
  }>().not.toExtend<Config>()
})
