-- One writer per target. The row stays when the lease is given back, so that the token never starts again.
create table sync_assets.lease (
    name        text primary key check (name <> ''),
    owner       text check (owner <> ''),                       -- null: free
    token       bigint not null check (token > 0),
    seconds     double precision not null check (seconds > 0),
    acquired_at timestamptz not null default clock_timestamp(),
    until       timestamptz not null
);

create function sync_assets.token_only_grows() returns trigger language plpgsql as $$
begin
    if new.token < old.token then
        raise exception 'the token of lease % may not go back', old.name using errcode = 'check_violation';
    end if;
    return new;
end $$;

create trigger token_only_grows before update on sync_assets.lease
    for each row execute function sync_assets.token_only_grows();

-- Creates that were about to be sent and whose answer was not seen.
create table sync_assets.journal (
    client_token text primary key check (client_token <> ''),
    number       bigint generated always as identity unique,
    target       text not null check (target <> ''),
    sync         text not null check (sync <> ''),
    keys         json not null check (json_typeof(keys) = 'array'),  -- json keeps any text, NUL included
    payload      bytea not null,
    written_at   timestamptz not null default clock_timestamp()
);
create index journal_by_target on sync_assets.journal (target, number);

-- What the last finished run of a sync, or of a partition of it, left behind.
create table sync_assets.sync_state (
    sync        text not null check (sync <> ''),
    partition   text not null default '',
    position    text,
    rows        bigint check (rows >= 0),
    digest      text not null default '',
    finished_at timestamptz not null,
    primary key (sync, partition)
);

-- Rows that were set aside: which, where, why; never their values besides the key.
create table sync_assets.reject (
    sync       text not null check (sync <> ''),
    key        text not null,
    digest     text not null,
    field      text not null default '',
    code       text not null default '',
    reason     text not null,
    partition  text not null default '',
    first_seen timestamptz not null default clock_timestamp(),
    last_seen  timestamptz not null default clock_timestamp(),
    primary key (sync, key),
    check (last_seen >= first_seen)
);

-- Trouble with a beginning and an end.
create table sync_assets.incident (
    id          bigint generated always as identity primary key,
    name        text not null check (name <> ''),
    message     text not null,
    occurrences bigint not null default 1 check (occurrences > 0),
    opened_at   timestamptz not null default clock_timestamp(),
    last_seen   timestamptz not null default clock_timestamp(),
    closed_at   timestamptz check (closed_at >= opened_at)
);
create unique index one_open_incident on sync_assets.incident (name) where closed_at is null;

-- What finished or failed runs said of themselves.
create table sync_assets.run (
    run_id      text not null check (run_id <> ''),
    sync        text not null check (sync <> ''),
    partition   text not null default '',
    outcome     text not null check (outcome <> ''),
    report      jsonb not null check (jsonb_typeof(report) = 'object'),
    finished_at timestamptz not null default clock_timestamp(),
    primary key (run_id, sync, partition)
);
create index run_by_sync on sync_assets.run (sync, finished_at desc);

-- For people who look with psql.
create view sync_assets.runs as
    select finished_at, sync, partition, outcome, run_id, report from sync_assets.run order by finished_at desc;
create view sync_assets.open_incidents as
    select name, opened_at, last_seen, occurrences, message
      from sync_assets.incident where closed_at is null order by opened_at;
create view sync_assets.rejected_rows as
    select sync, partition, key, field, code, reason, first_seen, last_seen
      from sync_assets.reject order by sync, last_seen desc, key;
create view sync_assets.held_leases as
    select name, owner, token, acquired_at, until from sync_assets.lease
     where owner is not null and until > clock_timestamp() order by name;
create view sync_assets.unanswered_creates as
    select target, sync, written_at, json_array_length(keys) as records, client_token
      from sync_assets.journal order by number;
