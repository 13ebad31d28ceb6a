/** The test server itself: values are the server's text, roles log in, and a dropped database is gone. */
import { expect, test } from 'vitest'
import { testServer } from './postgres.ts'

test('databases are separate, values are text, and dropping ends their connections', async () => {
  const server = await testServer()
  const [first, second] = await Promise.all([
    server.createDatabase('one'),
    server.createDatabase('two'),
  ])
  await first.query('create table t as select 1.50::numeric(10,2) as amount, null::text as nothing')
  expect(await first.query('select * from t where amount = $1', ['1.5'])).toEqual([
    { amount: '1.50', nothing: null },
  ])
  expect(await second.query("select 1 as a; select to_regclass('t') as t")).toEqual([{ t: null }])
  const role = `${first.name}_role`
  await first.query(`create role ${role} login password '${role}'`)
  expect(new URL(first.roleUrl(role)).username).toBe(role)
  expect(server.url(first.name)).toBe(first.url)
  await first.drop()
  expect(
    await second.query('select 1 as one from pg_database where datname = $1', [first.name]),
  ).toEqual([])
  await second.query(`drop role ${role}`)
  await second.drop()
})
