-- lock: writers one after the other, so that no row slips in under an old key while keys rotate; readers go on
lock table sync_assets.secret in share row exclusive mode

-- deployment: what every box is bound to
select id::text from sync_assets.deployment

-- listed: what people may see
select name, kind, key_id, version, added_at, changed_at, sealed_at from sync_assets.secret order by name collate "C"

-- box: one row, with the fingerprint of the key that it was sealed with
select s.name, s.kind, s.version, s.key_id, k.fingerprint, s.nonce, s.ciphertext
  from sync_assets.secret s join sync_assets.vault_key k on k.id = s.key_id
 where s.name = %(name)s

-- boxes: all of them
select s.name, s.kind, s.version, s.key_id, k.fingerprint, s.nonce, s.ciphertext
  from sync_assets.secret s join sync_assets.vault_key k on k.id = s.key_id
 order by s.name collate "C"

-- know_key: the first use of an id decides which key it stands for
insert into sync_assets.vault_key (id, fingerprint) values (%(id)s, %(fingerprint)s) on conflict (id) do nothing

-- key: as it was first used
select fingerprint, retired from sync_assets.vault_key where id = %(id)s

-- put: a new row, or a new value of an old one
insert into sync_assets.secret as old (name, kind, version, key_id, nonce, ciphertext)
values (%(name)s, %(kind)s, %(version)s, %(key_id)s, %(nonce)s, %(ciphertext)s)
on conflict (name) do update
   set kind = excluded.kind, version = excluded.version, key_id = excluded.key_id, nonce = excluded.nonce,
       ciphertext = excluded.ciphertext, changed_at = clock_timestamp(), sealed_at = clock_timestamp()

-- reseal: the same value under another key
update sync_assets.secret
   set key_id = %(key_id)s, nonce = %(nonce)s, ciphertext = %(ciphertext)s, sealed_at = clock_timestamp()
 where name = %(name)s

-- retire: every key but this one; refused by a constraint while any row is under one of them
update sync_assets.vault_key set retired = true where id <> %(id)s and not retired
returning id

-- drop: forget one
delete from sync_assets.secret where name = %(name)s
