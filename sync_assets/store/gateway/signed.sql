-- signer: a key that counts now and can prove calls; by how much `time` is ahead of our clock; is its use to be noted
select name, scopes, verifier, %(time)s - floor(extract(epoch from clock_timestamp()))::bigint,
       coalesce(last_used_at < clock_timestamp() - interval '1 minute', true)
  from sync_assets.gateway_key
 where key_id = %(key_id)s and verifier is not null
   and revoked_at is null and (expires_at is null or expires_at > clock_timestamp())

-- keep_nonce: once. Its commit need not wait for the disk: the log is one sequence, so whatever the call changes after
-- this is kept only together with it, and a call whose change was lost in a crash may well come again
insert into sync_assets.gateway_nonce (key_id, nonce) select %(key_id)s, %(nonce)s
 where set_config('synchronous_commit', 'off', true) = 'off'
on conflict do nothing returning nonce

-- forget_nonces: of calls that are too old by now; one signed 300 s ahead counts for 600 s
delete from sync_assets.gateway_nonce where (key_id, nonce) in (
    select key_id, nonce from sync_assets.gateway_nonce where at < clock_timestamp() - interval '15 minutes'
     order by at limit 10000 for update skip locked)
