-- The fleet: which instances belong to it and since when, what was seen of them, and what follows from that.
-- Names are the servers' own. `day` is a date of the deployment's zone. Unknown is null, never 0.

create table sync_assets.fleet_instance (
    fleet        text not null check (fleet <> ''),
    instance     text not null check (instance <> ''),
    title        text not null default '',
    engine       text not null check (engine <> ''),
    address      text not null default '',                       -- host:port, no secret
    volume_bytes bigint check (volume_bytes > 0),
    origin       text not null default 'yaml' check (origin in ('yaml', 'table')),
    listed       jsonb not null default '{}',                    -- how to reach it, where a table said so; no secret
    primary key (fleet, instance)
);

-- Since when, and until when (that day excluded), an instance belongs to the fleet. It may come back.
create table sync_assets.fleet_span (
    fleet      text not null,
    instance   text not null,
    adopted_on date not null,
    retired_on date check (retired_on >= adopted_on),
    primary key (fleet, instance, adopted_on),
    foreign key (fleet, instance) references sync_assets.fleet_instance on delete cascade
);
create unique index fleet_span_open on sync_assets.fleet_span (fleet, instance) where retired_on is null;

-- One look at the accounts of an instance. Staged by the inventory; completed and published by the permissions.
create table sync_assets.fleet_snapshot (
    id           bigint generated always as identity primary key,
    fleet        text not null,
    instance     text not null,
    run_id       text not null check (run_id <> ''),
    day          date not null,
    observed_at  timestamptz not null,
    server       text not null default '',
    state        text not null default 'staged' check (state in ('staged', 'published', 'refused', 'superseded')),
    inventory    jsonb,                                          -- principals and memberships, while staged
    valid_at     timestamptz,                                    -- of the state it published; grows with every one
    published_at timestamptz,
    counts       jsonb not null default '{}',
    message      text not null default '',                       -- why it was refused
    staged_at    timestamptz not null default clock_timestamp(),
    foreign key (fleet, instance) references sync_assets.fleet_instance on delete cascade,
    check ((state = 'published') = (published_at is not null)),
    check ((state = 'published') = (valid_at is not null))
);
create index fleet_snapshot_newest on sync_assets.fleet_snapshot (fleet, instance, id desc);
create index fleet_snapshot_published on sync_assets.fleet_snapshot (fleet, instance, valid_at) where state = 'published';

-- How each section of a look came out. A row of the state is confirmed by every later look whose section was ok.
create table sync_assets.fleet_section (
    snapshot bigint not null references sync_assets.fleet_snapshot on delete cascade,
    section  text not null check (section <> ''),
    part     text not null default '',
    status   text not null check (status in ('ok', 'denied', 'unsupported', 'error')),
    reason   text not null default '',
    rows     bigint not null default 0,
    primary key (snapshot, section, part),
    check (status = 'ok' or reason <> '')
);

-- What was true from `valid_from` until `valid_to` (excluded); null: still. Half-open, never empty. `since`: when it was
-- first seen as the same account or right; it outlives alterations and renames, which begin a new interval.
create table sync_assets.fleet_principal (
    id          bigint generated always as identity primary key,
    fleet       text not null,
    instance    text not null,
    name        text not null,
    incarnation text not null default '',
    facts       jsonb not null,                                  -- the rest of fleet.model.Principal
    since       timestamptz not null check (since <= valid_from),
    valid_from  timestamptz not null,
    valid_to    timestamptz check (valid_to > valid_from),
    foreign key (fleet, instance) references sync_assets.fleet_instance on delete cascade
);
create unique index fleet_principal_now on sync_assets.fleet_principal (fleet, instance, name) where valid_to is null;
create index fleet_principal_then on sync_assets.fleet_principal (fleet, instance, valid_from, valid_to);

create table sync_assets.fleet_membership (
    id         bigint generated always as identity primary key,
    fleet      text not null,
    instance   text not null,
    member     text not null,
    role       text not null,
    grantor    text not null default '',
    facts      jsonb not null,
    part       text not null default '',
    since      timestamptz not null check (since <= valid_from),
    valid_from timestamptz not null,
    valid_to   timestamptz check (valid_to > valid_from),
    foreign key (fleet, instance) references sync_assets.fleet_instance on delete cascade
);
create unique index fleet_membership_now on sync_assets.fleet_membership (fleet, instance, member, role, grantor)
    where valid_to is null;
create index fleet_membership_then on sync_assets.fleet_membership (fleet, instance, valid_from, valid_to);

create table sync_assets.fleet_grant (
    id         bigint generated always as identity primary key,
    fleet      text not null,
    instance   text not null,
    principal  text not null,
    scope      text not null check (scope <> ''),
    path       text[] not null,
    privilege  text not null check (privilege <> ''),
    effect     text not null check (effect in ('grant', 'deny', 'partial_revoke')),
    grantor    text not null default '',
    grantable  boolean not null,
    part       text not null default '',
    since      timestamptz not null check (since <= valid_from),
    valid_from timestamptz not null,
    valid_to   timestamptz check (valid_to > valid_from),
    foreign key (fleet, instance) references sync_assets.fleet_instance on delete cascade
);
create unique index fleet_grant_now
    on sync_assets.fleet_grant (fleet, instance, principal, scope, path, privilege, effect, grantor)
    where valid_to is null;
create index fleet_grant_then on sync_assets.fleet_grant (fleet, instance, valid_from, valid_to);

-- What a publication changed, in its order.
create table sync_assets.fleet_change (
    snapshot  bigint not null references sync_assets.fleet_snapshot on delete cascade,
    number    int not null,
    fleet     text not null,
    instance  text not null,
    at        timestamptz not null,
    kind      text not null check (kind in
        ('added', 'dropped', 'recreated', 'renamed', 'altered', 'granted', 'revoked', 'joined', 'left')),
    principal text not null,
    detail    jsonb not null,
    primary key (snapshot, number)
);
create index fleet_change_by_time on sync_assets.fleet_change (fleet, at, instance);

-- Sizes of one day. The total is the sum of the databases, and they are written together.
create table sync_assets.fleet_capacity (
    fleet             text not null,
    instance          text not null,
    day               date not null,
    observed_at       timestamptz not null,
    late              boolean not null default false,            -- observed after its day, within the grace
    run_id            text not null check (run_id <> ''),
    total_bytes       bigint not null check (total_bytes >= 0),
    databases         int not null check (databases >= 0),
    unknown_databases int not null default 0 check (unknown_databases between 0 and databases),
    log_bytes         bigint check (log_bytes >= 0),
    logs              jsonb not null default '{}',
    sections          jsonb not null default '{}',
    written_at        timestamptz not null default clock_timestamp(),
    primary key (fleet, instance, day),
    foreign key (fleet, instance) references sync_assets.fleet_instance on delete cascade
);
create index fleet_capacity_by_day on sync_assets.fleet_capacity (fleet, day);

create table sync_assets.fleet_database_size (
    fleet       text not null,
    instance    text not null,
    day         date not null,
    database    text not null,
    incarnation text not null default '',
    bytes       bigint check (bytes >= 0),
    data_bytes  bigint check (data_bytes >= 0),
    index_bytes bigint check (index_bytes >= 0),
    log_bytes   bigint check (log_bytes >= 0),
    system      boolean not null default false,
    primary key (fleet, instance, day, database, incarnation),
    foreign key (fleet, instance, day) references sync_assets.fleet_capacity on delete cascade
);
create index fleet_database_size_by_day on sync_assets.fleet_database_size (fleet, day);

create table sync_assets.fleet_table_size (
    fleet    text not null,
    instance text not null,
    day      date not null,
    database text not null,
    schema   text not null,
    name     text not null,
    bytes    bigint not null check (bytes >= 0),
    rows     bigint,
    primary key (fleet, instance, day, database, schema, name),
    foreign key (fleet, instance, day) references sync_assets.fleet_capacity on delete cascade
);

create function sync_assets.fleet_total_is_the_sum() returns trigger language plpgsql as $$
declare
    summed bigint;
    listed bigint;
    unknown bigint;
begin
    select coalesce(sum(bytes), 0), count(*), count(*) - count(bytes) into summed, listed, unknown
      from sync_assets.fleet_database_size
     where fleet = new.fleet and instance = new.instance and day = new.day;
    if (summed, listed, unknown) is distinct from
       (new.total_bytes, new.databases::bigint, new.unknown_databases::bigint) then
        raise exception 'the total of instance % on % is not the sum of its databases', new.instance, new.day
            using errcode = 'check_violation';
    end if;
    return null;
end $$;
create constraint trigger fleet_total_is_the_sum after insert or update on sync_assets.fleet_capacity
    deferrable initially deferred for each row execute function sync_assets.fleet_total_is_the_sum();

-- A partition without its data, with the reason. `closed_at`: it was collected after all.
create table sync_assets.fleet_gap (
    fleet       text not null,
    instance    text not null,
    kind        text not null check (kind in ('accounts', 'capacity')),
    day         date not null,
    reason      text not null check (reason in ('dns', 'refused', 'timeout', 'auth', 'privilege', 'version', 'protocol',
                                                 'too_late', 'blocked', 'lost', 'other')),
    message     text not null,
    attempts    int not null default 1 check (attempts > 0),
    run_id      text not null,
    recorded_at timestamptz not null default clock_timestamp(),
    closed_at   timestamptz,
    primary key (fleet, instance, kind, day),
    foreign key (fleet, instance) references sync_assets.fleet_instance on delete cascade
);
create index fleet_gap_open on sync_assets.fleet_gap (fleet, day) where closed_at is null;

-- Closed periods. `ends` is excluded. Levels: the fleet (instance and database ''), an instance, a database.
create table sync_assets.fleet_period (
    fleet             text not null,
    period            text not null check (period in ('day', 'week', 'month', 'quarter')),
    starts            date not null,
    ends              date not null check (ends > starts),
    level             text not null check (level in ('fleet', 'instance', 'database')),
    instance          text not null default '',
    database          text not null default '',
    incarnation       text not null default '',
    status            text not null check (status in ('complete', 'partial', 'empty')),
    expected_days     int not null check (expected_days >= 0),
    present_days      int not null check (present_days >= 0),
    missing_days      date[] not null default '{}',
    missing_instances text[] not null default '{}',              -- of the fleet's row
    completeness      double precision check (completeness between 0 and 1),
    first_bytes       bigint,
    last_bytes        bigint,
    min_bytes         bigint,
    max_bytes         bigint,
    mean_bytes        double precision,
    p95_bytes         double precision,
    change_bytes      bigint,
    slope_bytes       double precision,                          -- a day, Theil-Sen
    growth            double precision,                          -- of the mean against the previous period's
    input_hash        text not null,
    computed_at       timestamptz not null default clock_timestamp(),
    primary key (fleet, period, starts, level, instance, database, incarnation),
    check ((level = 'fleet') = (instance = '')),
    check ((level = 'database') = (database <> '')),
    check (level = 'fleet' or (status = 'empty') = (present_days = 0)),   -- a day of the fleet is present when it is whole
    check (status <> 'complete' or missing_days = '{}'),
    check (level <> 'fleet' or status <> 'complete' or missing_instances = '{}')
);

create table sync_assets.fleet_forecast (
    fleet        text not null,
    instance     text not null,
    as_of        date not null,                                  -- the newest day that it knows
    days         int not null check (days > 0),                  -- it rests on so many
    last_bytes   bigint not null,
    slope        double precision,                               -- bytes a day; null: too few days
    slope_low    double precision,
    slope_high   double precision,
    volume_bytes bigint,
    days_to_full double precision,                               -- null: unknown, or never at this rate
    full_soonest double precision,
    full_latest  double precision,
    computed_at  timestamptz not null default clock_timestamp(),
    primary key (fleet, instance),
    foreign key (fleet, instance) references sync_assets.fleet_instance on delete cascade
);

-- Rules as they were: a version never changes and is never taken away.
create table sync_assets.fleet_rules (
    version    bigint generated always as identity primary key,
    fleet      text not null check (fleet <> ''),
    digest     text not null check (digest <> ''),
    rules      jsonb not null,
    created_at timestamptz not null default clock_timestamp(),
    unique (fleet, digest)
);
create function sync_assets.never_changes() returns trigger language plpgsql as $$
begin
    raise exception 'a version of rules never changes' using errcode = 'check_violation';
end $$;
create trigger never_changes before update or delete on sync_assets.fleet_rules
    for each row execute function sync_assets.never_changes();

create table sync_assets.fleet_assignment (
    fleet       text not null,
    instance    text not null,
    principal   text not null,
    class       text not null check (class <> ''),               -- of a hint: the hint's id
    kind        text not null default 'class' check (kind in ('class', 'hint')),
    risk        smallint not null check (risk between 1 and 6),  -- of the class when it was assigned; 1 is the highest
    origin      text not null default 'auto' check (origin in ('auto', 'manual')),
    rule        text not null default '',                        -- "" for a manual one
    version     bigint references sync_assets.fleet_rules,
    facts_hash  text not null default '',
    stale       boolean not null default false,                  -- kept although it could not be decided again
    note        text not null default '',
    assigned_by text not null default '',
    assigned_at timestamptz not null default clock_timestamp(),
    primary key (fleet, instance, principal, class, rule),
    foreign key (fleet, instance) references sync_assets.fleet_instance on delete cascade,
    check ((origin = 'manual') = (rule = '')),
    check ((origin = 'auto') = (version is not null)),
    check (kind = 'class' or origin = 'auto')
);
create index fleet_assignment_by_class on sync_assets.fleet_assignment (fleet, class);

-- Every rule that could not be decided for an account, and every account for which there is no rule (rule '').
create table sync_assets.fleet_undecided (
    fleet     text not null,
    instance  text not null,
    principal text not null,
    rule      text not null,
    version   bigint not null references sync_assets.fleet_rules,
    reason    text not null check (reason <> ''),
    noted_at  timestamptz not null default clock_timestamp(),
    primary key (fleet, instance, principal, rule),
    foreign key (fleet, instance) references sync_assets.fleet_instance on delete cascade
);

-- What the assignments of an instance rest on: its accounts as they were at `facts_at`, and which rules.
create table sync_assets.fleet_classified (
    fleet         text not null,
    instance      text not null,
    version       bigint not null references sync_assets.fleet_rules,
    facts_at      timestamptz not null,
    run_id        text not null check (run_id <> ''),
    counts        jsonb not null,
    classified_at timestamptz not null default clock_timestamp(),
    primary key (fleet, instance),
    foreign key (fleet, instance) references sync_assets.fleet_instance on delete cascade
);

-- Who or what asked for a run: a person, a schedule, a sensor, a backfill, the command line.
alter table sync_assets.run add column asked_by text not null default '';

-- For people who look with psql.
create view sync_assets.fleet_instances as
    select i.fleet, i.instance, i.title, i.engine, i.address, i.volume_bytes, s.adopted_on, s.retired_on
      from sync_assets.fleet_instance i join sync_assets.fleet_span s using (fleet, instance)
     order by i.fleet, i.instance, s.adopted_on;
create view sync_assets.fleet_accounts as
    select fleet, instance, name, incarnation, facts, since
      from sync_assets.fleet_principal where valid_to is null order by fleet, instance, name;
create view sync_assets.fleet_grants as
    select fleet, instance, principal, scope, path, privilege, effect, grantable, grantor, since
      from sync_assets.fleet_grant where valid_to is null order by fleet, instance, principal, scope, path, privilege;
create view sync_assets.fleet_changes as
    select at, fleet, instance, kind, principal, detail from sync_assets.fleet_change order by at desc, snapshot, number;
create view sync_assets.fleet_gaps as
    select fleet, day, kind, instance, reason, message, attempts, recorded_at
      from sync_assets.fleet_gap where closed_at is null order by day desc, fleet, instance;
create view sync_assets.fleet_capacity_daily as
    select fleet, day, instance, '' as database, '' as incarnation,
           case when unknown_databases = 0 then total_bytes end as bytes, log_bytes, observed_at
      from sync_assets.fleet_capacity
    union all
    select s.fleet, s.day, s.instance, s.database, s.incarnation, s.bytes, s.log_bytes, c.observed_at
      from sync_assets.fleet_database_size s join sync_assets.fleet_capacity c using (fleet, instance, day);
create view sync_assets.fleet_classes as
    select fleet, instance, principal, class, risk, origin, rule, version, stale, assigned_at
      from sync_assets.fleet_assignment where kind = 'class' order by fleet, instance, principal, class, rule;
create view sync_assets.fleet_hints as
    select fleet, instance, principal, class as hint, risk, version, stale, assigned_at
      from sync_assets.fleet_assignment where kind = 'hint' order by risk, fleet, instance, principal, class;
create view sync_assets.sessions as
    select min(started_at) as started_at, case when bool_or(outcome = 'running') then null else max(finished_at) end as finished_at,
           sync as work, run_id, max(asked_by) as asked_by,
           case when bool_or(outcome = 'running') then 'running' when bool_or(outcome = 'lost') then 'lost'
                when bool_and(outcome = 'finished') then 'finished'
                when bool_or(outcome = 'finished') then 'partial' else 'failed' end as state,
           count(*) as items, count(*) filter (where outcome = 'finished') as finished,
           count(*) filter (where outcome = 'failed') as failed, count(*) filter (where outcome = 'lost') as lost
      from sync_assets.run group by sync, run_id order by min(coalesce(started_at, finished_at)) desc;
