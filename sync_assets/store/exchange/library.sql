-- repositories: all, or those asked for
select repository_id, name, url, description, clone_branch, clone_commit_id, size_mb, status, error_msg, created_at,
       updated_at, uid::text
  from sync_assets.exchange_repository
 where %(of)s::bigint[] is null or repository_id = any(%(of)s::bigint[])
 order by repository_id

-- documents: of a repository, without content, oldest first, each with the status of its task
select d.document_id, d.repository_id, d.task_id, d.title, d.filename, '', d.sort_order, d.version, d.is_latest,
       coalesce(d.replaced_by, 0), d.clone_branch, d.clone_commit_id, d.created_at, d.updated_at, t.status
  from sync_assets.exchange_document d join sync_assets.exchange_task t using (task_id)
 where d.repository_id = %(repository)s
 order by d.created_at, d.document_id

-- there: whether a repository is here; what is put and what is cleared wait for each other
select 1 from sync_assets.exchange_repository where repository_id = %(repository)s for key share

-- repository_of_repository: itself
select repository_id from sync_assets.exchange_repository where repository_id = %(id)s

-- repository_of_task: that it belongs to
select repository_id from sync_assets.exchange_task where task_id = %(id)s

-- repository_of_document: that it belongs to
select repository_id from sync_assets.exchange_document where document_id = %(id)s

-- repositories_of_repository: each itself
select repository_id, repository_id from sync_assets.exchange_repository where repository_id = any(%(ids)s::bigint[])

-- repositories_of_task: those that they belong to
select task_id, repository_id from sync_assets.exchange_task where task_id = any(%(ids)s::bigint[])

-- repositories_of_document: those that they belong to
select document_id, repository_id from sync_assets.exchange_document where document_id = any(%(ids)s::bigint[])

-- local: our id of what came; the thing itself is looked up after it
select local_id from sync_assets.exchange_map
 where origin = %(origin)s and entity = %(entity)s and origin_id = %(id)s

-- recognised: our id of a repository that came, else of the one with this uid; holds nothing
select coalesce(
    (select r.repository_id from sync_assets.exchange_map m
       join sync_assets.exchange_repository r on r.repository_id = m.local_id
      where m.origin = %(origin)s and m.entity = 'repository' and m.origin_id = %(id)s),
    (select repository_id from sync_assets.exchange_repository where uid = nullif(%(uid)s::text, '')::uuid))

-- know: ids that another installation, which tells no uid, gave to things of ours
insert into sync_assets.exchange_map (origin, entity, origin_id, local_id, was_here)
values (%(origin)s, %(entity)s, %(id)s, %(local)s, true)
on conflict (origin, entity, origin_id) do nothing

-- one_at_a_time: what comes from one installation; the same call twice at once must not make two of one
select pg_advisory_xact_lock(hashtextextended('exchange|' || %(origin)s::text, 0))

-- map: what came is ours as
insert into sync_assets.exchange_map (origin, entity, origin_id, local_id, sync_id, was_here)
values (%(origin)s, %(entity)s, %(id)s, %(local)s, %(sync_id)s, %(was_here)s)
on conflict (origin, entity, origin_id) do update
   set local_id = excluded.local_id, sync_id = excluded.sync_id, was_here = excluded.was_here

-- known_repositories: that came before, or whose uid is here; held, so that none is cleared meanwhile
with asked as (select * from unnest(%(ids)s::bigint[], %(uids)s::uuid[]) as a (id, uid)),
came as (
    select a.id, r.repository_id
      from asked a
      join sync_assets.exchange_map m on m.origin = %(origin)s and m.entity = 'repository' and m.origin_id = a.id
      join sync_assets.exchange_repository r on r.repository_id = m.local_id),
known as (
    select id, repository_id, true as mapped from came
    union all
    select a.id, r.repository_id, false from asked a join sync_assets.exchange_repository r using (uid)
     where a.id not in (select id from came))
select k.id, k.mapped,
       coalesce((select s.sync_id from sync_assets.exchange_replacing s
                  where s.origin = %(origin)s and s.repository_id = r.repository_id order by number desc limit 1), ''),
       r.repository_id, r.name, r.url, r.description, r.clone_branch, r.clone_commit_id,
       r.size_mb, r.status, r.error_msg, r.created_at, r.updated_at
  from known k join sync_assets.exchange_repository r using (repository_id)
   for key share of r

-- new_repository: its own id
insert into sync_assets.exchange_repository
    (name, url, description, clone_branch, clone_commit_id, size_mb, status, error_msg, created_at, updated_at, uid)
values (%(name)s, %(url)s, %(description)s, %(clone_branch)s, %(clone_commit_id)s, %(size_mb)s, %(status)s,
        %(error_msg)s, coalesce(%(created_at)s::timestamptz, clock_timestamp()),
        coalesce(%(updated_at)s::timestamptz, clock_timestamp()), coalesce(nullif(%(uid)s::text, '')::uuid, gen_random_uuid()))
returning repository_id

-- change_repository: all but its id and when it was made
update sync_assets.exchange_repository
   set name = %(name)s, url = %(url)s, description = %(description)s, clone_branch = %(clone_branch)s,
       clone_commit_id = %(clone_commit_id)s, size_mb = %(size_mb)s, status = %(status)s, error_msg = %(error_msg)s,
       updated_at = coalesce(%(updated_at)s::timestamptz, clock_timestamp())
 where repository_id = %(local)s

-- known_tasks: that came before, or whose uid is here (then without a sync)
with asked as (select * from unnest(%(ids)s::bigint[], %(uids)s::uuid[]) as a (id, uid)),
came as (
    select a.id, m.sync_id, t.task_id
      from asked a
      join sync_assets.exchange_map m on m.origin = %(origin)s and m.entity = 'task' and m.origin_id = a.id
      join sync_assets.exchange_task t on t.task_id = m.local_id),
known as (
    select id, sync_id, task_id from came
    union all
    select a.id, null, t.task_id from asked a join sync_assets.exchange_task t using (uid)
     where a.id not in (select id from came))
select k.id, k.sync_id, coalesce(t.came_run_after, 0), coalesce(t.came_origin, ''), t.task_id, t.repository_id, 0,
       t.writer_name, t.task_type, t.title, t.outline, t.status, coalesce(t.run_after, 0), t.error_msg, t.sort_order,
       t.started_at, t.completed_at, t.created_at, t.updated_at
  from known k join sync_assets.exchange_task t using (task_id)

-- task_ids: for so many new tasks
select nextval(pg_get_serial_sequence('sync_assets.exchange_task', 'task_id')) from generate_series(1, %(count)s)

-- new_task: its document comes last
insert into sync_assets.exchange_task
    (task_id, repository_id, writer_name, task_type, title, outline, status, came_run_after, came_origin, error_msg,
     sort_order, started_at, completed_at, created_at, updated_at, uid)
overriding system value
values (%(local)s, %(repository)s, %(writer_name)s, %(task_type)s, %(title)s, %(outline)s, %(status)s, %(came)s,
        %(came_origin)s, %(error_msg)s, %(sort_order)s, %(started_at)s, %(completed_at)s,
        coalesce(%(created_at)s::timestamptz, clock_timestamp()),
        coalesce(%(updated_at)s::timestamptz, clock_timestamp()), coalesce(nullif(%(uid)s::text, '')::uuid, gen_random_uuid()))

-- change_task: all but its document
update sync_assets.exchange_task
   set writer_name = %(writer_name)s, task_type = %(task_type)s, title = %(title)s, outline = %(outline)s,
       status = %(status)s, run_after = %(reference)s, came_run_after = %(came)s, came_origin = %(came_origin)s,
       error_msg = %(error_msg)s, sort_order = %(sort_order)s, started_at = %(started_at)s,
       completed_at = %(completed_at)s, updated_at = coalesce(%(updated_at)s::timestamptz, clock_timestamp())
 where task_id = %(local)s

-- hold_task: with its repository, until the transaction ends
select repository_id, coalesce(doc_id, 0) from sync_assets.exchange_task where task_id = %(task)s for no key update

-- known_documents: that came before, or whose uid is here (then without a sync); of the content only what
-- tells whether it is another
with asked as (select * from unnest(%(ids)s::bigint[], %(uids)s::uuid[]) as a (id, uid)),
came as (
    select a.id, m.sync_id, t.document_id
      from asked a
      join sync_assets.exchange_map m on m.origin = %(origin)s and m.entity = 'document' and m.origin_id = a.id
      join sync_assets.exchange_document t on t.document_id = m.local_id),
known as (
    select id, sync_id, document_id from came
    union all
    select a.id, null, t.document_id from asked a join sync_assets.exchange_document t using (uid)
     where a.id not in (select id from came))
select k.id, k.sync_id, coalesce(d.came_replaced_by, 0), coalesce(d.came_origin, ''),
       sha256(convert_to(d.content, 'UTF8')), d.document_id, d.repository_id, d.task_id, d.title, d.filename, '',
       d.sort_order, d.version, d.is_latest, coalesce(d.replaced_by, 0), d.clone_branch, d.clone_commit_id,
       d.created_at, d.updated_at
  from known k join sync_assets.exchange_document d using (document_id)

-- document_ids: for so many new documents
select nextval(pg_get_serial_sequence('sync_assets.exchange_document', 'document_id')) from generate_series(1, %(count)s)

-- new_document: what it is replaced by comes later
insert into sync_assets.exchange_document
    (document_id, repository_id, task_id, title, filename, content, sort_order, version, is_latest, came_replaced_by,
     came_origin, clone_branch, clone_commit_id, created_at, updated_at, uid)
overriding system value
values (%(local)s, %(repository)s, %(task)s, %(title)s, %(filename)s, %(content)s, %(sort_order)s, %(version)s,
        %(is_latest)s, %(came)s, %(came_origin)s, %(clone_branch)s, %(clone_commit_id)s,
        coalesce(%(created_at)s::timestamptz, clock_timestamp()),
        coalesce(%(updated_at)s::timestamptz, clock_timestamp()), coalesce(nullif(%(uid)s::text, '')::uuid, gen_random_uuid()))

-- leave_document: a task whose document goes to another task has none
update sync_assets.exchange_task set doc_id = null where task_id = %(before)s and doc_id = %(local)s

-- change_document: all but its repository
update sync_assets.exchange_document
   set task_id = %(task)s, title = %(title)s, filename = %(filename)s, content = %(content)s,
       sort_order = %(sort_order)s, version = %(version)s, is_latest = %(is_latest)s, replaced_by = %(reference)s,
       came_replaced_by = %(came)s, came_origin = %(came_origin)s, clone_branch = %(clone_branch)s,
       clone_commit_id = %(clone_commit_id)s, updated_at = coalesce(%(updated_at)s::timestamptz, clock_timestamp())
 where document_id = %(local)s

-- choose: the sender's choices; but none in place of a higher version that did not come from it
update sync_assets.exchange_task t set doc_id = theirs.document_id
  from unnest(%(tasks)s::bigint[], %(documents)s::bigint[]) as chosen (task_id, document_id)
  join sync_assets.exchange_document theirs using (document_id)
 where t.task_id = chosen.task_id and theirs.task_id = t.task_id and t.doc_id is distinct from theirs.document_id
   and not exists (
       select from sync_assets.exchange_document ours
        where ours.document_id = t.doc_id and ours.version > theirs.version
          and not exists (select from sync_assets.exchange_map m
                           where m.entity = 'document' and m.local_id = ours.document_id and m.origin = %(origin)s))

-- set_document: whoever asks for it
update sync_assets.exchange_task set doc_id = %(document)s where task_id = %(task)s

-- task_of_document: that it was written by
select task_id from sync_assets.exchange_document where document_id = %(document)s

-- usages: of tasks
select task_id, api_key_name, prompt_tokens, completion_tokens, total_tokens, cached_tokens, reasoning_tokens, created_at
  from sync_assets.exchange_usage where task_id = any(%(tasks)s::bigint[]) order by task_id, number

-- drop_usages: of tasks
delete from sync_assets.exchange_usage where task_id = any(%(tasks)s::bigint[])

-- new_usage: of a task
insert into sync_assets.exchange_usage
    (task_id, number, api_key_name, prompt_tokens, completion_tokens, total_tokens, cached_tokens, reasoning_tokens,
     created_at)
values (%(task)s, %(number)s, %(api_key_name)s, %(prompt_tokens)s, %(completion_tokens)s, %(total_tokens)s,
        %(cached_tokens)s, %(reasoning_tokens)s, %(created_at)s)

-- link_tasks: what runs after a task that has come by now
update sync_assets.exchange_task t
   set run_after = before.task_id, came_run_after = null, came_origin = null
  from sync_assets.exchange_map m join sync_assets.exchange_task before on before.task_id = m.local_id
 where t.repository_id = %(repository)s and t.came_run_after is not null and t.came_origin = %(origin)s
   and m.origin = t.came_origin and m.entity = 'task' and m.origin_id = t.came_run_after
   and before.repository_id = t.repository_id

-- link_documents: what is replaced by a document that has come by now
update sync_assets.exchange_document d
   set replaced_by = newer.document_id, came_replaced_by = null, came_origin = null
  from sync_assets.exchange_map m join sync_assets.exchange_document newer on newer.document_id = m.local_id
 where d.repository_id = %(repository)s and d.came_replaced_by is not null and d.came_origin = %(origin)s
   and m.origin = d.came_origin and m.entity = 'document' and m.origin_id = d.came_replaced_by
   and newer.repository_id = d.repository_id

-- was_here: whether the repository was here before it came from there
select 1 from sync_assets.exchange_map
 where origin = %(origin)s and entity = 'repository' and local_id = %(repository)s and was_here

-- begin_replacing: what comes from now on is of this sync, unless another has begun after it
insert into sync_assets.exchange_replacing (origin, repository_id, sync_id)
values (%(origin)s, %(repository)s, %(sync_id)s) on conflict (origin, repository_id, sync_id) do nothing

-- forget_replacing: of syncs that nobody goes on with
delete from sync_assets.exchange_replacing
 where origin = %(origin)s and repository_id = %(repository)s and sync_id <> %(sync_id)s
   and begun_at < clock_timestamp() - interval '60 days'

-- hold_repository: nothing is put into it until the transaction ends
select 1 from sync_assets.exchange_repository where repository_id = %(repository)s for update

-- replacing: whose sync it is, if none has begun after it
select origin from sync_assets.exchange_replacing s
 where repository_id = %(repository)s and sync_id = %(keep)s
   and not exists (select from sync_assets.exchange_replacing o
                    where o.repository_id = s.repository_id and o.origin = s.origin and o.number > s.number)

-- clear_usages: of all tasks, or of those that the sync did not bring
delete from sync_assets.exchange_usage u using sync_assets.exchange_task t
 where t.task_id = u.task_id and t.repository_id = %(repository)s
   and (%(keep)s::text is null or not exists (
        select from sync_assets.exchange_map m where m.origin = %(origin)s and m.entity = 'task'
           and m.local_id = t.task_id and m.sync_id = %(keep)s))

-- clear_documents: all, or those that the sync did not bring, with what is known of where they came from
with gone as (
    delete from sync_assets.exchange_document d
     where d.repository_id = %(repository)s
       and (%(keep)s::text is null or not exists (
            select from sync_assets.exchange_map m where m.origin = %(origin)s and m.entity = 'document'
               and m.local_id = d.document_id and m.sync_id = %(keep)s))
    returning d.document_id),
forgotten as (
    delete from sync_assets.exchange_map m using gone where m.entity = 'document' and m.local_id = gone.document_id)
select count(*) from gone

-- clear_tasks: all, or those that the sync did not bring, with what is known of where they came from
with gone as (
    delete from sync_assets.exchange_task t
     where t.repository_id = %(repository)s
       and (%(keep)s::text is null or not exists (
            select from sync_assets.exchange_map m where m.origin = %(origin)s and m.entity = 'task'
               and m.local_id = t.task_id and m.sync_id = %(keep)s))
    returning t.task_id),
forgotten as (
    delete from sync_assets.exchange_map m using gone where m.entity = 'task' and m.local_id = gone.task_id)
select count(*) from gone

-- audit_clear: in the same transaction
insert into sync_assets.gateway_audit (who, action, object, outcome, detail)
values (%(by)s, 'clear', 'repository ' || %(repository)s::text, 'ok', %(detail)s::jsonb)
