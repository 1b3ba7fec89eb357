-- tables: all tables and views of a database; {names} narrows
select t.table_name, t.table_type, ifnull(t.engine, ''), ifnull(t.table_rows, 0), ifnull(t.data_length, 0),
       ifnull(t.table_comment, ''), ifnull(t.table_collation, '')
  from information_schema.tables t
 where t.table_schema = {schema}{names}
 order by t.table_name

-- default_collation: what columns have unless they say otherwise
select default_collation_name from information_schema.schemata where schema_name = {schema}

-- columns: in the order of the table
select table_name, column_name, column_type, data_type, is_nullable, column_default, extra, column_comment,
       ifnull(collation_name, ''), character_maximum_length, numeric_precision, numeric_scale, datetime_precision,
       generation_expression
  from information_schema.columns
 where table_schema = {schema}{names}
 order by table_name, ordinal_position

-- indexes: one row for each column of each
select table_name, index_name, non_unique, column_name, sub_part, index_type, ifnull(nullable, '')
  from information_schema.statistics
 where table_schema = {schema}{names}
 order by table_name, index_name <> 'PRIMARY', index_name, seq_in_index

-- foreign_keys: one row for each column of each. Who may only select sees no rules (referential_constraints is empty)
select k.table_name, k.constraint_name, k.column_name, k.referenced_table_schema, k.referenced_table_name,
       k.referenced_column_name, ifnull(r.delete_rule, ''), ifnull(r.update_rule, '')
  from information_schema.key_column_usage k
  left join information_schema.referential_constraints r
    on r.constraint_schema = k.constraint_schema and r.constraint_name = k.constraint_name
   and r.table_name = k.table_name
 where k.table_schema = {schema}{k_names} and k.referenced_table_name is not null
 order by k.table_name, k.constraint_name, k.ordinal_position

-- checks_mariadb: they belong to tables
select table_name, check_clause from information_schema.check_constraints
 where constraint_schema = {schema}{names}
 order by table_name, constraint_name

-- checks_mysql: since 8.0.16; the table is told elsewhere
select t.table_name, c.check_clause
  from information_schema.check_constraints c
  join information_schema.table_constraints t
    on t.constraint_schema = c.constraint_schema and t.constraint_name = c.constraint_name
 where t.table_schema = {schema}{t_names} and t.constraint_type = 'CHECK'
 order by t.table_name, c.constraint_name

-- oldest_writer: in UTC; the server tells the beginning in its own zone, so only the age is taken from it
select date_format(timestampadd(second, -1 - max(timestampdiff(second, trx_started,
                   convert_tz(utc_timestamp(), '+00:00', 'SYSTEM'))), utc_timestamp(6)), '%Y-%m-%d %H:%i:%s.%f')
  from information_schema.innodb_trx
 where trx_mysql_thread_id <> connection_id() and not trx_is_read_only
