/** How a declared command is run: the program hands its invocation over. */
import type { Command } from 'commander'
import type { Invocation } from '../cli/context.ts'

export type Act = (
  command: Command,
  work: (invocation: Invocation) => number | Promise<number>,
) => Promise<void>
