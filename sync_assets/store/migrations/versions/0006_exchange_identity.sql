-- What a thing is wherever it goes, who speaks for an installation, calls that were signed, and audit rows of calls.

-- Made where the thing was made, and travelling with it: the same thing is known again whichever way it comes back.
alter table sync_assets.exchange_repository add uid uuid not null default gen_random_uuid() unique;
alter table sync_assets.exchange_task add uid uuid not null default gen_random_uuid() unique;
alter table sync_assets.exchange_document add uid uuid not null default gen_random_uuid() unique;

-- What an origin calls a thing that was here before: it did not bring it, and may not replace it.
alter table sync_assets.exchange_map add was_here boolean not null default false;

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

-- A call has a row from its first change on (`begun`), and one of its outcome when it is answered: people see the last.
alter table sync_assets.gateway_audit add ends bigint references sync_assets.gateway_audit;
create unique index gateway_audit_ends on sync_assets.gateway_audit (ends) where ends is not null;
create or replace view sync_assets.audit as select at, who, action, object, outcome, detail, request_id
      from sync_assets.gateway_audit a
     where outcome <> 'begun' or not exists (select from sync_assets.gateway_audit e where e.ends = a.number)
     order by number desc;

-- Packing documents by pglz takes four fifths of the time of writing them (1,000 of 20 kB: 0.45 s, and 0.10 s as they
-- are) and saves little. lz4 is quick, where the server was built with it; elsewhere they are kept as they are.
do $$ begin
    alter table sync_assets.exchange_document alter column content set compression lz4;
exception when feature_not_supported then
    alter table sync_assets.exchange_document alter column content set storage external;
end $$;
