-- Repositories, tasks and documents of this installation, and how things of others are known here.

create table sync_assets.exchange_repository (
    repository_id   bigint generated always as identity primary key,
    name            text not null check (name <> ''),
    url             text not null default '',
    description     text not null default '',
    clone_branch    text not null default '',
    clone_commit_id text not null default '',
    size_mb         double precision not null default 0 check (size_mb >= 0),
    status          text not null default 'ready'
                    check (status in ('pending', 'cloning', 'ready', 'analyzing', 'completed', 'error')),
    error_msg       text not null default '',
    created_at      timestamptz not null default clock_timestamp(),
    updated_at      timestamptz not null default clock_timestamp()
);

create table sync_assets.exchange_task (
    task_id       bigint generated always as identity primary key,
    repository_id bigint not null references sync_assets.exchange_repository on delete cascade,
    doc_id        bigint,
    writer_name   text not null default 'DefaultWriter',
    task_type     text not null default 'DocWrite'
                  check (task_type in ('DocWrite', 'DocRewrite', 'TocWrite', 'TitleRewrite', 'IncrementalWrite')),
    title         text not null default '',
    outline       text not null default '',
    status        text not null default 'pending'
                  check (status in ('pending', 'queued', 'running', 'succeeded', 'failed', 'canceled')),
    run_after     bigint references sync_assets.exchange_task on delete set null,
    error_msg     text not null default '' check (char_length(error_msg) <= 1000),
    sort_order    int not null default 0,
    started_at    timestamptz,
    completed_at  timestamptz,
    created_at    timestamptz not null default clock_timestamp(),
    updated_at    timestamptz not null default clock_timestamp(),
    came_run_after bigint,                                       -- the origin's id, until the second pass
    came_origin   text,                                          -- whose id that is
    check ((came_run_after is null) = (came_origin is null)),
    unique (repository_id, task_id)                              -- for the keys below: nothing changes its repository
);
create index exchange_task_to_link on sync_assets.exchange_task (repository_id) where came_run_after is not null;
create index exchange_task_after on sync_assets.exchange_task (run_after);
create index exchange_task_in_order on sync_assets.exchange_task (repository_id, sort_order, task_id);

create table sync_assets.exchange_document (
    document_id     bigint generated always as identity primary key,
    repository_id   bigint not null,
    task_id         bigint not null,
    title           text not null default '',
    filename        text not null default '',
    content         text not null default '',
    sort_order      int not null default 0,
    version         int not null default 1,
    is_latest       boolean not null default true,
    replaced_by     bigint references sync_assets.exchange_document on delete set null,
    clone_branch    text not null default '',
    clone_commit_id text not null default '',
    created_at      timestamptz not null default clock_timestamp(),
    updated_at      timestamptz not null default clock_timestamp(),
    came_replaced_by bigint,                                     -- the origin's id, until the second pass
    came_origin     text,                                        -- whose id that is
    check ((came_replaced_by is null) = (came_origin is null)),
    foreign key (repository_id, task_id) references sync_assets.exchange_task (repository_id, task_id) on delete cascade,
    unique (task_id, document_id)
);
create index exchange_document_to_link on sync_assets.exchange_document (repository_id) where came_replaced_by is not null;
create index exchange_document_replaced on sync_assets.exchange_document (replaced_by);
create index exchange_document_in_order on sync_assets.exchange_document (repository_id, sort_order, document_id);
alter table sync_assets.exchange_task add constraint exchange_task_document
    foreign key (task_id, doc_id) references sync_assets.exchange_document (task_id, document_id)
    on delete set null (doc_id) deferrable initially deferred;

create table sync_assets.exchange_usage (
    task_id           bigint not null references sync_assets.exchange_task on delete cascade,
    number            int not null,
    api_key_name      text not null default '',
    prompt_tokens     bigint not null default 0,
    completion_tokens bigint not null default 0,
    total_tokens      bigint not null default 0,
    cached_tokens     bigint not null default 0,
    reasoning_tokens  bigint not null default 0,
    created_at        text not null default '',
    primary key (task_id, number)
);

-- Ids of other installations: what came from `origin` as `origin_id` is ours as `local_id`.
create table sync_assets.exchange_map (
    origin    text not null check (origin <> ''),
    entity    text not null check (entity in ('repository', 'task', 'document')),
    origin_id bigint not null check (origin_id > 0),
    local_id  bigint not null,
    sync_id   text not null default '',                          -- that brought it last
    primary key (origin, entity, origin_id)
);
create index exchange_map_back on sync_assets.exchange_map (entity, local_id);

-- Which sync brings what comes from `origin`: the newest. One that another has begun after is never the newest again,
-- or it would clear what the other has brought.
create table sync_assets.exchange_replacing (
    origin        text not null,
    repository_id bigint not null references sync_assets.exchange_repository on delete cascade,
    sync_id       text not null check (sync_id <> ''),
    number        bigint generated always as identity,
    begun_at      timestamptz not null default clock_timestamp(),
    primary key (origin, repository_id, sync_id)
);

-- Syncs of one repository with one peer.
create table sync_assets.exchange_sync (
    sync_id         text primary key check (sync_id <> ''),
    direction       text not null check (direction in ('push', 'pull')),
    peer            text not null check (peer <> ''),
    repository_id   bigint not null,                             -- of the installation that sends
    repository_name text not null default '',
    asked           jsonb not null default '{}',
    asked_by        text not null default '',
    status          text not null default 'in_progress' check (status in ('in_progress', 'completed', 'partial', 'failed')),
    total           int not null default 0 check (total >= 0),
    current         text not null default '',
    error           text not null default '',
    cleared         jsonb,
    holder          text not null default '',
    token           bigint not null default 1,                   -- grows with every process that takes it over
    started_at      timestamptz not null default clock_timestamp(),
    updated_at      timestamptz not null default clock_timestamp(),
    finished_at     timestamptz,
    check ((status = 'in_progress') = (finished_at is null))
);
create unique index exchange_one_at_a_time on sync_assets.exchange_sync (direction, peer, repository_id)
    where finished_at is null;
create index exchange_sync_by_time on sync_assets.exchange_sync (started_at desc);

create table sync_assets.exchange_unit (
    sync_id   text not null references sync_assets.exchange_sync on delete cascade,
    number    int not null,
    task_id   bigint not null,
    title     text not null default '',
    status    text not null default 'pending' check (status in ('pending', 'succeeded', 'failed', 'skipped')),
    attempts  int not null default 0,
    error     text not null default '',
    documents jsonb not null default '[]',
    ended_at  timestamptz,
    primary key (sync_id, number),
    check (status <> 'failed' or error <> '')
);

-- An export is one moment, kept until its pages are read or it is old.
create table sync_assets.exchange_export (
    export_id     text primary key,
    repository_id bigint not null,
    repository    jsonb not null,
    total         int not null,
    page_rows     int not null check (page_rows > 0),
    page_bytes    bigint not null check (page_bytes > 0),
    created_at    timestamptz not null default clock_timestamp()
);
create table sync_assets.exchange_export_pack (
    export_id text not null references sync_assets.exchange_export on delete cascade,
    number    int not null,
    pack      json not null,
    bytes     bigint not null,
    primary key (export_id, number)
);
alter table sync_assets.exchange_export_pack alter column pack set storage external;  -- kept shortly: not worth packing

-- Who may call the gateway. Secrets are kept as digests only.
create table sync_assets.gateway_key (
    key_id       text primary key,                               -- the visible prefix
    name         text not null check (name <> ''),
    digest       bytea not null unique,
    scopes       jsonb not null check (jsonb_typeof(scopes) = 'array'),
    created_at   timestamptz not null default clock_timestamp(),
    created_by   text not null default '',
    expires_at   timestamptz,
    revoked_at   timestamptz,
    last_used_at timestamptz
);
create table sync_assets.gateway_user (
    name        text primary key check (name <> ''),
    digest      text not null,                                   -- scrypt, with its salt and cost
    scopes      jsonb not null check (jsonb_typeof(scopes) = 'array'),
    disabled_at timestamptz,
    created_at  timestamptz not null default clock_timestamp()
);
create table sync_assets.gateway_refresh (
    digest     bytea primary key,
    family     text not null,                                    -- a refresh used twice ends its family
    user_name  text not null references sync_assets.gateway_user on delete cascade,
    expires_at timestamptz not null,
    used_at    timestamptz,
    revoked_at timestamptz
);
create table sync_assets.gateway_audit (
    number     bigint generated always as identity primary key,
    at         timestamptz not null default clock_timestamp(),
    who        text not null,
    action     text not null check (action <> ''),
    object     text not null default '',
    outcome    text not null,
    request_id text not null default '',
    detail     jsonb not null default '{}'
);
create trigger never_changes before update or delete on sync_assets.gateway_audit
    for each row execute function sync_assets.never_changes();

-- For people who look with psql.
create view sync_assets.exchange_syncs as
    select s.started_at, s.finished_at, s.direction, s.peer, s.repository_id, s.repository_name, s.status, s.total,
           count(u.*) filter (where u.status = 'succeeded') as succeeded,
           count(u.*) filter (where u.status = 'failed') as failed,
           count(u.*) filter (where u.status = 'skipped') as skipped, s.asked_by, s.sync_id, s.error
      from sync_assets.exchange_sync s left join sync_assets.exchange_unit u using (sync_id)
     group by s.sync_id order by s.started_at desc;
create view sync_assets.gateway_keys as
    select key_id, name, scopes, created_at, expires_at, revoked_at, last_used_at from sync_assets.gateway_key;
create view sync_assets.audit as select at, who, action, object, outcome, detail, request_id
      from sync_assets.gateway_audit order by number desc;
