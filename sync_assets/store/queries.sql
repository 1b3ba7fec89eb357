-- set_up: of every new connection; a lost peer must not hold a worker for ever
select set_config('statement_timeout', '30s', false), set_config('lock_timeout', '20s', false),
       set_config('idle_in_transaction_session_timeout', '60s', false), set_config('timezone', 'UTC', false)

-- version: what the tables look like; to_regclass is null where there are none
select to_regclass('sync_assets.alembic_version') is not null

-- version_number: only where the table exists
select version_num from sync_assets.alembic_version

-- acquire_lease: if it is free, over, or its holder known to be gone; no row: it is held. The token grows each time; it
-- begins at the milliseconds since 1970, so that it is larger, too, than those that targets keep from another lease's name
-- or from a control database that is no more
insert into sync_assets.lease as held (name, owner, token, seconds, until)
values (%(name)s, %(owner)s, floor(extract(epoch from clock_timestamp()) * 1000)::bigint, %(seconds)s,
        clock_timestamp() + make_interval(secs => %(seconds)s))
on conflict (name) do update
   set owner = excluded.owner, token = greatest(held.token + 1, excluded.token), seconds = excluded.seconds,
       acquired_at = clock_timestamp(), until = clock_timestamp() + make_interval(secs => excluded.seconds)
 where held.owner is null or held.until <= clock_timestamp() or held.token = %(over)s::bigint
returning token

-- lease_left: seconds until the present holder's time is over
select greatest(extract(epoch from until - clock_timestamp()), 0)::float8, owner, token
  from sync_assets.lease where name = %(name)s and owner is not null

-- renew_lease: no row: another one holds it, or it was given back
update sync_assets.lease set until = clock_timestamp() + make_interval(secs => %(seconds)s)
 where name = %(name)s and token = %(token)s and owner is not null
returning token

-- release_lease: the row stays, so that the token goes on growing
update sync_assets.lease set owner = null, until = clock_timestamp()
 where name = %(name)s and token = %(token)s

-- fence: locks the lease until the transaction ends, so that nobody can take it over before the commit
select token from sync_assets.lease
 where name = %(name)s and token = %(token)s and owner is not null for update

-- journal: a repeat of the same token is the same request
insert into sync_assets.journal (client_token, target, sync, keys, payload)
values (%(client_token)s, %(target)s, %(sync)s, %(keys)s, %(payload)s)
on conflict (client_token) do nothing

-- journal_done: the answer was seen
delete from sync_assets.journal where client_token = any(%(client_tokens)s)

-- journal_open: oldest first
select client_token, target, sync, keys, payload, written_at
  from sync_assets.journal where target = %(target)s order by number

-- state: of the last finished run
select position, rows, digest, finished_at from sync_assets.sync_state
 where sync = %(sync)s and partition = %(partition)s

-- save_state: after the fence, in its transaction
insert into sync_assets.sync_state (sync, partition, position, rows, digest, finished_at)
values (%(sync)s, %(partition)s, %(position)s, %(rows)s, %(digest)s,
        coalesce(%(finished_at)s, clock_timestamp()))
on conflict (sync, partition) do update
   set position = excluded.position, rows = excluded.rows, digest = excluded.digest,
       finished_at = excluded.finished_at

-- rejects: in the order of the keys' code points, whatever the database's collation
select key, digest, field, code, reason, partition
  from sync_assets.reject where sync = %(sync)s order by key collate "C"

-- save_reject: the newest reason counts, and when it was first seen stays
insert into sync_assets.reject (sync, key, digest, field, code, reason, partition)
values (%(sync)s, %(key)s, %(digest)s, %(field)s, %(code)s, %(reason)s, %(partition)s)
on conflict (sync, key) do update
   set digest = excluded.digest, field = excluded.field, code = excluded.code, reason = excluded.reason,
       partition = excluded.partition, last_seen = clock_timestamp()

-- forget_rejects: some
delete from sync_assets.reject where sync = %(sync)s and key = any(%(keys)s)

-- forget_all_rejects: all of a sync
delete from sync_assets.reject where sync = %(sync)s

-- forget_position: rows that are to be sent again must be read again
update sync_assets.sync_state set position = null where sync = %(sync)s and position is not null

-- open_incident: one open incident a name; occurrences = 1 says that this call opened it
insert into sync_assets.incident as seen (name, message)
values (%(name)s, %(message)s)
on conflict (name) where closed_at is null do update
   set occurrences = seen.occurrences + 1, message = excluded.message, last_seen = clock_timestamp()
returning name, opened_at, closed_at, message, occurrences

-- close_incident: no row: there was none open
update sync_assets.incident set closed_at = clock_timestamp()
 where name = %(name)s and closed_at is null
returning name, opened_at, closed_at, message, occurrences

-- start_run: a retry within the same run begins anew
insert into sync_assets.run (run_id, sync, partition, outcome, report, started_at, holder, asked_by)
values (%(run_id)s, %(sync)s, %(partition)s, 'running', '{}', clock_timestamp(), %(holder)s, %(asked_by)s)
on conflict (run_id, sync, partition) do update
   set outcome = 'running', report = '{}', started_at = excluded.started_at, holder = excluded.holder,
       finished_at = null, asked_by = excluded.asked_by

-- runs: newest first; whether their process holds a lease tells those of other machines apart. Those of one name are also
-- the ones of a replica's tables, of a fleet's parts, and those that copied back; its table may be named without its schema
select run_id, sync, partition, outcome, started_at, finished_at, holder, report,
       coalesce(extract(epoch from clock_timestamp() - started_at), 0)::float8,
       exists (select from sync_assets.lease
                where owner = run.holder and owner <> '' and until > clock_timestamp()), asked_by
  from sync_assets.run, regexp_replace(sync, '^restore ', '') as n (name), strpos(%(sync)s, ':') as at
 where (%(sync)s::text is null or sync = %(sync)s or name = %(sync)s or starts_with(name, %(sync)s || ':')
        or starts_with(name, %(sync)s || '/')
        or at > 0 and starts_with(name, left(%(sync)s, at)) and right(name, -at) not like '%%"%%'
           and split_part(right(name, -at), '.', 2) = right(%(sync)s, -at))
   and (not %(running)s or outcome = 'running')
 order by coalesce(started_at, finished_at) desc, sync, partition limit %(limit)s

-- lose_run: its process is gone and will not say how it ended
update sync_assets.run
   set outcome = 'lost', finished_at = clock_timestamp(),
       report = '{"error": "its process ended without a word"}'
 where run_id = %(run_id)s and sync = %(sync)s and partition = %(partition)s and outcome = 'running'

-- record_run: recording it again replaces it
insert into sync_assets.run (run_id, sync, partition, outcome, report, finished_at)
values (%(run_id)s, %(sync)s, %(partition)s, %(outcome)s, %(report)s::jsonb, clock_timestamp())
on conflict (run_id, sync, partition) do update
   set outcome = excluded.outcome, report = excluded.report, finished_at = clock_timestamp()
