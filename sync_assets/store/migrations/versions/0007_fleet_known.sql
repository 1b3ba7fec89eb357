-- Since which day (of the fleet's zone) this installation knows of an instance. Nothing before it can be a gap of ours,
-- whatever day the YAML says it was adopted on. Null: it came before this was kept.

alter table sync_assets.fleet_instance add column known_on date;
