-- sessions: newest first; all lines of one run over one thing together
select * from sync_assets.sessions limit %(limit)s

-- items: of the sessions whose run begins so, worst first
select sync, partition, run_id, outcome, asked_by, started_at, finished_at, report
  from sync_assets.run where starts_with(run_id, %(run_id)s)
 order by array_position(array['running', 'lost', 'failed', 'finished'], outcome), sync, partition limit %(limit)s
