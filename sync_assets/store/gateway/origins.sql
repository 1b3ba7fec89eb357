-- held: who holds the installation, and what the holder holds; whether each holder counts now
select o.origin, o.holder,
       exists (select from sync_assets.gateway_key k where o.holder = 'key:' || k.name and k.revoked_at is null
                  and (k.expires_at is null or k.expires_at > clock_timestamp()))
    or exists (select from sync_assets.gateway_user u where o.holder = 'user:' || u.name and u.disabled_at is null)
  from sync_assets.gateway_origin o where o.origin = %(origin)s or o.holder = %(holder)s

-- wrote: whether this transaction has changed anything; one that has only held rows has a number, too
select 1 where pg_current_xact_id_if_assigned() is not null and exists (
    select from pg_locks l join pg_class c on c.oid = l.relation
     where l.pid = pg_backend_pid() and l.mode = 'RowExclusiveLock' and c.relnamespace = 'sync_assets'::regnamespace)

-- one_at_a_time: bindings change seldom; who only looks does not wait
lock table sync_assets.gateway_origin in share row exclusive mode

-- bind: or move from one that no longer counts
insert into sync_assets.gateway_origin (origin, holder) values (%(origin)s, %(holder)s)
on conflict (origin) do update set holder = excluded.holder, bound_at = clock_timestamp()

-- release: whatever it was bound to
delete from sync_assets.gateway_origin where holder = %(holder)s returning origin
