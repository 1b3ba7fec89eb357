-- there: whether both tables exist
select to_regclass('sync_assets.sync_assets_head') is not null
   and to_regclass('sync_assets.sync_assets_ledger') is not null

-- make: the schema and both tables; two runs may come here at once
select pg_advisory_xact_lock(7310241889);
create schema if not exists sync_assets;
create table if not exists sync_assets.sync_assets_head (
  sync text primary key,
  token bigint not null,
  epoch bigint not null default 0,
  position text,
  plan text,
  ended text,
  changed_at timestamptz not null default now()
);
create table if not exists sync_assets.sync_assets_ledger (
  sync text not null,
  epoch bigint not null,
  batch text not null,
  applied_at timestamptz not null default now(),
  primary key (sync, epoch, batch)
);
comment on table sync_assets.sync_assets_head is 'Where each sync stands: fencing token, finished runs, position, plan';
comment on table sync_assets.sync_assets_ledger is 'Batches of unfinished runs that have taken effect'

-- begin: a batch: the fence, held until the commit, and whether the ledger has the batch. FOR KEY SHARE lets other
-- batches of the sync go on and set the position, but holds up a successor, who takes FOR UPDATE
begin isolation level read committed;
select h.token, h.epoch, coalesce(h.ended = %s, false) or exists (
  select from sync_assets.sync_assets_ledger l where l.sync = h.sync and l.epoch = h.epoch and l.batch = %s)
from sync_assets.sync_assets_head h where h.sync = %s for key share of h

-- record: the batch, at its end
insert into sync_assets.sync_assets_ledger (sync, epoch, batch) values (%s, %s, %s)

-- position: of the sync, with a batch
update sync_assets.sync_assets_head set position = %s, changed_at = now() where sync = %s

-- finish: the run: the next epoch begins without a plan, and the ledger forgets this one but for the batch that ended it
update sync_assets.sync_assets_head
set epoch = epoch + 1, plan = null, ended = %s, position = coalesce(%s, position), changed_at = now() where sync = %s;
delete from sync_assets.sync_assets_ledger where sync = %s

-- plan: written down under the fence
update sync_assets.sync_assets_head set plan = %s, changed_at = now() where sync = %s and token = %s

-- appear: the rows of syncs that are new
insert into sync_assets.sync_assets_head (sync, token)
select * from unnest(%s::text[], %s::bigint[]) on conflict (sync) do nothing

-- lock: the rows of syncs, against all batches under them
select sync from sync_assets.sync_assets_head where sync = any(%s) order by sync for update

-- take: the rows of syncs, never for a smaller token
update sync_assets.sync_assets_head h set token = w.token, changed_at = now()
from unnest(%s::text[], %s::bigint[]) as w(sync, token) where h.sync = w.sync and h.token < w.token

-- older: syncs that somebody holds under an older token
select h.sync from sync_assets.sync_assets_head h
join unnest(%s::text[], %s::bigint[]) as w(sync, token) on h.sync = w.sync and h.token < w.token

-- heads: where syncs stand
select h.sync, h.token, h.epoch, h.position, h.plan, coalesce((
  select array_agg(l.batch) from sync_assets.sync_assets_ledger l where l.sync = h.sync and l.epoch = h.epoch), '{}')
from sync_assets.sync_assets_head h where h.sync = any(%s)

-- end_others: hang up on those who still hold batches of the sync open, under an older token
select pg_terminate_backend(pid) from pg_stat_activity
where application_name = any(%s) and usename = current_user and datname = current_database() and pid <> pg_backend_pid()
