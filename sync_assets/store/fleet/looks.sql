-- sections: how each part of a look came out
select section, part, status, reason, rows from sync_assets.fleet_section
 where snapshot = %(snapshot)s order by section, part

-- first_looks: when each instance's first accounts were published
select instance, min(valid_at) from sync_assets.fleet_snapshot
 where fleet = %(fleet)s and state = 'published' group by instance
