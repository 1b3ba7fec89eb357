-- stage: one look, before anything of it counts
insert into sync_assets.fleet_snapshot (fleet, instance, run_id, day, observed_at, server, inventory, counts)
values (%(fleet)s, %(instance)s, %(run_id)s, %(day)s, %(observed_at)s, %(server)s, %(inventory)s, %(counts)s)
returning id

-- whose: what never changes of a look
select fleet, instance, observed_at from sync_assets.fleet_snapshot where id = %(snapshot)s

-- lock: publications of one instance take turns; held until the transaction ends
select pg_advisory_xact_lock(hashtextextended(%(fleet)s || e'\n' || %(instance)s, 7361202612))

-- standing: of the look itself, and the newest that was published
select s.state, s.valid_at, s.counts, s.message, p.id, p.valid_at
  from sync_assets.fleet_snapshot s
       left join lateral (select id, valid_at from sync_assets.fleet_snapshot
                           where fleet = s.fleet and instance = s.instance and state = 'published'
                           order by id desc limit 1) p on true
 where s.id = %(snapshot)s

-- principals: those at a moment; null: now
select id, since, name, incarnation, facts from sync_assets.fleet_principal
 where fleet = %(fleet)s and instance = %(instance)s
   and case when %(at)s::timestamptz is null then valid_to is null
            else valid_from <= %(at)s and (valid_to is null or valid_to > %(at)s) end

-- memberships: those at a moment; null: now
select id, since, member, role, grantor, facts, part from sync_assets.fleet_membership
 where fleet = %(fleet)s and instance = %(instance)s
   and case when %(at)s::timestamptz is null then valid_to is null
            else valid_from <= %(at)s and (valid_to is null or valid_to > %(at)s) end

-- grants: those at a moment; null: now
select id, since, principal, scope, path, privilege, effect, grantor, grantable, part from sync_assets.fleet_grant
 where fleet = %(fleet)s and instance = %(instance)s
   and case when %(at)s::timestamptz is null then valid_to is null
            else valid_from <= %(at)s and (valid_to is null or valid_to > %(at)s) end

-- close_principals: their intervals end
update sync_assets.fleet_principal set valid_to = %(at)s where id = any(%(ids)s)

-- close_memberships: their intervals end
update sync_assets.fleet_membership set valid_to = %(at)s where id = any(%(ids)s)

-- close_grants: their intervals end
update sync_assets.fleet_grant set valid_to = %(at)s where id = any(%(ids)s)

-- open_principals: new intervals
copy sync_assets.fleet_principal (fleet, instance, since, valid_from, name, incarnation, facts) from stdin

-- open_memberships: new intervals
copy sync_assets.fleet_membership (fleet, instance, since, valid_from, member, role, grantor, facts, part) from stdin

-- open_grants: new intervals
copy sync_assets.fleet_grant
     (fleet, instance, since, valid_from, principal, scope, path, privilege, effect, grantor, grantable, part) from stdin

-- note_changes: what a publication changed
copy sync_assets.fleet_change (fleet, instance, at, snapshot, number, kind, principal, detail) from stdin

-- note_section: how a part of a look came out
insert into sync_assets.fleet_section (snapshot, section, part, status, reason, rows)
values (%(snapshot)s, %(section)s, %(part)s, %(status)s, %(reason)s, %(rows)s)

-- decide: what became of a look; what it staged is no longer needed
update sync_assets.fleet_snapshot
   set state = %(state)s, valid_at = %(valid_at)s, counts = %(counts)s, message = %(message)s, inventory = null,
       published_at = case when %(state)s = 'published' then clock_timestamp() end
 where id = %(snapshot)s

-- supersede_older: looks that nobody published before a later one was
update sync_assets.fleet_snapshot set state = 'superseded', inventory = null
 where fleet = %(fleet)s and instance = %(instance)s and state = 'staged' and id < %(snapshot)s
