/** The order of test files: Vitest begins with the largest, and nothing tells it that a short file may take long. */
import { BaseSequencer, type TestSpecification } from 'vitest/node'

/** They take a minute or more, and begin first, so that none is left running alone at the end. */
const LONG = ['end-to-end/kill', 'end-to-end/init', 'end-to-end/concurrent', 'attack/attack']

export class LongFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = ({ moduleId }: TestSpecification): number => {
      const index = LONG.findIndex((name) => moduleId.endsWith(`test/${name}.pg.test.ts`))
      return index < 0 ? LONG.length : index
    }
    const sorted = await super.sort(files)
    return sorted.toSorted((one, other) => place(one) - place(other))
  }
}
