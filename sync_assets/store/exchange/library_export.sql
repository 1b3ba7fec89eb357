-- drop_old: exports that nobody reads any more, and all but the newest few: each is a copy of a repository
delete from sync_assets.exchange_export
 where created_at < clock_timestamp() - make_interval(hours => %(hours)s)
    or export_id in (select export_id from sync_assets.exchange_export order by created_at desc offset %(kept)s)

-- repository: as it travels
select to_jsonb(r) from sync_assets.exchange_repository r where r.repository_id = %(repository)s

-- missing: documents asked for that are not in the repository
select count(*) from unnest(%(documents)s::bigint[]) as asked(id)
 where not exists (select from sync_assets.exchange_document d
                    where d.document_id = asked.id and d.repository_id = %(repository)s)

-- begin: of one moment
insert into sync_assets.exchange_export (export_id, repository_id, repository, total, page_rows, page_bytes)
values (%(export)s, %(repository)s, %(facts)s::jsonb, 0, %(rows)s, %(bytes)s)

-- fill: all tasks in order, or those of the documents asked for, each with what travels with it
with travelling as (
    select d.*, newer.uid as replaced_by_uid
      from sync_assets.exchange_document d
      left join sync_assets.exchange_document newer on newer.document_id = d.replaced_by
     where d.repository_id = %(repository)s
       and (%(documents)s::bigint[] is null or d.document_id = any(%(documents)s::bigint[]))),
written as (
    select task_id, json_agg(to_json(d) order by sort_order, document_id) as documents,
           array_agg(document_id) as ids, sum(octet_length(content) + octet_length(title)) as bytes
      from travelling d group by task_id),
spent as (
    select task_id, json_agg(to_json(u) order by number) as usages from sync_assets.exchange_usage u
      join sync_assets.exchange_task t using (task_id)
     where t.repository_id = %(repository)s group by task_id)
insert into sync_assets.exchange_export_pack (export_id, number, pack, bytes)
select %(export)s, row_number() over (order by t.sort_order, t.task_id),
       json_build_object(
           'task', to_jsonb(t) || jsonb_build_object('doc_id', case when t.doc_id = any(w.ids) then t.doc_id end,
                                                     'run_after_uid', before.uid),
           'documents', coalesce(w.documents, '[]'::json), 'usages', coalesce(s.usages, '[]'::json)),
       octet_length(t.outline) + coalesce(w.bytes, 0) + 1000
  from sync_assets.exchange_task t left join written w using (task_id) left join spent s using (task_id)
  left join sync_assets.exchange_task before on before.task_id = t.run_after
 where t.repository_id = %(repository)s and (%(documents)s::bigint[] is null or w.task_id is not null)

-- count: how many tasks
update sync_assets.exchange_export set total = %(total)s where export_id = %(export)s

-- exported: what an export is of
select repository_id, total, page_rows, page_bytes from sync_assets.exchange_export where export_id = %(export)s

-- page: as many packs as fit, one at least
select number, pack
  from (select number, pack, sum(bytes) over (order by number) as until
          from sync_assets.exchange_export_pack where export_id = %(export)s and number > %(cursor)s
         order by number limit %(rows)s) as following
 where until <= %(bytes)s or number = %(cursor)s + 1
 order by number

-- drop: read whole
delete from sync_assets.exchange_export where export_id = %(export)s
