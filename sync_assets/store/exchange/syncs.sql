-- insert: a new sync; nothing where one of the same kind goes on
insert into sync_assets.exchange_sync (sync_id, direction, peer, repository_id, asked, asked_by, holder)
values (%(sync_id)s, %(direction)s, %(peer)s, %(repository_id)s, %(asked)s::jsonb, %(asked_by)s, %(holder)s)
on conflict (direction, peer, repository_id) where finished_at is null do nothing
returning token

-- going_on: the one of the same kind that goes on, and how long ago it was heard of
select sync_id, holder, extract(epoch from clock_timestamp() - updated_at)::float8
  from sync_assets.exchange_sync
 where direction = %(direction)s and peer = %(peer)s and repository_id = %(repository_id)s and finished_at is null
   for update

-- lock: a sync, to take it over
select direction, peer, repository_id, status, holder, extract(epoch from clock_timestamp() - updated_at)::float8
  from sync_assets.exchange_sync where sync_id = %(sync_id)s for update

-- take: from now on another process works at it
update sync_assets.exchange_sync
   set holder = %(holder)s, token = token + 1, status = 'in_progress', finished_at = null, error = '', current = '',
       updated_at = clock_timestamp()
 where sync_id = %(sync_id)s
returning token

-- again: what failed is tried again. One that replaces and had ended does all again: syncs since then have marked what
-- they brought as theirs, and clearing the rest would take that away
update sync_assets.exchange_unit u set status = 'pending', error = '', ended_at = null
  from sync_assets.exchange_sync s
 where s.sync_id = %(sync_id)s and u.sync_id = s.sync_id and u.status <> 'pending'
   and (u.status = 'failed' or s.finished_at is not null and (s.asked ->> 'replace')::boolean)

-- in_progress: of all, who works at it and how long ago it was heard of
select sync_id, holder, extract(epoch from clock_timestamp() - updated_at)::float8
  from sync_assets.exchange_sync where finished_at is null order by started_at, sync_id

-- renew: still ours? then it was heard of now
update sync_assets.exchange_sync
   set updated_at = clock_timestamp(), current = coalesce(%(current)s, current)
 where sync_id = %(sync_id)s and token = %(token)s and finished_at is null
returning 1

-- name: the repository and how many units there will be
update sync_assets.exchange_sync
   set repository_name = %(name)s, total = greatest(%(total)s,
       (select count(*) from sync_assets.exchange_unit where sync_id = %(sync_id)s))
 where sync_id = %(sync_id)s

-- plan: units that are not known yet
insert into sync_assets.exchange_unit (sync_id, number, task_id, title, documents)
select %(sync_id)s, number, task_id, title, documents
  from jsonb_to_recordset(%(units)s::jsonb) as new (number int, task_id bigint, title text, documents jsonb)
 where not exists (select from sync_assets.exchange_unit old
                    where old.sync_id = %(sync_id)s and old.task_id = new.task_id)
on conflict (sync_id, number) do nothing

-- done: what became of units
update sync_assets.exchange_unit u
   set status = new.status, attempts = new.attempts, error = new.error, documents = new.documents,
       ended_at = clock_timestamp()
  from jsonb_to_recordset(%(units)s::jsonb)
       as new (number int, status text, attempts int, error text, documents jsonb)
 where u.sync_id = %(sync_id)s and u.number = new.number

-- not_reached: units that nobody came to
update sync_assets.exchange_unit set status = 'failed', error = %(error)s, ended_at = clock_timestamp()
 where sync_id = %(sync_id)s and status = 'pending'

-- finish: how it ended
update sync_assets.exchange_sync
   set status = %(status)s, error = %(error)s, cleared = %(cleared)s::jsonb, current = '',
       updated_at = clock_timestamp(), finished_at = clock_timestamp()
 where sync_id = %(sync_id)s

-- states: syncs with the count of their units, the newest first
select s.sync_id, s.direction, s.peer, s.repository_id, s.asked, s.asked_by, s.status, s.repository_name, s.total,
       u.succeeded, u.failed + case when s.finished_at is null then 0 else greatest(s.total - u.known, 0) end,
       u.skipped, s.current, s.error, s.cleared, s.started_at, s.updated_at, s.finished_at
  from sync_assets.exchange_sync s,
       lateral (select count(*) as known, count(*) filter (where status = 'succeeded') as succeeded,
                       count(*) filter (where status = 'failed') as failed,
                       count(*) filter (where status = 'skipped') as skipped
                  from sync_assets.exchange_unit where sync_id = s.sync_id) u
 where (%(sync_id)s::text is null or s.sync_id = %(sync_id)s)
   and (%(repository_id)s::bigint is null or s.repository_id = %(repository_id)s)
   and (%(direction)s::text is null or s.direction = %(direction)s)
   and (%(peer)s::text is null or s.peer = %(peer)s)
   and (%(everything)s or s.asked_by = %(asker)s
        or s.direction = 'push' and s.repository_id = any (%(repositories)s::bigint[]))
 order by s.started_at desc, s.sync_id desc
 limit %(limit)s

-- units: of one sync, in order
select number, task_id, title, status, attempts, error, documents
  from sync_assets.exchange_unit where sync_id = %(sync_id)s order by number

-- events: what became of documents, the newest first, of the syncs that may be told. Units come by the index of their
-- time, as many as there may be documents, and only from when those syncs went on (a clock may be set back by an hour)
with seen as not materialized (
    select * from sync_assets.exchange_sync
     where (%(repository_id)s::bigint is null or repository_id = %(repository_id)s)
       and (%(direction)s::text is null or direction = %(direction)s)
       and (%(everything)s or asked_by = %(asker)s
            or direction = 'push' and repository_id = any (%(repositories)s::bigint[]))
)
select u.sync_id, u.direction, u.repository_id, (d.value ->> 'document_id')::bigint, d.value ->> 'title', u.peer,
       d.value ->> 'status', d.value ->> 'error', u.ended_at
  from (select s.sync_id, s.direction, s.repository_id, s.peer, u.ended_at, u.number, u.documents
          from sync_assets.exchange_unit u join seen s using (sync_id)
         where u.ended_at is not null and u.documents <> '[]'
           and (%(everything)s and %(repository_id)s::bigint is null and %(direction)s::text is null
                or u.ended_at <= (select max(coalesce(finished_at, 'infinity')) + interval '1 hour' from seen)
               and u.ended_at >= (select min(started_at) - interval '1 hour' from seen))
         order by u.ended_at desc, u.number desc
         limit %(limit)s) u
 cross join lateral jsonb_array_elements(u.documents) with ordinality as d (value, place)
 order by u.ended_at desc, u.number desc, d.place desc
 limit %(limit)s

-- targets: peers by the time of their latest sync, the newest first
select peer, max(started_at) from sync_assets.exchange_sync group by peer order by 2 desc, 1 limit %(limit)s

-- deployment: who this installation is for others
select id::text from sync_assets.deployment
