-- keep_rules: a version is never changed; the same rules are the same version
insert into sync_assets.fleet_rules (fleet, digest, rules) values (%(fleet)s, %(digest)s, %(rules)s::jsonb)
on conflict (fleet, digest) do nothing

-- version: of rules that are kept
select version from sync_assets.fleet_rules where fleet = %(fleet)s and digest = %(digest)s

-- rules: as they were at a version
select rules from sync_assets.fleet_rules where fleet = %(fleet)s and version = %(version)s

-- take_turns: of those who classify one instance, until the transaction ends
select pg_advisory_xact_lock(hashtextextended('fleet_class ' || %(fleet)s || ' ' || %(instance)s, 0))

-- classified: what the assignments of now rest on
select facts_at, counts from sync_assets.fleet_classified where fleet = %(fleet)s and instance = %(instance)s

-- drop_old: of this instance, what rules no longer say; what could not be decided again is kept
delete from sync_assets.fleet_assignment a
 where fleet = %(fleet)s and instance = %(instance)s and origin = 'auto'
   and not exists (select from jsonb_to_recordset(%(found)s::jsonb) as f (principal text, class text, rule text)
                    where (f.principal, f.class, f.rule) = (a.principal, a.class, a.rule))
   and not exists (select from jsonb_to_recordset(%(undecided)s::jsonb) as u (principal text, class text, rule text)
                    where (u.principal, u.class, u.rule) = (a.principal, a.class, a.rule))

-- mark_stale: kept, although it could not be decided again
update sync_assets.fleet_assignment a set stale = true
  from jsonb_to_recordset(%(undecided)s::jsonb) as u (principal text, class text, rule text)
 where fleet = %(fleet)s and instance = %(instance)s and origin = 'auto'
   and (u.principal, u.class, u.rule) = (a.principal, a.class, a.rule)

-- keep_found: `assigned_at` says since when
insert into sync_assets.fleet_assignment as old
       (fleet, instance, principal, class, kind, risk, rule, version, facts_hash, note, assigned_by)
select %(fleet)s, %(instance)s, principal, class, kind, risk, rule, %(version)s, facts_hash, note, %(run_id)s
  from jsonb_to_recordset(%(found)s::jsonb)
    as f (principal text, class text, kind text, risk smallint, rule text, facts_hash text, note text)
on conflict (fleet, instance, principal, class, rule) do update
   set kind = excluded.kind, risk = excluded.risk, version = excluded.version, facts_hash = excluded.facts_hash,
       note = excluded.note, stale = false
 where (old.kind, old.risk, old.version, old.facts_hash, old.note, old.stale)
       is distinct from (excluded.kind, excluded.risk, excluded.version, excluded.facts_hash, excluded.note, false)

-- drop_decided: of this instance, what is decided now
delete from sync_assets.fleet_undecided a
 where fleet = %(fleet)s and instance = %(instance)s
   and not exists (select from jsonb_to_recordset(%(undecided)s::jsonb) as u (principal text, rule text)
                    where (u.principal, u.rule) = (a.principal, a.rule))

-- keep_undecided: `noted_at` says since when
insert into sync_assets.fleet_undecided (fleet, instance, principal, rule, version, reason)
select %(fleet)s, %(instance)s, principal, rule, %(version)s, reason
  from jsonb_to_recordset(%(undecided)s::jsonb) as u (principal text, rule text, reason text)
on conflict (fleet, instance, principal, rule) do update set version = excluded.version, reason = excluded.reason

-- count_stale: kept ones
select count(distinct principal) from sync_assets.fleet_assignment
 where fleet = %(fleet)s and instance = %(instance)s and stale

-- keep_classified: in the same transaction
insert into sync_assets.fleet_classified (fleet, instance, version, facts_at, run_id, counts)
values (%(fleet)s, %(instance)s, %(version)s, %(facts_at)s, %(run_id)s, %(counts)s::jsonb)
on conflict (fleet, instance) do update
   set version = excluded.version, facts_at = excluded.facts_at, run_id = excluded.run_id, counts = excluded.counts,
       classified_at = clock_timestamp()

-- account_known: whether it is published now
select exists (select from sync_assets.fleet_principal
                where fleet = %(fleet)s and instance = %(instance)s and name = %(principal)s and valid_to is null)

-- assign: by hand; again: the newest word counts
insert into sync_assets.fleet_assignment
       (fleet, instance, principal, class, risk, origin, rule, note, assigned_by)
values (%(fleet)s, %(instance)s, %(principal)s, %(class)s, %(risk)s, 'manual', '', %(note)s, %(assigned_by)s)
on conflict (fleet, instance, principal, class, rule) do update
   set risk = excluded.risk, note = excluded.note, assigned_by = excluded.assigned_by, assigned_at = clock_timestamp()

-- unassign: only what was assigned by hand
delete from sync_assets.fleet_assignment
 where fleet = %(fleet)s and instance = %(instance)s and principal = %(principal)s and class = %(class)s
   and origin = 'manual'

-- assignments: in the order of names' code points
select instance, principal, class, kind, risk, origin, rule, version, facts_hash, stale, note, assigned_by, assigned_at
  from sync_assets.fleet_assignment
 where fleet = %(fleet)s and (%(instance)s::text is null or instance = %(instance)s)
 order by instance collate "C", principal collate "C", risk, class, rule

-- undecided: with the reason
select instance, principal, rule, version, reason, noted_at from sync_assets.fleet_undecided
 where fleet = %(fleet)s and (%(instance)s::text is null or instance = %(instance)s)
 order by instance collate "C", principal collate "C", rule

-- risks: the accounts of each instance by their effective risk, which is that of their worst class
select instance, risk, count(*)
  from (select instance, principal, min(risk) as risk from sync_assets.fleet_assignment
         where fleet = %(fleet)s and kind = 'class' group by instance, principal) as each
 group by instance, risk order by instance collate "C", risk

-- standing: when each instance was classified last, by which rules, and what came of it
select instance, version, facts_at, run_id, counts, classified_at from sync_assets.fleet_classified
 where fleet = %(fleet)s order by instance collate "C"
