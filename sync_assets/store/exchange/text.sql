-- document: with its content, and the status of its task
select d.document_id, d.repository_id, d.task_id, d.title, d.filename, d.content, d.sort_order, d.version, d.is_latest,
       coalesce(d.replaced_by, 0), d.clone_branch, d.clone_commit_id, d.created_at, d.updated_at, t.status
  from sync_assets.exchange_document d join sync_assets.exchange_task t using (task_id)
 where d.repository_id = %(repository)s and d.document_id = %(document)s
