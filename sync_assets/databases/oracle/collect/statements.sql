-- where_we_are: the container that we are logged in to; 0: no multitenant database, 1: the root of one
select sys_context('USERENV', 'CON_ID'), sys_context('USERENV', 'CON_NAME') from dual

-- where_we_are_old: before 12.1
select '0', sys_context('USERENV', 'DB_NAME') from dual

-- containers: every pluggable database, whether we see its data or not; asked in the root, where it hides nothing
select to_char(p.pdb_id), p.pdb_name, to_char(p.con_uid), p.status, v.open_mode
  from dba_pdbs p
  left join v$pdbs v on v.con_id = p.pdb_id

-- users: never the column `password`
select {con u}, u.username, to_char(u.user_id), to_char(u.created, 'YYYY-MM-DD"T"HH24:MI:SS'), u.account_status,
       u.authentication_type, u.profile, to_char(u.expiry_date, 'YYYY-MM-DD"T"HH24:MI:SS'), u.oracle_maintained, u.common,
       to_char(trunc(cast(sys_extract_utc(u.last_login) as date), 'IW'), 'YYYY-MM-DD'), u.password_versions,
       {changed}, d.username,
       case when p.limit = 'DEFAULT' then b.limit else p.limit end
  from {views}_users u
  left join {views}_users_with_defpwd d on d.username = u.username {same d u}
  left join {views}_profiles p on p.profile = u.profile and p.resource_name = 'PASSWORD_LIFE_TIME' {same p u}
  left join {views}_profiles b on b.profile = 'DEFAULT' and b.resource_name = 'PASSWORD_LIFE_TIME' {same b u}

-- users_old: before 12.1.0.2
select {con u}, u.username, to_char(u.user_id), to_char(u.created, 'YYYY-MM-DD"T"HH24:MI:SS'), u.account_status,
       u.authentication_type, u.profile, to_char(u.expiry_date, 'YYYY-MM-DD"T"HH24:MI:SS'), null, null,
       null, u.password_versions,
       {changed}, d.username,
       case when p.limit = 'DEFAULT' then b.limit else p.limit end
  from {views}_users u
  left join {views}_users_with_defpwd d on d.username = u.username {same d u}
  left join {views}_profiles p on p.profile = u.profile and p.resource_name = 'PASSWORD_LIFE_TIME' {same p u}
  left join {views}_profiles b on b.profile = 'DEFAULT' and b.resource_name = 'PASSWORD_LIFE_TIME' {same b u}

-- roles: theirs need no login
select {con r}, r.role, r.authentication_type, r.oracle_maintained, r.common from {views}_roles r

-- roles_old: before 12.1.0.2
select {con r}, r.role, r.authentication_type, null, null from {views}_roles r

-- memberships: roles of users and of roles; only a user's role can be off at login
select {con p}, p.grantee, p.granted_role, p.admin_option, p.default_role, r.role
  from {views}_role_privs p
  left join {views}_roles r on r.role = p.grantee {same r p}

-- grants: system privileges, rights on objects and columns, accounts that may be played, room in tablespaces
select {con s}, 'system', s.grantee, s.privilege, s.admin_option, null, null, null, null, null from {views}_sys_privs s
union all
select {con o}, 'object', o.grantee, o.privilege, o.grantable, o.grantor, o.type, o.owner, o.table_name, null
  from {views}_tab_privs o
  left join {views}_users w on w.username = o.owner {same w o}
  left join {views}_users g on g.username = o.grantee {same g o}
  left join {views}_roles r on r.role = o.grantee {same r o}
 where not (nvl(w.oracle_maintained, 'N') = 'Y'
            and (nvl(g.oracle_maintained, 'N') = 'Y' or nvl(r.oracle_maintained, 'N') = 'Y'
                 or (o.grantee = 'PUBLIC' and not {watched o})))
union all
select {con c}, 'column', c.grantee, c.privilege, c.grantable, c.grantor, null, c.owner, c.table_name, c.column_name
  from {views}_col_privs c
union all
select {con x}, 'proxy', x.proxy, x.authorization_constraint, 'NO', null, null, x.client, x.role, null
  from {views}_proxies x
union all
select {con q}, 'quota', q.username, case when q.max_bytes = -1 then 'UNLIMITED' else 'LIMITED' end, 'NO', null, null,
       null, q.tablespace_name, null
  from {views}_ts_quotas q
 where q.max_bytes <> 0

-- grants_old: before 12.1.0.2, where nothing says what was shipped and what kind of thing an object is
select {con s}, 'system', s.grantee, s.privilege, s.admin_option, null, null, null, null, null from {views}_sys_privs s
union all
select {con o}, 'object', o.grantee, o.privilege, o.grantable, o.grantor, null, o.owner, o.table_name, null
  from {views}_tab_privs o
 where not (o.owner in ({shipped}) and (o.grantee in ({shipped}, {shipped_roles})
                                        or (o.grantee = 'PUBLIC' and not {watched o})))
union all
select {con c}, 'column', c.grantee, c.privilege, c.grantable, c.grantor, null, c.owner, c.table_name, c.column_name
  from {views}_col_privs c
union all
select {con x}, 'proxy', x.proxy, x.authorization_constraint, 'NO', null, null, x.client, x.role, null
  from {views}_proxies x
union all
select {con q}, 'quota', q.username, case when q.max_bytes = -1 then 'UNLIMITED' else 'LIMITED' end, 'NO', null, null,
       null, q.tablespace_name, null
  from {views}_ts_quotas q
 where q.max_bytes <> 0

-- schema_grants: from 23ai on, rights on everything in a schema
select {con s}, 'schema', s.grantee, s.privilege, s.admin_option, null, null, s.schema, null, null
  from {views}_schema_privs s

-- password_file: who may connect AS SYSDBA and the like
select {con f}, f.username, f.sysdba, f.sysoper, f.sysbackup, f.sysdg, f.syskm from v$pwfile_users f

-- password_file_old: before 12.1
select '0', f.username, f.sysdba, f.sysoper, 'FALSE', 'FALSE', 'FALSE' from v$pwfile_users f

-- watched: rights of PUBLIC on shipped objects that are findings, not furniture
({0}.table_name in ('UTL_FILE', 'UTL_HTTP', 'UTL_TCP', 'UTL_SMTP', 'UTL_MAIL', 'UTL_INADDR', 'UTL_DBWS', 'UTL_ORAMTS',
                    'DBMS_LDAP', 'DBMS_JAVA', 'DBMS_JAVA_TEST', 'DBMS_SCHEDULER', 'DBMS_JOB', 'DBMS_SQL', 'DBMS_XMLGEN',
                    'DBMS_XMLQUERY', 'DBMS_XMLSAVE', 'DBMS_XMLSTORE', 'DBMS_CRYPTO', 'DBMS_OBFUSCATION_TOOLKIT',
                    'DBMS_RANDOM', 'DBMS_LOB', 'DBMS_ADVISOR', 'DBMS_BACKUP_RESTORE', 'DBMS_SYS_SQL', 'DBMS_REDACT',
                    'DBMS_FILE_TRANSFER', 'DBMS_STREAMS_RPC', 'HTTPURITYPE')
  or {0}.table_name like 'DBA\_%' escape '\' or {0}.table_name like 'CDB\_%' escape '\' or {0}.table_name like '%$')

-- files: what data files and temporary files take on disk
select {con d}, 'data', to_char(sum(d.bytes)) from {views}_data_files d {grouped d}
union all
select {con t}, 'temp', to_char(sum(t.bytes)) from {views}_temp_files t {grouped t}

-- segments: what tables and indexes take inside of the files
select {con s}, case when s.segment_type in ('INDEX', 'INDEX PARTITION', 'INDEX SUBPARTITION', 'LOBINDEX') then 'index'
                else 'data' end, to_char(sum(s.bytes))
  from {views}_segments s
 group by {con s}, case when s.segment_type in ('INDEX', 'INDEX PARTITION', 'INDEX SUBPARTITION', 'LOBINDEX') then 'index'
                else 'data' end

-- tables: the largest of each container, all their partitions together, without their indexes and LOBs
select x.container, x.owner, x.segment_name, to_char(x.total)
  from (select {con s} container, s.owner, s.segment_name, sum(s.bytes) total,
               row_number() over (partition by {con s} order by sum(s.bytes) desc, s.owner, s.segment_name) place
          from {views}_segments s
         where s.segment_type in ('TABLE', 'TABLE PARTITION', 'TABLE SUBPARTITION', 'NESTED TABLE')
         group by {con s}, s.owner, s.segment_name) x
 where x.place <= {top}

-- logs: redo logs with their copies, and archived logs that are still on disk
select 'redo', to_char(nvl(sum(l.bytes * l.members), 0)) from v$log l
union all
select 'archive', to_char(nvl(sum(a.blocks * a.block_size), 0))
  from v$archived_log a
 where a.deleted = 'NO' and a.standby_dest = 'NO' and a.name is not null
