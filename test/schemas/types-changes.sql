-- In every table of types.sql: a row goes, one gets another key, one the values of another.
do $$
declare
  relation regclass;
  columns text;
begin
  for relation, columns in
    select a.attrelid, string_agg(quote_ident(a.attname), ', ') filter (where a.attname <> 'id' and a.attgenerated = '' and a.attidentity = '')
    from pg_attribute a join pg_class c on c.oid = a.attrelid
    where c.relnamespace = 'public'::regnamespace and c.relkind = 'r' and a.attnum > 0 and not a.attisdropped
    group by a.attrelid having bool_or(a.attname = 'id')
  loop
    execute format('delete from %s where id = 2', relation);
    execute format('update %s set id = id + 9000 where id = 3', relation);
    execute format('update %s as t set (%s) = (select %2$s from %1$s as o where o.id = 4) where t.id = 5', relation, columns);
  end loop;
end
$$;
