/** `tote roles`: SQL for an administrator on stdout, ready for psql. */
import { answer, startLog } from '../cli/answer.ts'
import { type Invocation, openReading, withProject } from '../cli/context.ts'

export interface RolesFlags {
  readonly source?: string
  readonly warehouse?: boolean
  readonly role?: string
}

export async function commandRoles(invocation: Invocation, flags: RolesFlags): Promise<number> {
  const { context, warnings } = openReading(invocation)
  const scripts = await withProject(invocation, startLog(invocation), (project) =>
    invocation.pipeline.roles(project, flags, context),
  )
  answer(invocation, {
    data: scripts,
    lines: () => scripts.flatMap(({ sql }) => sql.split('\n')),
    warnings,
  })
  return 0
}
