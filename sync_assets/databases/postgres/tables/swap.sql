-- obstacles: what hangs on a table (by name) and would be lost or broken by putting another in its place
select what from (
  select 'is not an ordinary table' as what from pg_catalog.pg_class where oid = %(table)s::regclass and relkind <> 'r'
  union all select 'partitions or children' from pg_catalog.pg_inherits
    where inhparent = %(table)s::regclass or inhrelid = %(table)s::regclass
  union all select 'a trigger' from pg_catalog.pg_trigger where tgrelid = %(table)s::regclass and not tgisinternal
  union all select 'a rule' from pg_catalog.pg_rewrite where ev_class = %(table)s::regclass
  union all select 'a policy' from pg_catalog.pg_policy where polrelid = %(table)s::regclass
  union all select 'row security' from pg_catalog.pg_class where oid = %(table)s::regclass and relrowsecurity
  union all select 'a publication' from pg_catalog.pg_publication_rel where prrelid = %(table)s::regclass
  union all select 'a security label' from pg_catalog.pg_seclabel
    where classoid = 'pg_catalog.pg_class'::regclass and objoid = %(table)s::regclass
  union all select 'a foreign key of another table' from pg_catalog.pg_constraint
    where confrelid = %(table)s::regclass and contype = 'f'
  union all select 'a column of another type' from pg_catalog.pg_class where oid = %(table)s::regclass and reloftype <> 0
  union all select 'an extension' from pg_catalog.pg_depend
    where classid = 'pg_catalog.pg_class'::regclass and objid = %(table)s::regclass and deptype = 'e'
  union all select 'a view or another object' from pg_catalog.pg_depend d
    where d.refclassid = 'pg_catalog.pg_class'::regclass and d.refobjid = %(table)s::regclass and d.deptype = 'n'
      and not (d.classid = 'pg_catalog.pg_attrdef'::regclass
               and d.objid in (select oid from pg_catalog.pg_attrdef where adrelid = %(table)s::regclass))
      and not (d.classid = 'pg_catalog.pg_constraint'::regclass
               and d.objid in (select oid from pg_catalog.pg_constraint where conrelid = %(table)s::regclass))
      and not (d.classid = 'pg_catalog.pg_class'::regclass
               and d.objid in (select indexrelid from pg_catalog.pg_index where indrelid = %(table)s::regclass))
  union all select 'an object that uses its row type' from pg_catalog.pg_depend d
    join pg_catalog.pg_type t on t.oid = d.refobjid and d.refclassid = 'pg_catalog.pg_type'::regclass
    join pg_catalog.pg_class c on c.oid = %(table)s::regclass and (t.oid = c.reltype or t.typelem = c.reltype)
    where d.deptype = 'n'
) o limit 1

-- make_facts: how the new table is to be stored
select c.relpersistence::text, coalesce(array_to_string(c.reloptions, ', '), ''), coalesce(s.spcname, ''), m.amname
from pg_catalog.pg_class c left join pg_catalog.pg_tablespace s on s.oid = c.reltablespace
left join pg_catalog.pg_am m on m.oid = c.relam
where c.oid = %s::regclass

-- indexes: those of a table with the constraint that each belongs to, if any
select x.relname, pg_catalog.pg_get_indexdef(i.indexrelid), coalesce(k.conname, ''), coalesce(k.contype::text, ''),
       coalesce(k.condeferrable, false), coalesce(k.condeferred, false),
       coalesce(pg_catalog.pg_get_constraintdef(k.oid), ''), i.indisreplident, i.indisclustered,
       coalesce(pg_catalog.obj_description(i.indexrelid, 'pg_class'), ''),
       coalesce(pg_catalog.obj_description(k.oid, 'pg_constraint'), '')
from pg_catalog.pg_index i
join pg_catalog.pg_class x on x.oid = i.indexrelid
left join pg_catalog.pg_constraint k on k.conindid = i.indexrelid and k.contype in ('p', 'u', 'x')
where i.indrelid = %s::regclass and i.indisvalid
order by i.indisprimary desc, x.relname collate "C"

-- foreign_keys: of a table to others
select conname, pg_catalog.pg_get_constraintdef(oid), convalidated
from pg_catalog.pg_constraint where conrelid = %s::regclass and contype = 'f' and conparentid = 0
order by conname collate "C"

-- rights: on the table, its columns and its own sequences
select g.privilege_type, coalesce(r.rolname, ''), g.is_grantable, ''
from pg_catalog.pg_class c, pg_catalog.aclexplode(c.relacl) g left join pg_catalog.pg_roles r on r.oid = g.grantee
where c.oid = %(table)s::regclass
union all
select g.privilege_type, coalesce(r.rolname, ''), g.is_grantable, a.attname
from pg_catalog.pg_attribute a, pg_catalog.aclexplode(a.attacl) g left join pg_catalog.pg_roles r on r.oid = g.grantee
where a.attrelid = %(table)s::regclass and not a.attisdropped

-- identity: of a table: owner, replica identity, comment
select o.rolname, c.relreplident::text, coalesce(pg_catalog.obj_description(c.oid, 'pg_class'), '')
from pg_catalog.pg_class c join pg_catalog.pg_roles o on o.oid = c.relowner where c.oid = %s::regclass

-- sequences: that belong to columns of a table: serial ones (a), those of identity columns (i)
select a.attname, d.deptype::text, s.oid::regclass::text, n.nspname, s.relname
from pg_catalog.pg_depend d
join pg_catalog.pg_class s on s.oid = d.objid and s.relkind = 'S'
join pg_catalog.pg_namespace n on n.oid = s.relnamespace
join pg_catalog.pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
where d.refclassid = 'pg_catalog.pg_class'::regclass and d.classid = 'pg_catalog.pg_class'::regclass
  and d.refobjid = %s::regclass and d.deptype in ('a', 'i')
order by a.attnum
