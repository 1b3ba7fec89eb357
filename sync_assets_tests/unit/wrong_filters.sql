x = 1; drop table t
x = 1;
x = (select 1)
x in (select password from users where name = 'hunter2')
exists (select 1)
x = 1 union select 1
select 1
insert into t values (1)
delete from t
drop table t
set x = 1
now() > x
x = current_date
x = current_timestamp
random() < 0.5
foo(x) = 1
sleep(10) = 0
pg_sleep(1) is null
nextval('hunter2') = 1
load_file('hunter2') = ''
count(*) > 1
row_number() over () > 1
x = 1 -- hunter2
x = 1 /* hunter2 */
/*!50000 1 = 1 */ and x
x = :p
x = ?
x = $1
$$
t.x = 1
s.t.x = 1
x = 1 limit 1
x = 1 for update
x = 1 as y
x = 1)
(x = 1
x and
x + 1
1
'hunter2'
x = @v
x = any(array[1])
x collate nocase = 'a'
interval '1 day' > x
x regexp 'hunter2'
x glob 'a*'
null
*
x = 'hunter2
