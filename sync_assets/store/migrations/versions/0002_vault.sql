-- Who this control database is: part of what each stored secret is bound to, so that none opens in another one.
create table sync_assets.deployment (
    only_one boolean primary key default true check (only_one),
    id       uuid not null
);
insert into sync_assets.deployment (id)
values (md5(random()::text || clock_timestamp()::text || pg_backend_pid()::text || current_database())::uuid);

-- Keys that were ever used here, by id; the keys themselves are elsewhere. A retired one never comes back.
create table sync_assets.vault_key (
    id          text primary key check (id <> ''),
    fingerprint text not null check (fingerprint <> ''),  -- tells two keys of one id apart
    retired     boolean not null default false,
    first_used  timestamptz not null default clock_timestamp(),
    unique (id, retired)
);

-- Secrets under AES-256-GCM. No row can be under a retired key: neither can a key be retired while a row is under it,
-- nor can a process that still has the old key put one there.
create table sync_assets.secret (
    name        text primary key check (name ~ '^[A-Za-z_][A-Za-z0-9_]*$'),
    kind        text not null check (kind in ('secret', 'mysql', 'postgres')),
    version     integer not null default 1 check (version > 0),  -- how often the value was set
    key_id      text not null,
    key_retired boolean not null default false check (not key_retired),
    nonce       bytea not null check (octet_length(nonce) = 12),
    ciphertext  bytea not null check (octet_length(ciphertext) > 16),
    added_at    timestamptz not null default clock_timestamp(),
    changed_at  timestamptz not null default clock_timestamp(),
    sealed_at   timestamptz not null default clock_timestamp(),
    unique (key_id, nonce),  -- a nonce that comes twice under one key gives both texts away
    foreign key (key_id, key_retired) references sync_assets.vault_key (id, retired)
);

-- For people who look with psql.
create view sync_assets.stored_secrets as
    select name, kind, key_id, version, added_at, changed_at, sealed_at from sync_assets.secret order by name;
