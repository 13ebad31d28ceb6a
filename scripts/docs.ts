/** Writes the pages of docs/ that are generated; `npm run docs`. A test fails when they are stale. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ERRORS, type ErrorName } from '../src/errors.ts'
import { FIXES } from '../src/terminal/fixes.ts'
import { renderConfig } from './config-page.ts'
import { renderTypes } from './types-page.ts'

/** docs/errors.md from the table of errors. */
export function renderErrors(): string {
  const rows = (Object.keys(ERRORS) as ErrorName[]).map((name) => {
    const { exit, retry, means } = ERRORS[name]
    return `| \`${name}\` | ${exit} | ${retry ? 'yes' : 'no'} | ${means} | ${FIXES[name]} |`
  })
  return [
    '# Errors',
    '',
    'Made from `src/errors.ts` and `src/terminal/fixes.ts` by `npm run docs`. The name is the same in code, log, JSON and `tote explain NAME`.',
    '“Again” says whether a later run can succeed without anybody doing anything.',
    '',
    '| name | exit | again | means | fix |',
    '|---|---|---|---|---|',
    ...rows,
    '',
  ].join('\n')
}

if (process.argv[1]?.endsWith('docs.ts') === true) {
  const folder = join(import.meta.dirname, '..', 'docs')
  writeFileSync(join(folder, 'errors.md'), renderErrors())
  writeFileSync(join(folder, 'types.md'), renderTypes())
  writeFileSync(join(folder, 'config.md'), renderConfig())
}
