-- begin: one snapshot that can only read; braces are filled with numbers
begin isolation level repeatable read read only;
set local statement_timeout = '{seconds}s';
set local lock_timeout = '1s';
set local search_path to '';
set local timezone to 'UTC';
set local client_min_messages to error

-- raw: names of a database without an encoding come as their bytes
set local client_encoding to sql_ascii

-- keep: main stays open while the other databases are read
select pg_catalog.set_config(name, '0', false) from pg_catalog.pg_settings where name = 'idle_session_timeout'

-- myself: what this login is and may, so that no statement is sent that would be refused
select current_user::text, pg_catalog.current_database()::text, pg_catalog.version(),
       pg_catalog.has_table_privilege('pg_catalog.pg_authid', 'select')
       or (pg_catalog.has_column_privilege('pg_catalog.pg_authid', 'oid', 'select')
           and pg_catalog.has_column_privilege('pg_catalog.pg_authid', 'rolpassword', 'select')),
       pg_catalog.has_function_privilege('pg_catalog.pg_ls_waldir()', 'execute'),
       pg_catalog.pg_has_role('pg_read_all_stats', 'usage')

-- databases: all of them; one with connection limit -2 is what an interrupted DROP DATABASE left
select d.oid::text, d.datname::text, d.datallowconn and d.datconnlimit <> -2,
       pg_catalog.has_database_privilege(d.oid, 'connect'), d.datistemplate or d.oid < 16384
  from pg_catalog.pg_database d order by d.datname

-- principals: no hash leaves the server; whether there is a password only where pg_authid may be read
select r.oid::text, r.rolname::text, r.rolcanlogin, r.rolsuper, {password}, {password_type},
       r.rolcreatedb, r.rolcreaterole, r.rolinherit, r.rolreplication, r.rolbypassrls, r.rolconnlimit,
       case when r.rolvaliduntil < 'infinity' then pg_catalog.to_char(
            greatest(least(r.rolvaliduntil, timestamptz '9999-12-31 23:59:59+00'), timestamptz '0001-01-01 00:00:00+00')
            at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"') end,
       (select pg_catalog.string_agg(s.one, ', ' order by s.one collate "C")
          from (select distinct pg_catalog.split_part(c.one, '=', 1) as one
                  from pg_catalog.pg_db_role_setting x cross join lateral pg_catalog.unnest(x.setconfig) c (one)
                 where x.setrole = r.oid) s),
       (select pg_catalog.substr(c.one, 13) from pg_catalog.unnest(r.rolconfig) c (one)
         where pg_catalog.starts_with(c.one, 'search_path='))
  from pg_catalog.pg_roles r {authid}

-- passwords: kinds of `principals` where pg_authid may be read
a.rolpassword is not null

-- password_types: computed there
case when a.rolpassword like 'SCRAM-SHA-256$%' then 'scram-sha-256' when a.rolpassword like 'md5%' then 'md5'
     when a.rolpassword is not null then 'other' end

-- authid: joined where it may be read
left join pg_catalog.pg_authid a on a.oid = r.oid

-- memberships: since 16 one row for each grantor
select m.member::text, m.roleid::text, m.grantor::text, m.admin_option, m.inherit_option, m.set_option
  from pg_catalog.pg_auth_members m

-- memberships_before: until 15 the member's own flag decides, and everybody may SET ROLE
select m.member::text, m.roleid::text, m.grantor::text, m.admin_option, r.rolinherit, true
  from pg_catalog.pg_auth_members m join pg_catalog.pg_roles r on r.oid = m.member

-- grants: what was granted beyond what everything has from its making (see accounts.py); {things} are the arms below
with thing (scope, path, owner, acl, builtin, made, terse, owned) as materialized (
{things}
)
select t.scope, t.path, 'grant', e.grantee::text, e.grantor::text, e.privilege_type, e.is_grantable
  from thing t cross join lateral pg_catalog.aclexplode(coalesce(t.acl, t.builtin)) e
 where not exists (
       select from pg_catalog.aclexplode(coalesce(t.made, t.builtin)) u
        where u.grantee = e.grantee and u.grantor = e.grantor and u.privilege_type = e.privilege_type
          and u.is_grantable = e.is_grantable and (t.terse or u.grantee = t.owner))
union all
select t.scope, t.path, 'partial_revoke', u.grantee::text, u.grantor::text, u.privilege_type, false
  from thing t cross join lateral pg_catalog.aclexplode(coalesce(t.made, t.builtin)) u
 where t.acl is not null and (t.terse or u.grantee = t.owner)
   and not exists (
       select from pg_catalog.aclexplode(t.acl) e
        where e.grantee = u.grantee and e.grantor = u.grantor and e.privilege_type = u.privilege_type)
union all
select t.scope, t.path, 'grant', t.owner::text, '0', 'OWNERSHIP', false from thing t where t.owned

-- cluster: databases and tablespaces
select 'database', array[d.datname::text], d.datdba, d.datacl, pg_catalog.acldefault('d', d.datdba),
       null::pg_catalog.aclitem[], false, true
  from pg_catalog.pg_database d
union all
select 'tablespace', array[s.spcname::text], s.spcowner, s.spcacl, pg_catalog.acldefault('t', s.spcowner), null, false, true
  from pg_catalog.pg_tablespace s

-- parameters: since 15; the bootstrap superuser counts as owner of all
union all
select 'parameter', array[p.parname], 10, p.paracl, pg_catalog.acldefault('p', 10), null, false, false
  from pg_catalog.pg_parameter_acl p

-- database: all kinds of ACLs of one database
select 'schema', array[n.nspname::text], n.nspowner, n.nspacl, x.builtin, y.made, x.terse, not x.terse
  from pg_catalog.pg_namespace n
       cross join lateral (select n.oid < 16384 and n.nspname <> 'public' as terse,
                                  pg_catalog.acldefault('n', n.nspowner) as builtin) x
       left join pg_catalog.pg_init_privs i
              on i.classoid = 'pg_catalog.pg_namespace'::pg_catalog.regclass and i.objoid = n.oid and i.privtype = 'i'
       cross join lateral (select case when not x.terse then null when n.nspname <> 'information_schema' then i.initprivs
            else x.builtin || pg_catalog.makeaclitem(0, n.nspowner, 'USAGE', false) end as made) y
 where n.nspname !~ '^pg_(toast_)?temp_' and (not x.terse or n.nspacl is distinct from coalesce(y.made, x.builtin))
union all
-- initdb keeps no record of what it grants in information_schema: SELECT to PUBLIC on all but these
select case c.relkind when 'S' then 'sequence' else 'table' end, array[n.nspname::text, c.relname::text], c.relowner,
       c.relacl, x.builtin, y.made, x.terse, not x.terse
  from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
       cross join lateral (select c.oid < 16384 as terse, pg_catalog.acldefault(
            case c.relkind when 'S' then 's'::"char" else 'r'::"char" end, c.relowner) as builtin) x
       left join pg_catalog.pg_init_privs i
              on i.classoid = 'pg_catalog.pg_class'::pg_catalog.regclass and i.objoid = c.oid and i.objsubid = 0
             and i.privtype = 'i'
       cross join lateral (select case when not x.terse then null
            when n.nspname = 'information_schema' and c.relname !~ '^(_pg_|sql_parts$|transforms$)'
            then x.builtin || pg_catalog.makeaclitem(0, c.relowner, 'SELECT', false) else i.initprivs end as made) y
 where c.relkind in ('r', 'v', 'm', 'S', 'f', 'p') and c.relpersistence <> 't'
   and (not x.terse or c.relacl is distinct from coalesce(y.made, x.builtin))
union all
select 'column', array[n.nspname::text, c.relname::text, a.attname::text], c.relowner, a.attacl,
       pg_catalog.acldefault('c', c.relowner),
       case when c.oid < 16384 then i.initprivs end, true, false
  from pg_catalog.pg_attribute a join pg_catalog.pg_class c on c.oid = a.attrelid
       join pg_catalog.pg_namespace n on n.oid = c.relnamespace
       left join pg_catalog.pg_init_privs i
              on i.classoid = 'pg_catalog.pg_class'::pg_catalog.regclass and i.objoid = c.oid and i.objsubid = a.attnum
             and i.privtype = 'i'
 where a.attacl is not null and not a.attisdropped and c.relpersistence <> 't'
   and (c.oid >= 16384 or a.attacl is distinct from i.initprivs)
union all
select 'routine', array[n.nspname::text, p.proname || '(' || pg_catalog.oidvectortypes(p.proargtypes) || ')'],
       p.proowner, p.proacl, pg_catalog.acldefault('f', p.proowner), i.initprivs, x.terse,
       not x.terse or (p.oid < 16384 and p.proowner <> 10)
  from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace
       left join pg_catalog.pg_depend e
              on e.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass and e.objid = p.oid and e.deptype = 'e'
       cross join lateral (select p.oid < 16384 or e.objid is not null as terse) x
       left join pg_catalog.pg_init_privs i
              on x.terse and i.classoid = 'pg_catalog.pg_proc'::pg_catalog.regclass and i.objoid = p.oid
 where n.nspname !~ '^pg_temp_'
   and (not x.terse or (p.oid < 16384 and p.proowner <> 10)
        or p.proacl is distinct from coalesce(i.initprivs, pg_catalog.acldefault('f', p.proowner)))
union all
select 'type', array[n.nspname::text, t.typname::text], t.typowner, t.typacl, pg_catalog.acldefault('T', t.typowner),
       i.initprivs, x.terse, not x.terse
  from pg_catalog.pg_type t join pg_catalog.pg_namespace n on n.oid = t.typnamespace
       left join pg_catalog.pg_class c on c.oid = t.typrelid
       left join pg_catalog.pg_depend e
              on e.classid = 'pg_catalog.pg_type'::pg_catalog.regclass and e.objid = t.oid and e.deptype = 'e'
       cross join lateral (select t.oid < 16384 or e.objid is not null or c.relkind <> 'c' or t.typtype = 'm' as terse) y
       cross join lateral (select coalesce(y.terse, false) as terse) x
       left join pg_catalog.pg_init_privs i
              on x.terse and i.classoid = 'pg_catalog.pg_type'::pg_catalog.regclass and i.objoid = t.oid
 where n.nspname !~ '^pg_temp_'
   and not exists (select from pg_catalog.pg_type a where a.oid = t.typelem and a.typarray = t.oid)
   and (not x.terse or t.typacl is distinct from coalesce(i.initprivs, pg_catalog.acldefault('T', t.typowner)))
union all
select 'language', array[l.lanname::text], l.lanowner, l.lanacl, x.builtin, i.initprivs, x.terse, not x.terse
  from pg_catalog.pg_language l
       left join pg_catalog.pg_depend e
              on e.classid = 'pg_catalog.pg_language'::pg_catalog.regclass and e.objid = l.oid and e.deptype = 'e'
       cross join lateral (select l.oid < 16384 or e.objid is not null as terse,
                                  pg_catalog.acldefault('l', l.lanowner) as builtin) x
       left join pg_catalog.pg_init_privs i
              on x.terse and i.classoid = 'pg_catalog.pg_language'::pg_catalog.regclass and i.objoid = l.oid
 where not x.terse or l.lanacl is distinct from coalesce(i.initprivs, x.builtin)
union all
select 'foreign_data_wrapper', array[f.fdwname::text], f.fdwowner, f.fdwacl, x.builtin, i.initprivs, x.terse, not x.terse
  from pg_catalog.pg_foreign_data_wrapper f
       left join pg_catalog.pg_depend e
              on e.classid = 'pg_catalog.pg_foreign_data_wrapper'::pg_catalog.regclass and e.objid = f.oid
             and e.deptype = 'e'
       cross join lateral (select e.objid is not null as terse, pg_catalog.acldefault('F', f.fdwowner) as builtin) x
       left join pg_catalog.pg_init_privs i
              on x.terse and i.classoid = 'pg_catalog.pg_foreign_data_wrapper'::pg_catalog.regclass and i.objoid = f.oid
 where not x.terse or f.fdwacl is distinct from coalesce(i.initprivs, x.builtin)
union all
select 'foreign_server', array[s.srvname::text], s.srvowner, s.srvacl, pg_catalog.acldefault('S', s.srvowner), null,
       false, true
  from pg_catalog.pg_foreign_server s
union all
select 'large_object', array[o.oid::text], o.lomowner, o.lomacl, pg_catalog.acldefault('L', o.lomowner), null, false, false
  from pg_catalog.pg_largeobject_metadata o where o.lomacl is not null
union all
select 'default', array[coalesce(n.nspname::text, ''), d.defaclrole::text,
            case d.defaclobjtype when 'r' then 'tables' when 'S' then 'sequences' when 'f' then 'routines'
                 when 'T' then 'types' when 'n' then 'schemas' when 'L' then 'large objects' else d.defaclobjtype::text end],
       d.defaclrole, d.defaclacl,
       pg_catalog.acldefault(case when d.defaclnamespace <> 0 then 'c'::"char" when d.defaclobjtype = 'S' then 's'::"char"
            else d.defaclobjtype end, d.defaclrole),
       null, true, false
  from pg_catalog.pg_default_acl d left join pg_catalog.pg_namespace n on n.oid = d.defaclnamespace
