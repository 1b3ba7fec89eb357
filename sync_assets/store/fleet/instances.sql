-- lock: of one fleet's list; looks take turns
select pg_advisory_xact_lock(hashtextextended('sync_assets fleet ' || %(fleet)s, 0))

-- kept: every instance that is or was in the fleet, with its newest span
select i.instance, i.title, i.engine, i.address, i.volume_bytes, i.origin, i.listed, s.adopted_on, s.retired_on,
       i.known_on
  from sync_assets.fleet_instance i
  left join lateral (select adopted_on, retired_on from sync_assets.fleet_span
                      where fleet = i.fleet and instance = i.instance order by adopted_on desc limit 1) s on true
 where i.fleet = %(fleet)s order by i.instance

-- spans: all of them, oldest first
select instance, adopted_on, retired_on from sync_assets.fleet_span
 where fleet = %(fleet)s order by instance, adopted_on

-- put: a repeat of the same is no write; known since the first
insert into sync_assets.fleet_instance as kept (fleet, instance, title, engine, address, volume_bytes, origin, listed, known_on)
values (%(fleet)s, %(instance)s, %(title)s, %(engine)s, %(address)s, %(volume)s, %(origin)s, %(listed)s::jsonb, %(today)s)
on conflict (fleet, instance) do update
   set title = excluded.title, engine = excluded.engine, address = excluded.address,
       volume_bytes = excluded.volume_bytes, origin = excluded.origin, listed = excluded.listed
 where (kept.title, kept.engine, kept.address, kept.volume_bytes, kept.origin, kept.listed) is distinct from
       (excluded.title, excluded.engine, excluded.address, excluded.volume_bytes, excluded.origin, excluded.listed)

-- open_span: it belongs from now on
insert into sync_assets.fleet_span (fleet, instance, adopted_on, retired_on)
values (%(fleet)s, %(instance)s, %(adopted_on)s, %(retired_on)s)

-- change_span: the newest one, by the day it began until now
update sync_assets.fleet_span set adopted_on = %(adopted_on)s, retired_on = %(retired_on)s
 where fleet = %(fleet)s and instance = %(instance)s and adopted_on = %(was)s

-- note_lost: a gap for each collection whose process died and that left neither its data nor another gap
insert into sync_assets.fleet_gap (fleet, instance, kind, day, reason, message, run_id)
select distinct on (i.fleet, i.instance, kind, day)
       i.fleet, i.instance, kind, day, 'lost', 'its process ended without a word', r.run_id
  from (select run_id, 'accounts' as kind, (started_at at time zone %(zone)s)::date as day, partition as instance,
               finished_at
          from sync_assets.run where outcome = 'lost' and sync = %(fleet)s || '/accounts'
         union all
        select run_id, 'capacity', left(partition, 10)::date, substr(partition, 12), finished_at
          from sync_assets.run
         where outcome = 'lost' and sync = %(fleet)s || '/capacity' and partition ~ '^\d{4}-\d\d-\d\d\|.') r
  join sync_assets.fleet_instance i on i.fleet = %(fleet)s and i.instance = r.instance
 where r.finished_at > clock_timestamp() - interval '7 days' and case kind when 'capacity'
            then not exists (select from sync_assets.fleet_capacity c
                              where c.fleet = i.fleet and c.instance = i.instance and c.day = r.day)
            else not exists (select from sync_assets.fleet_snapshot s
                              where s.fleet = i.fleet and s.instance = i.instance and s.day = r.day
                                and s.state = 'published') end
 order by i.fleet, i.instance, kind, day, r.finished_at desc
on conflict (fleet, instance, kind, day) do nothing
