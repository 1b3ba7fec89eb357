-- one_at_a_time: whoever writes what is known of an instance's day: sizes, or the gap in their place
select pg_advisory_xact_lock(
    hashtextextended(concat_ws('|', 'fleet', %(kind)s::text, %(fleet)s::text, %(instance)s::text), %(day)s - date '2000-01-01'))

-- standing: what is there for the day
select observed_at, unknown_databases from sync_assets.fleet_capacity
 where fleet = %(fleet)s and instance = %(instance)s and day = %(day)s

-- put_instance: the day's row; its databases and tables are written anew after it
insert into sync_assets.fleet_capacity
    (fleet, instance, day, observed_at, late, run_id, total_bytes, databases, unknown_databases, log_bytes, logs, sections)
values (%(fleet)s, %(instance)s, %(day)s, %(observed_at)s, %(late)s, %(run_id)s, %(total)s, %(databases)s, %(unknown)s,
        %(log_bytes)s, %(logs)s::jsonb, %(sections)s::jsonb)
on conflict (fleet, instance, day) do update
   set observed_at = excluded.observed_at, late = excluded.late, run_id = excluded.run_id,
       total_bytes = excluded.total_bytes, databases = excluded.databases,
       unknown_databases = excluded.unknown_databases, log_bytes = excluded.log_bytes, logs = excluded.logs,
       sections = excluded.sections, written_at = clock_timestamp()

-- clear_databases: of the day
delete from sync_assets.fleet_database_size
 where fleet = %(fleet)s and instance = %(instance)s and day = %(day)s

-- put_databases: all of one reading
insert into sync_assets.fleet_database_size
    (fleet, instance, day, database, incarnation, bytes, data_bytes, index_bytes, log_bytes, system)
select %(fleet)s, %(instance)s, %(day)s, name, incarnation, bytes, data, index, log, system
  from unnest(%(names)s::text[], %(incarnations)s::text[], %(bytes)s::bigint[], %(data)s::bigint[],
              %(index)s::bigint[], %(log)s::bigint[], %(system)s::boolean[])
       as read(name, incarnation, bytes, data, index, log, system)

-- clear_tables: of the day
delete from sync_assets.fleet_table_size
 where fleet = %(fleet)s and instance = %(instance)s and day = %(day)s

-- put_tables: the largest of one reading; names that are stored alike keep the largest
insert into sync_assets.fleet_table_size (fleet, instance, day, database, schema, name, bytes, rows)
select distinct on (database, schema, name) %(fleet)s, %(instance)s, %(day)s, database, schema, name, bytes, rows
  from unnest(%(databases)s::text[], %(schemas)s::text[], %(names)s::text[], %(bytes)s::bigint[], %(rows)s::bigint[])
       as read(database, schema, name, bytes, rows)
 order by database, schema, name, bytes desc

-- note_gap: of sizes only where there is no total of the day; what was written stays in any case
insert into sync_assets.fleet_gap (fleet, instance, kind, day, reason, message, run_id)
select %(fleet)s, %(instance)s, %(kind)s, %(day)s, %(reason)s, %(message)s, %(run_id)s
 where %(kind)s::text <> 'capacity' or not exists
       (select 1 from sync_assets.fleet_capacity
         where fleet = %(fleet)s and instance = %(instance)s and day = %(day)s and unknown_databases = 0)
on conflict (fleet, instance, kind, day) do update
   set reason = excluded.reason, message = excluded.message, run_id = excluded.run_id,
       attempts = fleet_gap.attempts + 1, recorded_at = clock_timestamp(), closed_at = null

-- close_gap: it was collected after all
update sync_assets.fleet_gap set closed_at = clock_timestamp()
 where fleet = %(fleet)s and instance = %(instance)s and kind = %(kind)s and day = %(day)s and closed_at is null

-- present: instances with a known total
select instance from sync_assets.fleet_capacity where fleet = %(fleet)s and day = %(day)s and unknown_databases = 0

-- series: days of instances, in order
select instance, day, observed_at, late, case when unknown_databases = 0 then total_bytes end, total_bytes, databases,
       unknown_databases, log_bytes
  from sync_assets.fleet_capacity
 where fleet = %(fleet)s and day >= %(first)s and day < %(until)s
   and (%(instance)s::text is null or instance = %(instance)s)
 order by instance, day

-- databases: days of databases, in order
select instance, database, incarnation, day, bytes, log_bytes, system
  from sync_assets.fleet_database_size
 where fleet = %(fleet)s and day >= %(first)s and day < %(until)s
   and (%(instance)s::text is null or instance = %(instance)s)
   and (%(database)s::text is null or database = %(database)s)
 order by instance, database, incarnation, day

-- tables: the largest of an instance on a day
select database, schema, name, bytes, rows from sync_assets.fleet_table_size
 where fleet = %(fleet)s and instance = %(instance)s and day = %(day)s
 order by bytes desc, database, schema, name

-- newest: the newest day of every instance, whether or not its total is known
select distinct on (instance) instance, day, observed_at, late,
       case when unknown_databases = 0 then total_bytes end, total_bytes, databases, unknown_databases, log_bytes
  from sync_assets.fleet_capacity where fleet = %(fleet)s
 order by instance, day desc

-- gaps: newest day first
select instance, kind, day, reason, message, attempts, run_id, recorded_at, closed_at
  from sync_assets.fleet_gap
 where fleet = %(fleet)s and (%(kind)s::text is null or kind = %(kind)s) and (not %(open_only)s or closed_at is null)
   and (%(first)s::date is null or day >= %(first)s) and (%(until)s::date is null or day < %(until)s)
 order by day desc, instance, kind
