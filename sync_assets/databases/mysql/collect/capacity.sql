-- facts: what everybody may read: version, our own global rights, settings; {settings} by flavour
select 'fact', json_array('version', version())
union all select 'fact', json_array('reader', current_user())
union all select 'right', json_array(privilege_type)
  from information_schema.user_privileges
 where grantee = concat('''', left(current_user(), char_length(current_user()) - 1
                                   - char_length(substring_index(current_user(), '@', -1))),
                        '''@''', substring_index(current_user(), '@', -1), '''')
{settings}

-- settings_mariadb: the redo log, and whether this is a replica at work
union all select 'fact', json_array(lower(variable_name), variable_value) from information_schema.global_variables
 where variable_name in ('INNODB_LOG_FILE_SIZE', 'INNODB_LOG_FILES_IN_GROUP', 'SKIP_SHOW_DATABASE')
union all select 'fact', json_array(lower(variable_name), variable_value) from information_schema.global_status
 where variable_name = 'SLAVES_RUNNING'

-- settings_mysql_capacity: since 8.0.30 the redo log has one size, which its files fill
union all select 'fact', json_array('innodb_redo_log_capacity', @@innodb_redo_log_capacity)

-- settings_mysql_files: before that
union all select 'fact', json_array('innodb_log_file_size', @@innodb_log_file_size)
union all select 'fact', json_array('innodb_log_files_in_group', @@innodb_log_files_in_group)

-- lent: masks of the rights that come by roles and by PUBLIC, for who may read them
select 'lent', json_array(json_value(Priv, '$.access'), json_value(Priv, '$.version_id'))
  from mysql.global_priv
 where Host = '' and (User = 'PUBLIC' or User in (select role_name from information_schema.enabled_roles))

-- databases: with the names of their folders
select 'database', json_array(schema_name,
       convert(cast(convert(replace(schema_name, '#mysql50#', '') using filename) as binary) using utf8mb4))
  from information_schema.schemata

-- spaces: InnoDB's files; names are folder/file
select 'space', json_array(name, file_size) from information_schema.{spaces}

-- tables: of all engines, with the names of their files; a view holds nothing
select 'table', json_array(table_schema, table_name, engine, data_length, index_length, table_rows,
       convert(cast(convert(table_schema using filename) as binary) using utf8mb4),
       convert(cast(convert(table_name using filename) as binary) using utf8mb4))
  from information_schema.tables
 where table_type not in ('VIEW', 'SYSTEM VIEW')
   and table_schema not in ('information_schema', 'performance_schema')

-- binlogs: needs its own right
show binary logs

-- relays: of every connection to a primary
show all slaves status
