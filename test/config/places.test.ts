import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { findPlace, type Path } from '../../src/config/places.ts'

/** The line of the place and what stands there. */
function find(text: string, ...path: Path): string | undefined {
  const place = findPlace(text, path)
  if (place === undefined) return undefined
  const line = text.split('\n')[place.line - 1] ?? ''
  return `${place.line} ${line.slice(place.column - 1, place.column - 1 + place.length)}`
}

const TEXT = `import { defineProject, env } from 'totedata'
// export default defineProject({ name: 'comment' })
const text = "export default { name: 'string' }"
const pattern = /[/}"']export default {/.test(text) ? 4 / 2 / 1 : \`export default {\${ { a: \`}\` }.a } \`

export default defineProject({
  name: 'shop', /* models: 'no' */
  sources: {
    // url: env('NO')
    'url': { type: 'postgres', "url": env('A') },
    shop: {
      tables: { include: ['a', "b,}", \`c\`], exclude: [ ] },
      url: env('URL', embedded({ database: 'd', setup: async (url) => { await run({ owner: url }) } })),
      url2: pick(() => fn({ url: 1 })),
      async setup() { return { lake: 1 } },
      ...others, [computed]: 1, shorthand,
    },
  },
  lake: ({ format: 'csv' } as const),
  models, "with \\"quote": 1,
} satisfies Config)
`

describe('a config as people write it', () => {
  test.each<[string | undefined, Path]>([
    ['7 name', ['name']],
    ['8 sources', ['sources']],
    ["10 'url'", ['sources', 'url']],
    ['10 "url"', ['sources', 'url', 'url']],
    ['11 shop', ['sources', 'shop']],
    ['12 "b,}"', ['sources', 'shop', 'tables', 'include', 1]],
    ['12 `c`', ['sources', 'shop', 'tables', 'include', 2]],
    ['12 exclude', ['sources', 'shop', 'tables', 'exclude']],
    ['13 url', ['sources', 'shop', 'url']],
    ['13 database', ['sources', 'shop', 'url', 'database']],
    ['13 setup', ['sources', 'shop', 'url', 'setup']],
    ['15 setup', ['sources', 'shop', 'setup']],
    ['16 shorthand', ['sources', 'shop', 'shorthand']],
    ['19 lake', ['lake']],
    ['19 format', ['lake', 'format']],
    ['20 models', ['models']],
    ['20 "with \\"quote"', ['with "quote']],
    [undefined, ['url']],
    [undefined, ['models', 'x']],
    [undefined, ['sources', 'shop', 'url2', 'url']],
    [undefined, ['sources', 'shop', 'setup', 'lake']],
    [undefined, ['sources', 'shop', 'url', 'owner']],
    [undefined, ['sources', 'shop', 'computed']],
    [undefined, ['sources', 'shop', 'tables', 'exclude', 0]],
    [undefined, []],
  ])('%s is the place of %j', (place, path) => {
    expect(find(TEXT, ...path)).toBe(place)
  })

  test('the same with Windows line ends', () => {
    const windows = TEXT.replaceAll('\n', '\r\n')
    expect(find(windows, 'sources', 'shop', 'url', 'setup')).toBe('13 setup')
  })
})

test.each([
  'export default { a: 1 }',
  'export default({ a: 1 })',
  'export default defineProject({ a: 1 })',
  'export default defineProject<Config>({ a: 1 })',
  'export default wrap( defineProject ( { a: 1 } ) )',
  'module.exports = { a: 1 }',
  'const project: Config = { a: 1 }; export default project',
  'const project = defineProject({ a: 1 })\nexport default project',
  'const $project = { a: 1 }\nexport default defineProject($project)',
])('%s is read', (text) => {
  const place = findPlace(text, ['a'])
  expect(place && text.slice(place.column - 1, place.column + 2)).toBe('a: ')
})

test.each([
  '',
  'export default',
  'export default makeProject()',
  'export default {',
  'const a = { a: 1 }',
  'export default missing',
])('%s holds no place', (text) => {
  expect(findPlace(text, ['a'])).toBeUndefined()
})

test('the last of two equal keys counts', () => {
  expect(findPlace('export default { a: 1, a: 2 }', ['a'])).toEqual({
    line: 1,
    column: 24,
    length: 1,
  })
})

test('no text makes it fail or hang', () => {
  const piece = fc.constantFrom(
    'export default ',
    '{',
    '}',
    '[',
    '(',
    ')',
    'a',
    ':',
    ',',
    "'",
    '"',
    '`',
    '${',
    '/',
    '//',
    '/*',
    '*/',
    '\\',
    '\n',
    ' ',
    '=>',
  )
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 60 }), (pieces) => {
      const text = `export default { ${pieces.join('')}`
      const place = findPlace(text, ['a', 'a'])
      if (place !== undefined)
        expect(text.split('\n')[place.line - 1]?.slice(place.column - 1)).toMatch(/^(?:'a|"a|a)/)
    }),
    { numRuns: 2000 },
  )
})

// A literal is rendered piece by piece, so that the offset of each of its keys is known for certain.
type Tree = readonly { readonly key: string; readonly value: Tree | string }[]

const key = fc.constantFrom('url', 'name', 'type', 'a', 'sources')
const leaf = fc.constantFrom(
  '1',
  "'x, url: 1 }'",
  '"{"',
  '`a ${ { url: 1 }.url } }`',
  '`${[`} , url: { a: 1 } `]}`',
  '/[/}]url:/',
  "env('A')",
  'async () => { const url = 1; return { url } }',
  '8 / 2',
  '[1, { url: 2 }]',
)
const noise = fc.constantFrom('', ' ', '\n  ', ' // url: 1 }\n', '/* url: { */', '\t')
const { tree } = fc.letrec<{ tree: Tree; value: Tree | string }>((tie) => ({
  value: fc.oneof({ maxDepth: 3, withCrossShrink: true }, leaf, tie('tree')),
  tree: fc.uniqueArray(fc.record({ key, value: tie('value') }), {
    maxLength: 4,
    selector: (entry) => entry.key,
  }) as fc.Arbitrary<Tree>,
}))

function render(
  entries: Tree,
  filler: () => string,
): { text: string; places: { path: string[]; offset: number }[] } {
  let text = '{'
  const places: { path: string[]; offset: number }[] = []
  for (const entry of entries) {
    text += filler()
    places.push({ path: [entry.key], offset: text.length })
    text += `${filler().includes('\n') ? entry.key : `'${entry.key}'`}${filler()}:${filler()}`
    if (typeof entry.value === 'string') text += entry.value
    else {
      const inner = render(entry.value, filler)
      places.push(
        ...inner.places.map(({ path, offset }) => ({
          path: [entry.key, ...path],
          offset: offset + text.length,
        })),
      )
      text += inner.text
    }
    text += `${filler()},`
  }
  return { text: `${text}${filler()}}`, places }
}

test('every key of every literal is found where it stands, whatever lies between', () => {
  fc.assert(
    fc.property(tree, fc.array(noise, { minLength: 1, maxLength: 9 }), (entries, fillers) => {
      let next = 0
      const rendered = render(entries, () => fillers[next++ % fillers.length] ?? '')
      const start =
        "// export default {\nconst url = 'export default {'\nexport default defineProject("
      const text = `${start}${rendered.text})`
      for (const { path, offset } of rendered.places) {
        const before = text.slice(0, start.length + offset)
        const place = findPlace(text, path)
        expect(place).toMatchObject({
          line: before.split('\n').length,
          column: before.length - before.lastIndexOf('\n'),
        })
      }
    }),
    { numRuns: 300 },
  )
})
