-- add_key: its digest and its public half only
insert into sync_assets.gateway_key (key_id, name, digest, verifier, scopes, created_by, expires_at)
values (%(key_id)s, %(name)s, %(digest)s, %(verifier)s, %(scopes)s::jsonb, %(by)s,
        clock_timestamp() + make_interval(secs => %(seconds)s))

-- key_of: that counts now, with whether its last use is to be noted
select key_id, name, scopes, digest, coalesce(last_used_at < clock_timestamp() - interval '1 minute', true)
  from sync_assets.gateway_key
 where key_id = %(key_id)s and revoked_at is null and (expires_at is null or expires_at > clock_timestamp())

-- key_used: at most once a minute
update sync_assets.gateway_key set last_used_at = clock_timestamp() where key_id = %(key_id)s

-- keys: without digests; a revoked one speaks for nobody
select k.key_id, k.name, k.scopes, k.created_at, k.created_by, k.expires_at, k.revoked_at, k.last_used_at, o.origin
  from sync_assets.gateway_key k
  left join sync_assets.gateway_origin o on o.holder = 'key:' || k.name and k.revoked_at is null
 order by k.created_at, k.key_id

-- name_taken: by a key that counts; the name is how a peer is known
select 1 from sync_assets.gateway_key where name = %(name)s and revoked_at is null
   and (expires_at is null or expires_at > clock_timestamp())

-- revoke_key: once
update sync_assets.gateway_key set revoked_at = clock_timestamp()
 where key_id = %(key_id)s and revoked_at is null returning name

-- add_user: a new one
insert into sync_assets.gateway_user (name, digest, scopes) values (%(name)s, %(digest)s, %(scopes)s::jsonb)
on conflict (name) do nothing returning name

-- users: without digests
select name, scopes, created_at, disabled_at from sync_assets.gateway_user order by name

-- user: for a login
select digest, scopes from sync_assets.gateway_user where name = %(name)s and disabled_at is null

-- disable_user: once
update sync_assets.gateway_user set disabled_at = clock_timestamp()
 where name = %(name)s and disabled_at is null returning name

-- set_password: lets a disabled user in again
update sync_assets.gateway_user set digest = %(digest)s, disabled_at = null where name = %(name)s returning name

-- end_all: sessions of a user
update sync_assets.gateway_refresh set revoked_at = clock_timestamp()
 where user_name = %(name)s and revoked_at is null

-- add_refresh: of a family
insert into sync_assets.gateway_refresh (digest, family, user_name, expires_at)
values (%(digest)s, %(family)s, %(name)s, clock_timestamp() + make_interval(secs => %(seconds)s))

-- refresh: locked, so that of two that use it at once one is the second
select r.family, r.user_name, r.used_at is not null, u.scopes,
       r.revoked_at is null and r.expires_at > clock_timestamp() and u.disabled_at is null
  from sync_assets.gateway_refresh r join sync_assets.gateway_user u on u.name = r.user_name
 where r.digest = %(digest)s for update of r

-- use_refresh: once
update sync_assets.gateway_refresh set used_at = clock_timestamp() where digest = %(digest)s

-- end_family: all that came from one login
update sync_assets.gateway_refresh set revoked_at = clock_timestamp()
 where family = %(family)s and revoked_at is null

-- session: scopes of a user whose login goes on
select u.scopes from sync_assets.gateway_user u
 where u.name = %(name)s and u.disabled_at is null
   and exists (select from sync_assets.gateway_refresh r
                where r.family = %(family)s and r.user_name = u.name and r.revoked_at is null)

-- forget_old: logins that cannot go on any more
delete from sync_assets.gateway_refresh where expires_at < clock_timestamp() - interval '1 day'

-- audit: one change, or the outcome of the call whose row is `ends`
insert into sync_assets.gateway_audit (who, action, object, outcome, request_id, detail, ends)
values (%(who)s, %(action)s, %(object)s, %(outcome)s, %(request_id)s, %(detail)s::jsonb, %(ends)s)

-- audit_begun: a row with the first change of a call; a transaction that has written nothing has no id
insert into sync_assets.gateway_audit (who, action, object, outcome, request_id)
select %(who)s, %(action)s, %(object)s, 'begun', %(request_id)s where pg_current_xact_id_if_assigned() is not null
returning number

-- instance: this installation's name to others
select id::text from sync_assets.deployment

-- alive: an answer is enough
select 1 from sync_assets.deployment

-- sync_counts: for figures
select direction, status, count(*) from sync_assets.exchange_sync group by direction, status
