-- settings: names come out with their schemas, and values in one spelling; gone with the transaction
select set_config('search_path', '', true), set_config('TimeZone', 'UTC', true),
       set_config('DateStyle', 'ISO, YMD', true), set_config('IntervalStyle', 'postgres', true),
       set_config('extra_float_digits', '1', true), set_config('standard_conforming_strings', 'on', true),
       set_config('quote_all_identifiers', 'off', true), set_config('lc_monetary', 'C', true),
       set_config('bytea_output', 'hex', true), set_config('xmloption', 'content', true)

-- find: relations by name
select c.oid::int8, n.nspname::text, c.relname::text, c.relkind::text
from unnest(%(schemas)s::text[], %(names)s::text[]) as w (s, t)
join pg_namespace n on n.nspname = w.s
join pg_class c on c.relnamespace = n.oid and c.relname = w.t
order by 2, 3

-- taken: all names of relations, and of statistics, in schemas
select 'relation', n.nspname::text, c.relname::text
from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = any(%(schemas)s::text[])
union all
select 'statistics', n.nspname::text, s.stxname::text
from pg_statistic_ext s join pg_namespace n on n.oid = s.stxnamespace where n.nspname = any(%(schemas)s::text[])

-- family: tables with all their partitions, each parent before its children
with recursive family (oid, depth) as (
  select unnest(%(oids)s::int8[])::oid, 0
  union
  select i.inhrelid, f.depth + 1
  from family f join pg_inherits i on i.inhparent = f.oid join pg_class c on c.oid = i.inhrelid
  where c.relispartition
)
select oid::int8 from family group by oid order by max(depth), oid

-- relations: one row for each table
select c.oid::int8, n.nspname::text, c.relname::text, c.relkind::text, c.relpersistence = 'u', c.relispartition,
       coalesce(pg_get_expr(c.relpartbound, c.oid), ''),
       coalesce(case when c.relkind = 'p' then pg_get_partkeydef(c.oid) end, ''),
       coalesce(c.reloptions, '{}')::text[]
         || array(select 'toast.' || o from pg_class t, unnest(t.reloptions) o where t.oid = c.reltoastrelid),
       coalesce((select a.amname::text from pg_am a
                 where a.oid = c.relam and a.amname <> 'heap' and c.relkind in ('r', 'm')), ''),
       c.relreplident::text, c.relrowsecurity, c.relforcerowsecurity, c.reloftype <> 0,
       coalesce((select s.spcname::text from pg_tablespace s where s.oid = c.reltablespace), ''),
       array(select pn.nspname::text from pg_inherits i join pg_class p on p.oid = i.inhparent
             join pg_namespace pn on pn.oid = p.relnamespace where i.inhrelid = c.oid order by i.inhseqno),
       array(select p.relname::text from pg_inherits i join pg_class p on p.oid = i.inhparent
             where i.inhrelid = c.oid order by i.inhseqno),
       coalesce(obj_description(c.oid, 'pg_class'), ''),
       pg_has_role(c.relowner, 'USAGE')
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.oid = any(%(oids)s::oid[])

-- columns: one row for each column that is not dropped, in order
select a.attrelid::int8, a.attnum::int4, a.attname::text, format_type(a.atttypid, a.atttypmod), a.attnotnull,
       a.attidentity::text, a.attgenerated::text, coalesce(pg_get_expr(d.adbin, d.adrelid), ''),
       case when a.attcollation <> t.typcollation and a.attcollation <> 0
            then (select quote_ident(cn.nspname) || '.' || quote_ident(co.collname)
                  from pg_collation co join pg_namespace cn on cn.oid = co.collnamespace
                  where co.oid = a.attcollation) else '' end,
       case when a.attstorage <> t.typstorage then a.attstorage::text else '' end,
       coalesce(to_jsonb(a) ->> 'attcompression', ''),
       nullif(a.attstattarget, -1)::int4,
       coalesce(a.attoptions, '{}')::text[], a.attislocal, coalesce(col_description(a.attrelid, a.attnum), '')
from pg_attribute a
join pg_type t on t.oid = a.atttypid
left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
where a.attrelid = any(%(oids)s::oid[]) and a.attnum > 0 and not a.attisdropped
order by a.attrelid, a.attnum

-- uses: columns that the expression of a generated column stands on
select d.adrelid::int8, d.adnum::int4, a.attname::text
from pg_attrdef d
join pg_attribute g on g.attrelid = d.adrelid and g.attnum = d.adnum and g.attgenerated <> ''
join pg_depend p on p.refclassid = 'pg_class'::regclass and p.refobjid = d.adrelid and p.refobjsubid > 0
     and ((p.classid = 'pg_attrdef'::regclass and p.objid = d.oid and p.refobjsubid <> d.adnum)
          or (p.classid = 'pg_class'::regclass and p.objid = d.adrelid and p.objsubid = d.adnum))
join pg_attribute a on a.attrelid = d.adrelid and a.attnum = p.refobjsubid
where d.adrelid = any(%(oids)s::oid[])

-- attributes: names of the columns of tables
select a.attrelid::int8, a.attname::text, a.attnum::int8 from pg_attribute a
where a.attrelid = any(%(oids)s::oid[]) and a.attnum > 0 and not a.attisdropped

-- constraints: of tables, but for NOT NULL, triggers and the ones that follow from a foreign key of a parent
select k.conrelid::int8, k.conname::text, k.contype::text, pg_get_constraintdef(k.oid),
       array(select a.attname::text from unnest(k.conkey) with ordinality as u (n, i)
             join pg_attribute a on a.attrelid = k.conrelid and a.attnum = u.n order by u.i)
         || array(select a.attname::text from pg_depend d join pg_attribute a
                  on a.attrelid = k.conrelid and a.attnum = d.refobjsubid
                  where d.classid = 'pg_class'::regclass and d.objid = k.conindid and k.contype = 'x'
                    and d.refclassid = 'pg_class'::regclass and d.refobjid = k.conrelid and d.refobjsubid > 0),
       coalesce(fn.nspname::text, ''), coalesce(f.relname::text, ''),
       array(select a.attname::text from unnest(k.confkey) with ordinality as u (n, i)
             join pg_attribute a on a.attrelid = k.confrelid and a.attnum = u.n order by u.i),
       k.conislocal, k.convalidated, coalesce(i.relname::text, ''), coalesce(pi.relname::text, ''),
       coalesce(pin.nspname::text, ''), coalesce(ix.indisclustered, false), coalesce(ix.indisreplident, false),
       coalesce(obj_description(k.oid, 'pg_constraint'), '')
from pg_constraint k
left join pg_class f on f.oid = k.confrelid
left join pg_namespace fn on fn.oid = f.relnamespace
left join pg_class i on i.oid = k.conindid and k.contype in ('p', 'u', 'x')
left join pg_index ix on ix.indexrelid = i.oid
left join pg_inherits h on h.inhrelid = i.oid
left join pg_class pi on pi.oid = h.inhparent
left join pg_namespace pin on pin.oid = pi.relnamespace
where k.conrelid = any(%(oids)s::oid[]) and k.contype in ('p', 'u', 'x', 'c', 'f')
  and not (k.contype = 'f' and k.conparentid <> 0)
order by k.conrelid, k.conname

-- indexes: those that no constraint stands on
select x.indrelid::int8, i.relname::text, pg_get_indexdef(x.indexrelid),
       array(select distinct a.attname::text from pg_attribute a
             where a.attrelid = x.indrelid and (a.attnum = any(x.indkey::int2[]) or a.attnum in (
               select d.refobjsubid from pg_depend d
               where d.classid = 'pg_class'::regclass and d.objid = x.indexrelid
                 and d.refclassid = 'pg_class'::regclass and d.refobjid = x.indrelid))
               and a.attnum > 0 order by 1),
       x.indisunique, x.indisvalid, coalesce(p.relname::text, ''), coalesce(pn.nspname::text, ''),
       x.indisclustered, x.indisreplident, i.relkind = 'I', coalesce(obj_description(i.oid, 'pg_class'), ''),
       array(select a.attnum::text from pg_attribute a
             where a.attrelid = i.oid and nullif(a.attstattarget, -1) is not null order by a.attnum),
       array(select a.attstattarget::text from pg_attribute a
             where a.attrelid = i.oid and nullif(a.attstattarget, -1) is not null order by a.attnum)
from pg_index x
join pg_class i on i.oid = x.indexrelid
left join pg_inherits h on h.inhrelid = i.oid
left join pg_class p on p.oid = h.inhparent
left join pg_namespace pn on pn.oid = p.relnamespace
where x.indrelid = any(%(oids)s::oid[])
  and not exists (select from pg_constraint k where k.conindid = x.indexrelid and k.contype in ('p', 'u', 'x'))
order by x.indrelid, i.relname

-- statistics: extended statistics of tables
select s.stxrelid::int8, n.nspname::text, s.stxname::text, pg_get_statisticsobjdef(s.oid),
       array(select distinct a.attname::text from pg_attribute a
             where a.attrelid = s.stxrelid and a.attnum > 0 and (a.attnum = any(s.stxkeys::int2[]) or a.attnum in (
               select d.refobjsubid from pg_depend d where d.classid = 'pg_statistic_ext'::regclass
                 and d.objid = s.oid and d.refobjid = s.stxrelid)) order by 1),
       nullif(coalesce(to_jsonb(s) ->> 'stxstattarget', '-1'), '-1')::int4,
       coalesce(obj_description(s.oid, 'pg_statistic_ext'), '')
from pg_statistic_ext s join pg_namespace n on n.oid = s.stxnamespace
where s.stxrelid = any(%(oids)s::oid[])
order by 1, 2, 3

-- sequences: with the column that owns them (deptype a) or whose identity they are (i)
select c.oid::int8, n.nspname::text, c.relname::text, format_type(s.seqtypid, null), s.seqstart, s.seqincrement,
       s.seqmin, s.seqmax, s.seqcache, s.seqcycle, c.relpersistence = 'u',
       coalesce(obj_description(c.oid, 'pg_class'), ''),
       coalesce(d.refobjid, 0)::int8, coalesce(a.attname::text, ''), coalesce(d.deptype = 'i', false),
       has_sequence_privilege(c.oid, 'SELECT'), pg_has_role(c.relowner, 'USAGE')
from pg_sequence s
join pg_class c on c.oid = s.seqrelid
join pg_namespace n on n.oid = c.relnamespace
left join pg_depend d on d.classid = 'pg_class'::regclass and d.objid = c.oid and d.objsubid = 0
  and d.refclassid = 'pg_class'::regclass and d.deptype in ('a', 'i')
left join pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
where c.oid = any(%(oids)s::oid[])
   or (d.refobjid = any(%(tables)s::oid[]) and d.deptype in ('a', 'i'))
order by 2, 3

-- walk: everything that tables (with defaults, checks, indexes, statistics) and further objects stand on
with recursive walk (classid, objid) as (
  (select 'pg_class'::regclass::oid, unnest(%(oids)s::oid[])
   union select 'pg_attrdef'::regclass, oid from pg_attrdef where adrelid = any(%(oids)s::oid[])
         and (adrelid::int8, adnum::int8) not in (select * from unnest(%(skip)s::int8[], %(numbers)s::int8[]))
   union select 'pg_constraint'::regclass, oid from pg_constraint
         where conrelid = any(%(oids)s::oid[]) and contype in ('p', 'u', 'x', 'c')
   union select 'pg_class'::regclass, indexrelid from pg_index where indrelid = any(%(oids)s::oid[])
   union select 'pg_statistic_ext'::regclass, oid from pg_statistic_ext where stxrelid = any(%(oids)s::oid[])
   union select 'pg_proc'::regclass, unnest(%(functions)s::oid[])
   union select 'pg_rewrite'::regclass, oid from pg_rewrite where ev_class = any(%(views)s::oid[]))
  union
  select x.classid, x.objid from walk w cross join lateral (
    select d.refclassid, d.refobjid
    from pg_depend d
    left join pg_class c on d.refclassid = 'pg_class'::regclass and c.oid = d.refobjid
    where d.classid = w.classid and d.objid = w.objid and d.deptype in ('n', 'a', 'i', 'e')
      and d.refobjid >= 16384 and (c.oid is null or c.relkind in ('S', 'c'))
      and (d.classid <> 'pg_class'::regclass or d.objsubid = 0 or (d.objid::int8, d.objsubid::int8) not in
           (select * from unnest(%(skip)s::int8[], %(numbers)s::int8[])))
      and (d.deptype = 'e' or not exists (
        select from pg_depend e where e.classid = w.classid and e.objid = w.objid and e.deptype = 'e'))
    union all
    select 'pg_class'::regclass, t.typrelid from pg_type t join pg_class c on c.oid = t.typrelid
    where w.classid = 'pg_type'::regclass and t.oid = w.objid and c.relkind = 'c'
    union all
    select 'pg_constraint'::regclass, k.oid from pg_constraint k
    where w.classid = 'pg_type'::regclass and k.contypid = w.objid and k.contypid <> 0
  ) as x (classid, objid)
)
select w.classid::regclass::text, w.objid::int8,
       coalesce(owner.classid, w.classid)::regclass::text, coalesce(owner.objid, w.objid)::int8,
       coalesce((select d.refobjid from pg_depend d
                 where d.classid = w.classid and d.objid = w.objid and d.deptype = 'e'
                   and d.refclassid = 'pg_extension'::regclass), 0)::int8,
       coalesce(pg_describe_object(w.classid, w.objid, 0), '')
from walk w left join lateral (
  select 'pg_class'::regclass::oid as classid, d.adrelid as objid from pg_attrdef d
  where w.classid = 'pg_attrdef'::regclass and d.oid = w.objid
  union all
  select 'pg_type'::regclass, t.typelem from pg_type t
  where w.classid = 'pg_type'::regclass and t.oid = w.objid and t.typcategory = 'A' and t.typelem <> 0
  union all
  select 'pg_type'::regclass, r.rngtypid from pg_range r
  where w.classid = 'pg_type'::regclass and (to_jsonb(r) ->> 'rngmultitypid')::oid = w.objid
  union all
  select 'pg_class'::regclass, t.typrelid from pg_type t join pg_class c on c.oid = t.typrelid
  where w.classid = 'pg_type'::regclass and t.oid = w.objid and c.relkind <> 'c'
  union all
  select 'pg_type'::regclass, c.reltype from pg_class c
  where w.classid = 'pg_class'::regclass and c.oid = w.objid and c.relkind = 'c'
  union all
  select 'pg_type'::regclass, k.contypid from pg_constraint k
  where w.classid = 'pg_constraint'::regclass and k.oid = w.objid and k.contypid <> 0
  union all
  select 'pg_class'::regclass, r.ev_class from pg_rewrite r
  where w.classid = 'pg_rewrite'::regclass and r.oid = w.objid
  union all
  select 'pg_type'::regclass, d.refobjid from pg_depend d
  where w.classid = 'pg_proc'::regclass and d.classid = w.classid and d.objid = w.objid and d.deptype = 'i'
    and d.refclassid = 'pg_type'::regclass
) owner on true

-- edges: what stands on what, among objects of `walk`
select d.classid::regclass::text, d.objid::int8, d.refclassid::regclass::text, d.refobjid::int8
from unnest(%(classes)s::text[], %(oids)s::int8[]) as w (c, o)
join pg_depend d on d.classid = w.c::regclass and d.objid = w.o::oid
where d.refobjid >= 16384 and (d.deptype = 'n' or d.deptype = 'a' and d.classid = 'pg_class'::regclass
  and exists (select from pg_class c where c.oid = d.objid and c.relispartition and c.relkind in ('r', 'p')))

-- types: enums, domains, composites and ranges
select t.oid::int8, n.nspname::text, t.typname::text, t.typtype::text,
       array(select e.enumlabel::text from pg_enum e where e.enumtypid = t.oid order by e.enumsortorder),
       case when t.typtype = 'd' then format_type(t.typbasetype, t.typtypmod) else '' end,
       t.typnotnull, coalesce(pg_get_expr(t.typdefaultbin, 0), ''),
       case when t.typtype = 'd' and t.typcollation <> coalesce(b.typcollation, 0)
            then (select quote_ident(cn.nspname) || '.' || quote_ident(co.collname) from pg_collation co
                  join pg_namespace cn on cn.oid = co.collnamespace where co.oid = t.typcollation) else '' end,
       array(select k.conname::text from pg_constraint k where k.contypid = t.oid and k.contype = 'c' order by 1),
       array(select pg_get_constraintdef(k.oid) from pg_constraint k
             where k.contypid = t.oid and k.contype = 'c' order by k.conname),
       array(select coalesce(obj_description(k.oid, 'pg_constraint'), '') from pg_constraint k
             where k.contypid = t.oid and k.contype = 'c' order by k.conname),
       array(select a.attname::text from pg_attribute a
             where a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped order by a.attnum),
       array(select format_type(a.atttypid, a.atttypmod)
               || case when a.attcollation <> ty.typcollation and a.attcollation <> 0 then
                    (select ' collate ' || quote_ident(cn.nspname) || '.' || quote_ident(co.collname)
                     from pg_collation co join pg_namespace cn on cn.oid = co.collnamespace
                     where co.oid = a.attcollation) else '' end
             from pg_attribute a join pg_type ty on ty.oid = a.atttypid
             where a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped order by a.attnum),
       array(select coalesce(col_description(a.attrelid, a.attnum), '') from pg_attribute a
             where a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped order by a.attnum),
       case when r.rngtypid is null then '{}' else array[
         'subtype = ' || format_type(r.rngsubtype, null),
         (select 'subtype_opclass = ' || quote_ident(pn.nspname) || '.' || quote_ident(o.opcname)
          from pg_opclass o join pg_namespace pn on pn.oid = o.opcnamespace
          where o.oid = r.rngsubopc and not o.opcdefault),
         (select 'collation = ' || quote_ident(cn.nspname) || '.' || quote_ident(co.collname)
          from pg_collation co join pg_namespace cn on cn.oid = co.collnamespace
          join pg_type st on st.oid = r.rngsubtype
          where co.oid = r.rngcollation and co.oid <> st.typcollation),
         case when r.rngcanonical <> 0 then 'canonical = ' || r.rngcanonical::regproc::text end,
         case when r.rngsubdiff <> 0 then 'subtype_diff = ' || r.rngsubdiff::regproc::text end,
         (select 'multirange_type_name = ' || quote_ident(mn.nspname) || '.' || quote_ident(m.typname)
          from pg_type m join pg_namespace mn on mn.oid = m.typnamespace
          where m.oid = (to_jsonb(r) ->> 'rngmultitypid')::oid)] end,
       coalesce(obj_description(t.oid, 'pg_type'), obj_description(t.typrelid, 'pg_class'), ''),
       pg_has_role(t.typowner, 'USAGE')
from pg_type t
join pg_namespace n on n.oid = t.typnamespace
left join pg_type b on b.oid = t.typbasetype
left join pg_range r on r.rngtypid = t.oid
where t.oid = any(%(oids)s::oid[])
   or (n.nspname::text, t.typname::text) in (select * from unnest(%(schemas)s::text[], %(names)s::text[]))
order by 2, 3

-- functions: also procedures and aggregates
select p.oid::int8, n.nspname::text, p.proname::text, p.prokind::text, pg_get_function_identity_arguments(p.oid),
       case when p.prokind <> 'a' then pg_get_functiondef(p.oid) else '' end, l.lanname::text, p.prosrc,
       p.prokind <> 'a' and to_jsonb(p) ->> 'prosqlbody' is null and l.lanname not in ('c', 'internal'),
       case when p.prokind = 'a' then (select array[
         'sfunc = ' || a.aggtransfn::regproc::text, 'stype = ' || format_type(a.aggtranstype, null),
         case when a.aggtransspace <> 0 then 'sspace = ' || a.aggtransspace end,
         case when a.aggfinalfn <> 0 then 'finalfunc = ' || a.aggfinalfn::regproc::text end,
         case when a.aggfinalextra then 'finalfunc_extra' end,
         case when a.aggcombinefn <> 0 then 'combinefunc = ' || a.aggcombinefn::regproc::text end,
         case when a.aggserialfn <> 0 then 'serialfunc = ' || a.aggserialfn::regproc::text end,
         case when a.aggdeserialfn <> 0 then 'deserialfunc = ' || a.aggdeserialfn::regproc::text end,
         case when a.agginitval is not null then 'initcond = ' || quote_literal(a.agginitval) end,
         case when a.aggsortop <> 0 then 'sortop = operator(' || (
           select quote_ident(sn.nspname) || '.' || o.oprname from pg_operator o
           join pg_namespace sn on sn.oid = o.oprnamespace where o.oid = a.aggsortop) || ')' end,
         case p.proparallel when 's' then 'parallel = safe' when 'r' then 'parallel = restricted' end,
         case when a.aggkind = 'h' then 'hypothetical' end,
         case when a.aggmtransfn <> 0 then 'unsupported: moving aggregate' end]
         from pg_aggregate a where a.aggfnoid = p.oid) else '{}' end,
       coalesce(obj_description(p.oid, 'pg_proc'), ''), pg_has_role(p.proowner, 'USAGE')
from pg_proc p
join pg_namespace n on n.oid = p.pronamespace
join pg_language l on l.oid = p.prolang
where p.oid = any(%(oids)s::oid[])
   or (n.nspname::text, p.proname::text) in (select * from unnest(%(schemas)s::text[], %(names)s::text[]))
order by 2, 3, 5

-- collations: made by users
select c.oid::int8, n.nspname::text, c.collname::text, c.collprovider::text, c.collisdeterministic,
       coalesce(c.collcollate::text, ''), coalesce(c.collctype::text, ''),
       coalesce(to_jsonb(c) ->> 'colllocale', to_jsonb(c) ->> 'colliculocale', ''),
       coalesce(to_jsonb(c) ->> 'collicurules', ''),
       coalesce(obj_description(c.oid, 'pg_collation'), '')
from pg_collation c join pg_namespace n on n.oid = c.collnamespace
where c.oid = any(%(oids)s::oid[])
   or (n.nspname::text, c.collname::text) in (select * from unnest(%(schemas)s::text[], %(names)s::text[]))
order by 2, 3

-- extensions: by number or name
select e.oid::int8, e.extname::text, n.nspname::text, e.extversion
from pg_extension e join pg_namespace n on n.oid = e.extnamespace
where e.oid = any(%(oids)s::oid[]) or e.extname = any(%(names)s::text[])
order by 2

-- available: extensions that could be made here, and whether this user may
select a.name::text,
       coalesce((select s.rolsuper from pg_roles s where s.rolname = current_user), false)
       or (coalesce((select bool_or((to_jsonb(v) ->> 'trusted')::bool) from pg_available_extension_versions v
                     where v.name = a.name and v.version = a.default_version), false)
           and has_database_privilege(current_database(), 'CREATE'))
from pg_available_extensions a where a.name = any(%(names)s::text[])

-- schemas: which of these there are, with their comments, and what we may do in them
select n.nspname::text, coalesce(obj_description(n.oid, 'pg_namespace'), ''),
       has_schema_privilege(n.oid, 'CREATE'), has_schema_privilege(n.oid, 'USAGE'), pg_has_role(n.nspowner, 'USAGE')
from pg_namespace n where n.nspname = any(%(names)s::text[])

-- myself: the user, the database, and whether schemas may be made in it
select current_user::text, current_database()::text, has_database_privilege(current_database(), 'CREATE'),
       current_setting('server_version_num')::int4

-- callable: functions made by users whose names occur among these words
select p.oid::int8, n.nspname::text, p.proname::text
from pg_proc p join pg_namespace n on n.oid = p.pronamespace
where p.proname = any(%(names)s::text[]) and p.oid >= 16384
  and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
  and not exists (select from pg_depend d where d.classid = 'pg_proc'::regclass and d.objid = p.oid
                  and d.deptype in ('e', 'i'))

-- left: what hangs on tables and is not part of them: triggers, rules, policies, views
select 'trigger', n.nspname::text, c.relname::text, t.tgname::text
from pg_trigger t join pg_class c on c.oid = t.tgrelid join pg_namespace n on n.oid = c.relnamespace
where t.tgrelid = any(%(oids)s::oid[]) and not t.tgisinternal and coalesce(to_jsonb(t) ->> 'tgparentid', '0') = '0'
union all
select 'rule', n.nspname::text, c.relname::text, r.rulename::text
from pg_rewrite r join pg_class c on c.oid = r.ev_class join pg_namespace n on n.oid = c.relnamespace
where r.ev_class = any(%(oids)s::oid[]) and r.rulename <> '_RETURN'
union all
select 'policy', n.nspname::text, c.relname::text, p.polname::text
from pg_policy p join pg_class c on c.oid = p.polrelid join pg_namespace n on n.oid = c.relnamespace
where p.polrelid = any(%(oids)s::oid[])
union all
select distinct case c.relkind when 'm' then 'materialized view' else 'view' end, n.nspname::text, c.relname::text, ''
from pg_depend d
join pg_rewrite r on d.classid = 'pg_rewrite'::regclass and d.objid = r.oid
join pg_class c on c.oid = r.ev_class and c.relkind in ('v', 'm')
join pg_namespace n on n.oid = c.relnamespace
where d.refclassid = 'pg_class'::regclass and d.refobjid = any(%(oids)s::oid[]) and c.oid <> all(%(oids)s::oid[])
order by 1, 2, 3, 4

-- view_uses: the tables and views that views stand on
select distinct r.ev_class::int8, c.oid::int8, n.nspname::text, c.relname::text
from pg_rewrite r
join pg_depend d on d.classid = 'pg_rewrite'::regclass and d.objid = r.oid and d.refclassid = 'pg_class'::regclass
join pg_class c on c.oid = d.refobjid and c.oid <> r.ev_class and c.oid >= 16384 and c.relkind in ('r', 'p', 'v', 'm', 'f')
join pg_namespace n on n.oid = c.relnamespace
where r.ev_class = any(%(oids)s::oid[])
order by 1, 3, 4

-- extras: views, functions, triggers and rules of schemas
select 'pg_class', c.oid::int8, c.relkind::text, n.nspname::text, c.relname::text,
       case when c.relkind in ('v', 'm') then pg_get_viewdef(c.oid) else '' end,
       coalesce(c.reloptions, '{}')::text[], coalesce(obj_description(c.oid, 'pg_class'), ''), '', 0
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where n.nspname = any(%(schemas)s::text[]) and c.relkind in ('v', 'm')
  and not exists (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
union all
select 'pg_proc', p.oid::int8, 'f', n.nspname::text, p.proname::text, '', '{}'::text[], '', '', 0
from pg_proc p join pg_namespace n on n.oid = p.pronamespace
where n.nspname = any(%(schemas)s::text[])
  and not exists (select from pg_depend d where d.classid = 'pg_proc'::regclass and d.objid = p.oid
                  and d.deptype in ('e', 'i'))
union all
select 'pg_trigger', t.oid::int8, t.tgenabled::text, n.nspname::text, c.relname::text, pg_get_triggerdef(t.oid),
       '{}'::text[], coalesce(obj_description(t.oid, 'pg_trigger'), ''), t.tgname::text, t.tgfoid::int8
from pg_trigger t join pg_class c on c.oid = t.tgrelid join pg_namespace n on n.oid = c.relnamespace
where t.tgrelid = any(%(oids)s::oid[]) and not t.tgisinternal and coalesce(to_jsonb(t) ->> 'tgparentid', '0') = '0'
union all
select 'pg_rewrite', r.oid::int8, r.ev_enabled::text, n.nspname::text, c.relname::text, pg_get_ruledef(r.oid),
       '{}'::text[], coalesce(obj_description(r.oid, 'pg_rewrite'), ''), r.rulename::text, 0
from pg_rewrite r join pg_class c on c.oid = r.ev_class join pg_namespace n on n.oid = c.relnamespace
where r.ev_class = any(%(oids)s::oid[]) and r.rulename <> '_RETURN'
order by 1, 4, 5, 9
