-- probe: the columns of the grant tables that we may read, and what reading them needs to know; {more} by version
select 'column', table_name, column_name
  from information_schema.columns
 where table_schema = 'mysql'
   and table_name in ('global_priv', 'user', 'db', 'tables_priv', 'columns_priv', 'procs_priv', 'proxies_priv',
                      'roles_mapping', 'global_grants', 'role_edges', 'default_roles')
   and find_in_set('select', privileges)
union all select 'fact', 'version', version()
union all select 'fact', 'reader', current_user(){more}

-- mariadb_principals: named keys of the JSON only; of a password only whether there is one
select 'principal', json_array(User, Host, json_value(Priv, '$.is_role'), json_value(Priv, '$.account_locked'),
       json_value(Priv, '$.password_last_changed'), json_value(Priv, '$.password_lifetime'),
       json_value(Priv, '$.default_role'), json_value(Priv, '$.ssl_type'), json_value(Priv, '$.max_user_connections'),
       json_value(Priv, '$.plugin'), ifnull(json_value(Priv, '$.authentication_string'), '') <> '',
       ifnull(json_length(Priv, '$.auth_or'), 0),
       json_value(Priv, '$.auth_or[0].plugin'), ifnull(json_value(Priv, '$.auth_or[0].authentication_string'), '') <> '',
       json_value(Priv, '$.auth_or[1].plugin'), ifnull(json_value(Priv, '$.auth_or[1].authentication_string'), '') <> '',
       json_value(Priv, '$.auth_or[2].plugin'), ifnull(json_value(Priv, '$.auth_or[2].authentication_string'), '') <> '',
       json_value(Priv, '$.auth_or[3].plugin'), ifnull(json_value(Priv, '$.auth_or[3].authentication_string'), '') <> '')
  from mysql.global_priv

-- mariadb_global: masks, and the version that wrote each
select 'mask', json_array(User, Host, json_value(Priv, '$.access'), json_value(Priv, '$.version_id'),
       json_exists(Priv, '$.denies'))
  from mysql.global_priv

-- mariadb_memberships: a role is its name with an empty host, as member too
select 'mapping', json_array(User, Host, Role, Admin_option) from mysql.roles_mapping

-- mysql_principals: {more} of MySQL 8; a password is only looked at from within the server
select 'account', json_array(User, Host, cast(account_locked as char), date_format(password_last_changed, '%Y-%m-%dT%TZ'),
       password_lifetime, cast(password_expired as char), cast(ssl_type as char), max_user_connections, plugin,
       {filled}, {factors})
  from mysql.user

-- mysql_global: static privileges, as letters side by side
select 'static', json_array(User, Host, concat({flags})) from mysql.user

-- mysql_restrictions: partial revokes, and nothing else of the attributes, which hold second passwords
select 'restriction', json_array(User, Host, json_extract(User_attributes, '$.Restrictions')) from mysql.user
 where json_extract(User_attributes, '$.Restrictions') is not null

-- mysql_dynamic: since 8.0
select 'dynamic', json_array(`USER`, `HOST`, `PRIV`, cast(WITH_GRANT_OPTION as char)) from mysql.global_grants

-- mysql_memberships: since 8.0
select 'edge', json_array(TO_USER, TO_HOST, FROM_USER, FROM_HOST, cast(WITH_ADMIN_OPTION as char)) from mysql.role_edges

-- mysql_defaults: roles that are on at login
select 'default', json_array(`USER`, `HOST`, DEFAULT_ROLE_USER, DEFAULT_ROLE_HOST) from mysql.default_roles

-- database: privileges on databases and on patterns of names
select 'database', json_array(User, Host, Db, concat({flags})) from mysql.db

-- table: who granted last is the server's to overwrite, and no part of what was granted
select 'table', json_array(User, Host, Db, Table_name, cast(Table_priv as char)) from mysql.tables_priv

-- column: whether it may be handed on stands with the table
select 'column', json_array(User, Host, Db, Table_name, Column_name, cast(Column_priv as char)) from mysql.columns_priv

-- routine: functions, procedures, packages
select 'routine', json_array(User, Host, Db, Routine_name, cast(Routine_type as char), cast(Proc_priv as char))
  from mysql.procs_priv

-- proxy: who may play whom
select 'proxy', json_array(User, Host, Proxied_user, Proxied_host, With_grant) from mysql.proxies_priv
