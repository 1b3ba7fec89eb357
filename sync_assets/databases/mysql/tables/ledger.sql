-- make_head: one row for each sync
create table if not exists sync_assets_head (
  sync varchar(255) not null primary key,
  token bigint not null,
  epoch bigint not null default 0,
  position longtext,
  plan longtext
) engine = InnoDB default character set utf8mb4 collate utf8mb4_bin

-- make_ledger: one row for each batch of the present epoch that has taken effect
create table if not exists sync_assets_ledger (
  sync varchar(255) not null,
  epoch bigint not null,
  batch varchar(255) not null,
  applied_at timestamp(6) not null default current_timestamp(6),
  primary key (sync, epoch, batch)
) engine = InnoDB default character set utf8mb4 collate utf8mb4_bin

-- take_over: never to a smaller token
insert into sync_assets_head (sync, token) values {rows}
on duplicate key update token = greatest(token, values(token))

-- heads: as they are
select sync, token, epoch, position, plan from sync_assets_head where sync in ({syncs})

-- applied: the batches of their epochs
select l.sync, l.batch from sync_assets_ledger l join sync_assets_head h on l.sync = h.sync and l.epoch = h.epoch
 where h.sync in ({syncs})

-- fence: others may look too, but nobody may take over before we are done
select token, epoch from sync_assets_head where sync = {sync} lock in share mode

-- fence_alone: for who will change the row
select token, epoch from sync_assets_head where sync = {sync} for update

-- known: whether the batch has taken effect
select 1 from sync_assets_ledger where sync = {sync} and epoch = {epoch} and batch = {batch}

-- record: in the transaction of the rows
insert into sync_assets_ledger (sync, epoch, batch) values ({sync}, {epoch}, {batch})

-- move: the position
update sync_assets_head set position = {position} where sync = {sync}

-- end: the run is over
update sync_assets_head set epoch = epoch + 1, plan = null, position = ifnull({position}, position)
 where sync = {sync}

-- forget: what the ended run had applied
delete from sync_assets_ledger where sync = {sync} and epoch <= {epoch}

-- keep_plan: what an unfinished run had decided
update sync_assets_head set plan = {plan} where sync = {sync}
