/** What is mutated: the pure modules that keep promises, and the tests, none of which needs a server, that guard each. */
export interface Guarded {
  /** In ARCHITECTURE.md's words. */
  readonly promises: string
  /** Below test/, without `.test.ts`. */
  readonly tests: readonly string[]
}

/** By path below src/, without `.ts`. */
export const MODULES: Readonly<Record<string, Guarded>> = {
  'columns/csv': { promises: 'P8', tests: ['columns/csv', 'columns/whole-rows'] },
  'columns/current': { promises: 'P2 P8', tests: ['columns/current', 'columns/zero'] },
  'columns/difference': { promises: 'P2', tests: ['columns/difference', 'columns/whole-rows'] },
  'columns/sql': { promises: 'P8', tests: ['columns/names', 'columns/zero'] },
  'columns/text': { promises: 'P8', tests: ['columns/text'] },
  'config/duration': { promises: 'P11', tests: ['config/duration'] },
  'config/table-name': { promises: 'P2', tests: ['config/table-name'] },
  'evaluation/order': { promises: 'P7', tests: ['evaluation/order'] },
  'extraction/draft': { promises: 'P2 P3', tests: ['extraction/draft'] },
  'extraction/shapes': { promises: 'P2 P8', tests: ['extraction/shapes'] },
  'lake/carried': { promises: 'P8', tests: ['lake/carried'] },
  'lake/column-ids': { promises: 'P6 P8', tests: ['lake/column-ids'] },
  'lake/history': { promises: 'P6', tests: ['lake/history'] },
  'lake/instant': { promises: 'P3', tests: ['lake/instant'] },
  'lake/keys': { promises: 'P3', tests: ['lake/keys'] },
  'lake/manifest': { promises: 'P3', tests: ['lake/manifest'] },
  'models/dependencies': {
    promises: 'P7',
    tests: ['models/dependencies', 'models/bind', 'models/lookup'],
  },
  'models/driven': { promises: 'P7', tests: ['models/driven'] },
  'pace/back-off': { promises: 'P11', tests: ['pace/back-off'] },
  'pace/bucket': { promises: 'P11', tests: ['pace/bucket'] },
  'pace/paced-rows': { promises: 'P11', tests: ['pace/bucket'] },
  'pairs/pair-blocks': { promises: 'P2', tests: ['pairs/pair-blocks'] },
  'pairs/pairs': { promises: 'P2', tests: ['pairs/pairs'] },
  'pairs/positions': { promises: 'P2', tests: ['pairs/positions'] },
  'postgres/address': { promises: 'P10', tests: ['postgres/address'] },
  'postgres/carried': { promises: 'P8', tests: ['postgres/carried', 'vectors/copy-types'] },
  'postgres/failure': { promises: 'P10', tests: ['postgres/failure'] },
  'postgres/identifiers': { promises: 'P10', tests: ['postgres/identifiers'] },
  'postgres/snapshot': {
    promises: 'P1 P2',
    tests: ['postgres/snapshot', 'sources/identity-postgres'],
  },
  'project/points': { promises: 'P7', tests: ['project/points'] },
  'ranges/key-numbers': { promises: 'P2', tests: ['ranges/key-numbers'] },
  'ranges/key-spans': { promises: 'P2 P11', tests: ['ranges/key-spans'] },
  'secrets/secret': { promises: 'P10', tests: ['secrets/secret'] },
  'sources/identity-postgres': { promises: 'P2', tests: ['sources/identity-postgres'] },
  'sources/masking': { promises: 'P10', tests: ['sources/masking'] },
  'sources/parts': { promises: 'P2', tests: ['sources/parts'] },
  'sources/patterns': { promises: 'P10', tests: ['sources/patterns'] },
  'star/layout': { promises: 'P6', tests: ['star/layout', 'star/ddl', 'star/merge'] },
  'star/merge': { promises: 'P4 P6', tests: ['star/merge'] },
  'star/versions': { promises: 'P6 P7', tests: ['star/versions'] },
  'storage/sealed': { promises: 'P3', tests: ['storage/sealed'] },
  'syntax/row-by-row': { promises: 'P7', tests: ['syntax/row-by-row'] },
  'vectors/copy-binary': {
    promises: 'P8',
    tests: ['vectors/copy-binary', 'vectors/copy-encoders'],
  },
  'vectors/copy-encoders': {
    promises: 'P8',
    tests: ['vectors/copy-binary', 'vectors/copy-encoders'],
  },
  'vectors/copy-types': { promises: 'P8', tests: ['vectors/copy-types'] },
  'verification/compare': { promises: 'P12', tests: ['verification/compare'] },
  'verification/ranges': {
    promises: 'P12',
    tests: ['verification/compare', 'verification/ranges'],
  },
  'wire/copy': { promises: 'P2 P4', tests: ['wire/copy'] },
  'wire/messages': { promises: 'P2', tests: ['wire/messages', 'wire/copy'] },
}
