-- tables: what there is, without the system's, ours, temporary tables, those of extensions and partitions
select n.nspname, c.relname, c.relkind::text, coalesce(s.rows, 0)::bigint, coalesce(s.bytes, 0)::bigint,
       array(select distinct array[fn.nspname::text, f.relname::text]
             from pg_catalog.pg_constraint k
             join pg_catalog.pg_class f on f.oid = k.confrelid
             join pg_catalog.pg_namespace fn on fn.oid = f.relnamespace
             where k.conrelid = c.oid and k.contype = 'f' and f.oid <> c.oid)
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
left join lateral (
  select sum(greatest(l.reltuples, 0)) as rows, sum(pg_catalog.pg_table_size(l.oid)) as bytes
  from pg_catalog.pg_class l
  where l.oid = c.oid and c.relkind in ('r', 'm')
     or c.relkind = 'p' and l.relkind = 'r' and l.oid in (select relid from pg_catalog.pg_partition_tree(c.oid))
) s on true
where c.relkind in ('r', 'p', 'v', 'm', 'f') and not c.relispartition and c.relpersistence <> 't'
  and n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'sync_assets')
  and not exists (select from pg_catalog.pg_depend d
                  where d.classid = 'pg_catalog.pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
order by n.nspname collate "C", c.relname collate "C"

-- named: the tables of two arrays of names
select c.oid, n.nspname, c.relname, c.relkind::text, c.relhassubclass, c.relrowsecurity,
       coalesce(pg_catalog.obj_description(c.oid, 'pg_class'), ''), coalesce(s.rows, 0)::bigint,
       coalesce(s.bytes, 0)::bigint
from unnest(%s::text[], %s::text[]) as w(schema, name)
join pg_catalog.pg_namespace n on n.nspname = w.schema
join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = w.name and c.relkind in ('r', 'p', 'v', 'm', 'f')
left join lateral (
  select sum(greatest(l.reltuples, 0)) as rows, sum(pg_catalog.pg_table_size(l.oid)) as bytes
  from pg_catalog.pg_class l
  where l.oid = c.oid and c.relkind in ('r', 'm')
     or c.relkind = 'p' and l.relkind = 'r' and l.oid in (select relid from pg_catalog.pg_partition_tree(c.oid))
) s on true

-- columns: of tables by oid; a domain is described by what it stands for
select a.attrelid, a.attname, a.attnum, a.attnotnull or t.typnotnull, pg_catalog.format_type(a.atttypid, a.atttypmod),
       b.typname, b.typtype::text, case when t.typtype = 'd' and a.atttypmod < 0 then t.typtypmod else a.atttypmod end,
       coalesce(e.typname, ''), coalesce(e.typtype::text, ''),
       array(select l.enumlabel::text from pg_catalog.pg_enum l
             where l.enumtypid = case when e.typtype = 'e' then e.oid else b.oid end order by l.enumsortorder),
       pg_catalog.pg_get_expr(d.adbin, d.adrelid), a.attgenerated::text, a.attidentity::text,
       case when a.attcollation <> 0 and a.attcollation <> 100 and a.attcollation <> t.typcollation
            then (select pg_catalog.format('%%I.%%I', cn.nspname, co.collname) from pg_catalog.pg_collation co
                  join pg_catalog.pg_namespace cn on cn.oid = co.collnamespace where co.oid = a.attcollation)
            else '' end,
       coalesce(pg_catalog.col_description(a.attrelid, a.attnum), ''),
       exists (select from pg_catalog.pg_depend o join pg_catalog.pg_class q on q.oid = o.objid and q.relkind = 'S'
               where o.refclassid = 'pg_catalog.pg_class'::regclass and o.refobjid = a.attrelid
                 and o.refobjsubid = a.attnum and o.deptype = 'a')
from pg_catalog.pg_attribute a
join pg_catalog.pg_type t on t.oid = a.atttypid
join pg_catalog.pg_type b on b.oid = case when t.typtype = 'd' then t.typbasetype else t.oid end
left join pg_catalog.pg_type i on b.typcategory = 'A' and i.oid = b.typelem
left join pg_catalog.pg_type e on e.oid = case when i.typtype = 'd' then i.typbasetype else i.oid end
left join pg_catalog.pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
where a.attrelid = any(%s) and a.attnum > 0 and not a.attisdropped
order by a.attrelid, a.attnum

-- indexes: of tables by oid, primary keys first
select i.indrelid, x.relname, i.indisprimary, i.indisunique, m.amname = 'btree' and i.indexprs is null
         and i.indpred is null and i.indnkeyatts = i.indnatts,
       i.indexprs is null and i.indpred is null and i.indimmediate and i.indisvalid,
       array(select a.attname::text from unnest(i.indkey::int2[]) with ordinality k(num, at)
             join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.num
             where k.at <= i.indnkeyatts order by k.at),
       not exists (select from unnest(i.indkey::int2[]) with ordinality k(num, at)
                   join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.num
                   where k.at <= i.indnkeyatts and not a.attnotnull),
       pg_catalog.pg_get_indexdef(i.indexrelid)
from pg_catalog.pg_index i
join pg_catalog.pg_class x on x.oid = i.indexrelid
join pg_catalog.pg_am m on m.oid = x.relam
where i.indrelid = any(%s)
order by i.indrelid, i.indisprimary desc, x.relname collate "C"

-- constraints: foreign keys and checks of tables by oid
select k.conrelid, k.contype::text, k.conname, coalesce(n.nspname, ''), coalesce(f.relname, ''),
       array(select a.attname::text from unnest(k.conkey) with ordinality c(num, at)
             join pg_catalog.pg_attribute a on a.attrelid = k.conrelid and a.attnum = c.num order by c.at),
       array(select a.attname::text from unnest(k.confkey) with ordinality c(num, at)
             join pg_catalog.pg_attribute a on a.attrelid = k.confrelid and a.attnum = c.num order by c.at),
       k.confdeltype::text, k.confupdtype::text,
       case when k.contype = 'c' then pg_catalog.pg_get_expr(k.conbin, k.conrelid) end
from pg_catalog.pg_constraint k
left join pg_catalog.pg_class f on f.oid = k.confrelid
left join pg_catalog.pg_namespace n on n.oid = f.relnamespace
where k.conrelid = any(%s) and k.contype in ('f', 'c') and k.conparentid = 0
order by k.conrelid, k.conname collate "C"

-- result: the types of a result's columns: two arrays of oids and modifiers
select w.at, pg_catalog.format_type(t.oid, w.modifier), b.typname, b.typtype::text, w.modifier,
       coalesce(e.typname, ''), coalesce(e.typtype::text, ''),
       array(select l.enumlabel::text from pg_catalog.pg_enum l
             where l.enumtypid = case when e.typtype = 'e' then e.oid else b.oid end order by l.enumsortorder)
from unnest(%s::oid[], %s::int4[]) with ordinality as w(type, modifier, at)
join pg_catalog.pg_type t on t.oid = w.type
join pg_catalog.pg_type b on b.oid = case when t.typtype = 'd' then t.typbasetype else t.oid end
left join pg_catalog.pg_type i on b.typcategory = 'A' and i.oid = b.typelem
left join pg_catalog.pg_type e on e.oid = case when i.typtype = 'd' then i.typbasetype else i.oid end
order by w.at

-- kinds: of tables by name, as a snapshot needs them
select n.nspname, c.relname, c.relkind::text, c.relhassubclass
from unnest(%s::text[], %s::text[]) as w(schema, name)
join pg_catalog.pg_namespace n on n.nspname = w.schema
join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = w.name

-- oldest: when the oldest transaction of others began, and how many we cannot see
with others as (
  select xact_start, query = '<insufficient privilege>' as hidden
  from pg_catalog.pg_stat_activity
  where datname = current_database() and not (pid = any(%s)) and pid <> pg_catalog.pg_backend_pid()
    and backend_type in ('client backend', 'background worker', 'logical replication worker')
)
select to_char(least((select min(xact_start) from others),
                     (select min(prepared) from pg_catalog.pg_prepared_xacts where database = current_database()))
               at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS.US'),
       (select count(*) from others where hidden)
