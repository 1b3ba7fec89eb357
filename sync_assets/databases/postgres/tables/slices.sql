-- facts: of one table: its size, the leading column of its primary key, and how that lies on disk
select c.relkind::text, (pg_catalog.pg_relation_size(c.oid) / current_setting('block_size')::int)::bigint,
       coalesce(s.bytes, 0)::bigint, coalesce(s.rows, 0)::float8, a.attname::text,
       coalesce(a.attidentity <> '' or pg_catalog.pg_get_expr(d.adbin, d.adrelid) like 'nextval(%%', false),
       p.correlation::float8, coalesce(p.histogram_bounds::text::text[], '{}'), c.relhassubclass and c.relkind = 'r'
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
left join lateral (
  select sum(greatest(l.reltuples, 0)) as rows, sum(pg_catalog.pg_table_size(l.oid)) as bytes
  from pg_catalog.pg_class l
  where l.oid = c.oid and c.relkind in ('r', 'm')
     or c.relkind = 'p' and l.relkind = 'r' and l.oid in (select relid from pg_catalog.pg_partition_tree(c.oid))
) s on true
left join pg_catalog.pg_index i on i.indrelid = c.oid and i.indisprimary
left join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum = i.indkey[0]
left join pg_catalog.pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
left join pg_catalog.pg_stats p on p.schemaname = n.nspname and p.tablename = c.relname and p.attname = a.attname
  and p.inherited = (c.relkind = 'p')
where c.oid = %s::regclass

-- leaves: the partitions of a table that hold rows
select n.nspname, c.relname, c.relkind::text,
       (case when c.relkind = 'r' then pg_catalog.pg_relation_size(c.oid) else 0 end
        / current_setting('block_size')::int)::bigint,
       case when c.relkind = 'r' then pg_catalog.pg_table_size(c.oid) else 0 end,
       has_table_privilege(c.oid, 'select')
from pg_catalog.pg_partition_tree(%s::regclass) t
join pg_catalog.pg_class c on c.oid = t.relid
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where t.isleaf
order by n.nspname, c.relname
