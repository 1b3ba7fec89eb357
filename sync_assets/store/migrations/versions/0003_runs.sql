-- A run is written down when it begins, with the process that does it: one that died is found and called lost.
alter table sync_assets.run
    add column started_at timestamptz,
    add column holder text not null default '',  -- of runs before this revision nothing is known
    alter column finished_at drop not null,
    alter column finished_at drop default,
    add constraint run_ends check ((outcome = 'running') = (finished_at is null)),
    add constraint run_begins check (outcome <> 'running' or started_at is not null);
create index run_in_flight on sync_assets.run (started_at) where outcome = 'running';
create index run_by_start on sync_assets.run ((coalesce(started_at, finished_at)) desc);

drop view sync_assets.runs;
create view sync_assets.runs as
    select started_at, finished_at, sync, partition, outcome, run_id, split_part(holder, ' #', 1) as process, report
      from sync_assets.run order by coalesce(started_at, finished_at) desc;
