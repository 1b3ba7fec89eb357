-- Beside the rows, in the same file: one row for each sync, and one for each batch that took effect.
-- "ended": the batch that ended the last run; asked for again, after a lost answer, it is not applied again.
create table if not exists main.sync_assets_head (
  sync text not null primary key,
  token integer not null,
  epoch integer not null default 0,
  position text,
  plan text,
  ended text
) without rowid;
create table if not exists main.sync_assets_ledger (
  sync text not null,
  epoch integer not null,
  batch text not null,
  primary key (sync, epoch, batch)
) without rowid;
