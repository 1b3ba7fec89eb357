-- sizes: pg_database_size raises an error for the whole statement unless the right is asked for first
select d.oid::text, d.datname::text,
       case when pg_catalog.has_database_privilege(d.oid, 'connect')
              or (pg_catalog.has_database_privilege(d.oid, 'connect') is not null
                  and pg_catalog.pg_has_role('pg_read_all_stats', 'usage'))
            then pg_catalog.pg_database_size(d.oid) end
  from pg_catalog.pg_database d

-- wal: only sent where the function may be called
select coalesce(pg_catalog.sum(w.size), 0)::bigint from pg_catalog.pg_ls_waldir() w

-- tables: the largest of one database, and its sums, which every row repeats. A table that somebody holds locked would
-- make its size function wait: there the pages count that the last VACUUM or ANALYZE saw.
with busy (oid) as (
    select coalesce(t.oid, i.indrelid, l.relation)
      from pg_catalog.pg_locks l
           left join pg_catalog.pg_index i on i.indexrelid = l.relation
           left join pg_catalog.pg_class t on t.reltoastrelid = coalesce(i.indrelid, l.relation)
     where l.locktype = 'relation' and l.mode = 'AccessExclusiveLock'
       and l.database = (select oid from pg_catalog.pg_database where datname = pg_catalog.current_database())
), measured as (
    select n.nspname::text as schema, c.relname::text as name, c.oid < 16384 or c.relkind = 'S' as own, c.reltuples,
           case when b.busy then c.relpages * pg_catalog.current_setting('block_size')::bigint
                else pg_catalog.pg_table_size(c.oid) end as data,
           case when b.busy then (select coalesce(pg_catalog.sum(k.relpages), 0)
                                         * pg_catalog.current_setting('block_size')::bigint
                                    from pg_catalog.pg_index x join pg_catalog.pg_class k on k.oid = x.indexrelid
                                   where x.indrelid = c.oid)
                else pg_catalog.pg_indexes_size(c.oid) end as indexes
      from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
           cross join lateral (select c.oid in (select oid from busy) as busy) b
     where c.relkind in ('r', 'm', 'S') and not c.relisshared
), summed as (
    select pg_catalog.sum(data)::bigint as data, pg_catalog.sum(indexes)::bigint as indexes from measured
)
select s.data, s.indexes, m.schema, m.name, (m.data + m.indexes)::bigint,
       case when m.reltuples >= 0 then m.reltuples::bigint end
  from summed s left join lateral (
       select * from measured where not own order by data + indexes desc, schema collate "C", name collate "C"
        limit {top}) m on true
