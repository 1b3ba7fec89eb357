-- one_moment: all statements of a transaction see the same publications
set transaction isolation level repeatable read, read only

-- confirmed: the newest published look at each part that was ok, until a moment
select f.section, f.part, max(s.valid_at)
  from sync_assets.fleet_section f join sync_assets.fleet_snapshot s on s.id = f.snapshot
 where s.fleet = %(fleet)s and s.instance = %(instance)s and s.state = 'published' and f.status = 'ok'
   and s.valid_at <= %(at)s
 group by f.section, f.part

-- known_at: the newest publication until a moment
select id, observed_at, server from sync_assets.fleet_snapshot
 where fleet = %(fleet)s and instance = %(instance)s and state = 'published' and valid_at <= %(at)s
 order by id desc limit 1

-- principals_between: rows that are there at one of two moments only, and at which
select instance, valid_from > %(first)s, name, incarnation, facts from sync_assets.fleet_principal
 where fleet = %(fleet)s and (%(instance)s::text is null or instance = %(instance)s)
   and (valid_from > %(first)s and valid_from <= %(last)s and (valid_to is null or valid_to > %(last)s)
        or valid_from <= %(first)s and valid_to > %(first)s and valid_to <= %(last)s)

-- memberships_between: rows that are there at one of two moments only, and at which
select instance, valid_from > %(first)s, member, role, grantor, facts, part from sync_assets.fleet_membership
 where fleet = %(fleet)s and (%(instance)s::text is null or instance = %(instance)s)
   and (valid_from > %(first)s and valid_from <= %(last)s and (valid_to is null or valid_to > %(last)s)
        or valid_from <= %(first)s and valid_to > %(first)s and valid_to <= %(last)s)

-- grants_between: rows that are there at one of two moments only, and at which
select instance, valid_from > %(first)s, principal, scope, path, privilege, effect, grantor, grantable, part
  from sync_assets.fleet_grant
 where fleet = %(fleet)s and (%(instance)s::text is null or instance = %(instance)s)
   and (valid_from > %(first)s and valid_from <= %(last)s and (valid_to is null or valid_to > %(last)s)
        or valid_from <= %(first)s and valid_to > %(first)s and valid_to <= %(last)s)

-- log: every change between two moments, oldest first
select c.at, c.instance, c.snapshot, s.run_id, c.kind, c.principal, c.detail
  from sync_assets.fleet_change c join sync_assets.fleet_snapshot s on s.id = c.snapshot
 where c.fleet = %(fleet)s and c.at > %(first)s and c.at <= %(last)s
   and (%(instance)s::text is null or c.instance = %(instance)s)
 order by c.at, c.snapshot, c.number limit %(limit)s

-- newest: the newest publication of each instance, and why a later look was refused
select s.instance, s.id, s.day, s.run_id, s.observed_at, s.valid_at, s.server, s.counts,
       coalesce((select jsonb_agg(jsonb_build_array(section, part, status, reason, rows) order by section, part)
                   from sync_assets.fleet_section where snapshot = s.id), '[]'),
       coalesce((select r.message from sync_assets.fleet_snapshot r
                  where r.fleet = s.fleet and r.instance = s.instance and r.state = 'refused' and r.id > s.id
                  order by r.id desc limit 1), '')
  from (select distinct on (instance) * from sync_assets.fleet_snapshot
         where fleet = %(fleet)s and state = 'published' order by instance, id desc) s
 order by s.instance
