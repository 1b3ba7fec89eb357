-- What a thing is wherever it goes, who speaks for an installation, and calls that were signed.

-- Made where the thing was made, and travelling with it: the same thing is known again whichever way it comes back.
alter table sync_assets.exchange_repository add uid uuid not null default gen_random_uuid() unique;
alter table sync_assets.exchange_task add uid uuid not null default gen_random_uuid() unique;
alter table sync_assets.exchange_document add uid uuid not null default gen_random_uuid() unique;

-- Which key or user speaks for an installation: the first that did. None speaks for two.
create table sync_assets.gateway_origin (
    origin   text primary key check (origin <> ''),
    holder   text not null unique check (holder <> ''),          -- as `who` of the audit: key:NAME, user:NAME
    bound_at timestamptz not null default clock_timestamp()
);

-- A signed call is proven with the public half of a key whose private half only its owner can make.
alter table sync_assets.gateway_key add verifier bytea;
create table sync_assets.gateway_nonce (
    key_id text not null references sync_assets.gateway_key on delete cascade,
    nonce  text not null,
    at     timestamptz not null default clock_timestamp(),
    primary key (key_id, nonce)
);
create index gateway_nonce_by_time on sync_assets.gateway_nonce (at);

-- The newest events first, without sorting all that ever was.
create index exchange_unit_by_time on sync_assets.exchange_unit (ended_at desc, number desc) where ended_at is not null;
