/**
 * Completion: the script for a shell, and the words that may come next. The script asks `tote` itself
 * each time, so it never falls behind; commands and flags come from the program's own declarations.
 */
import { resolve } from 'node:path'
import { type Command, Option } from 'commander'
import { readWord } from '../cli/flags.ts'
import type { Pipeline } from '../cli/pipeline.ts'
import type { Surface } from '../cli/surface.ts'
import { ERRORS } from '../errors.ts'
import type { Act } from './act.ts'

const SHELLS = ['bash', 'zsh', 'fish'] as const
type Shell = (typeof SHELLS)[number]

/** What the scripts ask: `tote complete -- WORDS…`, the last being the one that is typed. */
export const COMPLETE = 'complete'

export function addCompletion(program: Command, act: Act): void {
  program
    .command('completion')
    .description('the script that completes words in a shell')
    .argument('<shell>', SHELLS.join(', '), readWord(SHELLS))
    .action((shell: Shell, _: unknown, command: Command) =>
      act(command, ({ surface, flags }) => {
        const data = { shell, script: SCRIPTS[shell] }
        surface.stdout.write(
          flags.json
            ? `${JSON.stringify({ version: 1, command: 'completion', data, warnings: [] })}\n`
            : SCRIPTS[shell],
        )
        return 0
      }),
    )
}

const SCRIPTS: Readonly<Record<Shell, string>> = {
  bash: `# Add to ~/.bashrc:  eval "$(tote completion bash)"
_tote() {
  local IFS=$'\\n'
  COMPREPLY=($(tote ${COMPLETE} -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
  local i
  for i in "\${!COMPREPLY[@]}"; do printf -v "COMPREPLY[i]" %q "\${COMPREPLY[i]}"; done
}
complete -o default -F _tote tote
`,
  zsh: `# Add to ~/.zshrc, after compinit:  eval "$(tote completion zsh)"
_tote() {
  local -a found
  found=("\${(@f)$(tote ${COMPLETE} -- "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  found=(\${found:#})
  (( \${#found} )) && compadd -- "\${found[@]}" || _files
}
compdef _tote tote
`,
  fish: `# Add to ~/.config/fish/config.fish:  tote completion fish | source
function __tote_complete
  set -l words (commandline -opc) (commandline -ct)
  set -l found (tote ${COMPLETE} -- $words[2..-1] 2>/dev/null)
  if set -q found[1]
    printf '%s\\n' $found
  else
    __fish_complete_path (commandline -ct)
  end
end
complete -c tote -f -a '(__tote_complete)'
`,
}

/** Answers a script: one word a line. What goes wrong is nobody's business while they type. */
export async function answerCompletion(
  program: Command,
  words: readonly string[],
  { surface, pipeline }: { readonly surface: Surface; readonly pipeline: Pipeline },
): Promise<void> {
  const project: ProjectNames = async () => {
    const opened = await pipeline.openProject({
      cwd: resolve(surface.cwd, valueOf(words, ['-C', '--cwd']) ?? '.'),
      configFile: valueOf(words, ['-c', '--config']),
    })
    try {
      return await pipeline.names(opened)
    } finally {
      await opened.close()
    }
  }
  const found = await completeWords(program, words, project).catch(() => [])
  if (found.length > 0) surface.stdout.write(`${found.join('\n')}\n`)
}

function valueOf(words: readonly string[], flags: readonly string[]): string | undefined {
  const at = words.findIndex((word) => flags.includes(word))
  return at === -1 ? undefined : words[at + 1]
}

type ProjectNames = () => ReturnType<Pipeline['names']>

/** What may stand in the place of the last word; nothing where any text may, a file for instance. */
async function completeWords(
  program: Command,
  words: readonly string[],
  project: ProjectNames,
): Promise<string[]> {
  const typed = words.at(-1) ?? ''
  const before = words.slice(0, -1)
  const command = program.commands.find((one) => before.includes(one.name()))
  const options = [...(command?.options ?? []), ...program.options].filter((one) => !one.hidden)
  // A flag that takes several words goes on until the next flag.
  const flag = before.at(-1)?.startsWith('-')
    ? before.at(-1)
    : before.findLast((word) => word.startsWith('-'))
  const awaited = options.find(
    (one) =>
      (one.required || one.optional) &&
      [one.long, one.short].includes(flag ?? '-') &&
      (one.variadic || flag === before.at(-1)),
  )
  const among = (all: readonly string[]): string[] =>
    all.filter((word) => word.startsWith(typed)).toSorted()
  if (awaited !== undefined && !(awaited.variadic && typed.startsWith('-'))) {
    const name = awaited.attributeName()
    return among(MODELS.has(name) ? (await project()).models : (VALUES[name] ?? []))
  }
  if (typed.startsWith('-')) return among(flagsOf([...options, HELP]))
  if (command === undefined) return among(program.commands.map((one) => one.name()))
  switch (command.name()) {
    case 'show':
      return among((await project()).shown)
    case 'runs':
    case 'logs':
      return among(['last', ...(await project()).runs])
    case 'explain':
      return among(Object.keys(ERRORS))
    case 'completion':
      return among(SHELLS)
    default:
      return []
  }
}

const HELP = new Option('-h, --help')

/** Flags that take names of models. */
const MODELS: ReadonlySet<string> = new Set(['select', 'exclude', 'forward'])

/** Of flags that take one of a few words. */
const VALUES: Readonly<Record<string, readonly string[]>> = {
  only: ['extract', 'transform', 'load'],
  logFormat: ['pretty', 'json'],
}

function flagsOf(options: readonly Option[]): string[] {
  return [...new Set(options.flatMap(({ long, short }) => long ?? short ?? []))]
}
