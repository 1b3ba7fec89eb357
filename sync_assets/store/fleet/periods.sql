-- one_at_a_time: whoever writes the rows of a period
select pg_advisory_xact_lock(
    hashtextextended(concat_ws('|', 'period', %(fleet)s::text, %(period)s::text), %(starts)s - date '2000-01-01'))

-- patience: a quarter of a large fleet has a hundred million pairs of days. Compiling takes longer than a small week
select set_config('statement_timeout', '1h', true), set_config('work_mem', '64MB', true), set_config('jit', 'off', true)

-- first_day: on which anything was expected
select min(adopted_on) from sync_assets.fleet_span where fleet = %(fleet)s

-- inputs: beginning of both statements below. What a period is or would be computed from, as one hash: the days of the
-- instances in it and in the period before (growth needs it), and who was expected
with asked as (
    select * from unnest(%(periods)s::text[], %(befores)s::date[], %(starts)s::date[], %(ends)s::date[])
        as a(period, before, starts, ends)
), span as materialized (
    select instance, adopted_on, coalesce(retired_on, date '9999-12-31') as retired_on
      from sync_assets.fleet_span where fleet = %(fleet)s and retired_on is distinct from adopted_on
), daily as materialized (
    select c.day, count(*) filter (where c.unknown_databases = 0) as known,
           sum(hashtextextended(
               concat_ws('|', c.instance, c.total_bytes, c.databases, c.unknown_databases, extract(epoch from c.observed_at)),
               c.day - date '2000-01-01')) as digest
      from sync_assets.fleet_capacity c
     where c.fleet = %(fleet)s
       and c.day >= (select min(before) from asked) and c.day < (select max(ends) from asked)
       and exists (select from span s where s.instance = c.instance and s.adopted_on <= c.day and c.day < s.retired_on)
     group by c.day
), input as materialized (
    select a.*,
           md5(concat_ws(';', %(formula)s::text,
               (select string_agg(d.day || ':' || d.digest, ',' order by d.day)
                  from daily d where d.day >= a.before and d.day < a.ends),
               (select sum(hashtextextended(
                           concat_ws('|', s.instance, greatest(s.adopted_on, a.before), least(s.retired_on, a.ends)), 0))
                  from span s where s.adopted_on < a.ends and s.retired_on > a.before))) as input_hash
      from asked a
)

-- due: periods whose inputs are not those of the stored row; whole: every day of every instance is there
select i.period, i.starts, i.ends,
       coalesce((select sum(least(s.retired_on, i.ends) - greatest(s.adopted_on, i.starts))
                   from span s where s.adopted_on < i.ends and s.retired_on > i.starts), 0)
       <= coalesce((select sum(d.known) from daily d where d.day >= i.starts and d.day < i.ends), 0) as whole
  from input i
  left join sync_assets.fleet_period p
    on p.fleet = %(fleet)s and p.period = i.period and p.starts = i.starts and p.level = 'fleet'
 where p.input_hash is distinct from i.input_hash
 order by i.starts, i.ends

-- result: after `inputs`, for one period: all its rows. Arrays need no order: a pair of days has one slope either way
, expected as materialized (                 -- days on which an instance must be there; now: in this period
    select distinct s.instance, greatest(s.adopted_on, i.before) + g as day, greatest(s.adopted_on, i.before) + g >= i.starts as now
      from span s cross join input i
     cross join lateral generate_series(0, least(s.retired_on, i.ends) - greatest(s.adopted_on, i.before) - 1) as g
), numbered as (
    select *, row_number() over (partition by instance, now order by day) as nth, count(*) over (partition by instance, now) as of
      from expected
), wanted as materialized (
    select instance, now, array_agg(day order by day) as days from expected group by instance, now
), listed as materialized (                  -- days that are there, each between its neighbours that are there
    select e.instance, e.now, e.day, c.total_bytes, c.unknown_databases = 0 as known,
           lag(e.nth, 1, 0::bigint) over nearest as after_nth, lead(e.nth, 1, e.of + 1) over nearest as until_nth,
           hashtextextended(extract(epoch from c.observed_at)::text, e.day - date '2000-01-01') as seed
      from numbered e
      join sync_assets.fleet_capacity c on c.fleet = %(fleet)s and c.instance = e.instance and c.day = e.day
       and c.day >= (select before from input) and c.day < (select ends from input)   -- for the index by day
    window nearest as (partition by e.instance, e.now order by e.day)
), whole as materialized (                   -- days of the fleet
    select e.now, e.day, bool_and(coalesce(l.known, false)) as whole, sum(l.total_bytes)::bigint as bytes,
           count(*) as instances, count(*) filter (where l.known) as known
      from expected e left join listed l on l.instance = e.instance and l.day = e.day
     group by e.now, e.day
), instance_now as (
    select w.instance, w.days, count(*) filter (where l.known) as present,
           array_agg(l.day) filter (where l.known) as xs, array_agg(l.total_bytes) filter (where l.known) as ys,
           min(l.day) filter (where l.known) as first_day, max(l.day) filter (where l.known) as last_day,
           min(l.total_bytes) filter (where l.known) as least, max(l.total_bytes) filter (where l.known) as most,
           avg(l.total_bytes) filter (where l.known)::float8 as mean,
           sum(hashint8extended(l.total_bytes, l.seed)) filter (where l.known) as digest
      from wanted w left join listed l on l.instance = w.instance and l.now
     where w.now group by w.instance, w.days
), instance_before as (
    select w.instance, avg(l.total_bytes) filter (where l.known)::float8 as mean, count(*) filter (where l.known) as present,
           cardinality(w.days) as expected
      from wanted w left join listed l on l.instance = w.instance and not l.now
     where not w.now group by w.instance, w.days
), database_now as (                         -- expected: between the neighbours that were there without it
    select l.instance, z.database, z.incarnation, min(l.after_nth) as after_nth, max(l.until_nth) as until_nth,
           count(z.bytes) as present,
           array_agg(l.day) filter (where z.bytes is not null) as xs,
           array_agg(z.bytes) filter (where z.bytes is not null) as ys,
           min(l.day) filter (where z.bytes is not null) as first_day, max(l.day) filter (where z.bytes is not null) as last_day,
           min(z.bytes) as least, max(z.bytes) as most, avg(z.bytes)::float8 as mean,
           sum(hashint8extended(z.bytes, l.seed)) as digest
      from listed l
      join sync_assets.fleet_database_size z on z.fleet = %(fleet)s and z.instance = l.instance and z.day = l.day
     where l.now and %(databases)s::boolean
     group by l.instance, z.database, z.incarnation
), database_before as (
    select l.instance, z.database, z.incarnation, avg(z.bytes)::float8 as mean, count(z.bytes) as present,
           max(l.until_nth) - min(l.after_nth) - 1 as expected
      from listed l
      join sync_assets.fleet_database_size z on z.fleet = %(fleet)s and z.instance = l.instance and z.day = l.day
     where not l.now and %(databases)s::boolean
     group by l.instance, z.database, z.incarnation
), series as (
    select 'fleet' as level, '' as instance, '' as database, '' as incarnation, i.input_hash as input,
           coalesce(array_agg(w.day order by w.day) filter (where w.now), '{}') as days,
           count(*) filter (where w.now and w.whole) as present,
           array_agg(w.day) filter (where w.now and w.whole) as xs,
           array_agg(w.bytes) filter (where w.now and w.whole) as ys,
           min(w.day) filter (where w.now and w.whole) as first_day, max(w.day) filter (where w.now and w.whole) as last_day,
           min(w.bytes) filter (where w.now and w.whole) as least, max(w.bytes) filter (where w.now and w.whole) as most,
           avg(w.bytes) filter (where w.now and w.whole)::float8 as mean,
           coalesce(sum(w.known) filter (where w.now), 0)::float8 as known,
           coalesce(sum(w.instances) filter (where w.now), 0)::float8 as asked,
           avg(w.bytes) filter (where not w.now and w.whole)::float8 as mean_before,
           count(*) filter (where not w.now and w.whole) as present_before, count(*) filter (where not w.now) as expected_before
      from input i left join whole w on true group by i.input_hash
    union all
    select 'instance', n.instance, '', '', n.digest::text, n.days, n.present, n.xs, n.ys, n.first_day, n.last_day,
           n.least, n.most, n.mean, n.present, cardinality(n.days), b.mean, b.present, b.expected
      from instance_now n left join instance_before b on b.instance = n.instance
    union all
    select 'database', n.instance, n.database, n.incarnation, n.digest::text, w.days[n.after_nth + 1 : n.until_nth - 1],
           n.present, n.xs, n.ys, n.first_day, n.last_day, n.least, n.most, n.mean,
           n.present, n.until_nth - n.after_nth - 1, b.mean, b.present, b.expected
      from database_now n
      join wanted w on w.instance = n.instance and w.now
      left join database_before b
        on b.instance = n.instance and b.database = n.database and b.incarnation = n.incarnation
), result as materialized (
    select s.level, s.instance, s.database, s.incarnation,
           case when s.known = 0 then 'empty' when s.known = s.asked then 'complete' else 'partial' end as status,
           cardinality(s.days) as expected_days, s.present as present_days,
           case when s.present = cardinality(s.days) then '{}'
                else array(select d from unnest(s.days) as d where d <> all (coalesce(s.xs, '{}')) order by d)
           end as missing_days,
           case when s.level = 'fleet' then array(
               select o.instance from instance_now o where o.present < cardinality(o.days) order by o.instance) else '{}'
           end as missing_instances,
           s.known / nullif(s.asked, 0) as completeness,
           s.ys[array_position(s.xs, s.first_day)] as first_bytes, s.ys[array_position(s.xs, s.last_day)] as last_bytes,
           s.least as min_bytes, s.most as max_bytes, s.mean as mean_bytes,
           (select percentile_cont(0.95) within group (order by y) from unnest(s.ys) as y) as p95_bytes,
           case when s.present > 1 then s.ys[array_position(s.xs, s.last_day)] - s.ys[array_position(s.xs, s.first_day)]
           end as change_bytes,
           case when s.present < 2 then null when s.least = s.most then 0::float8 else   -- unnest: half the time of [i], [j]
               (select percentile_cont(0.5) within group (order by (b.y - a.y)::float8 / (b.x - a.x))
                  from unnest(s.xs, s.ys) as a(x, y) join unnest(s.xs, s.ys) as b(x, y) on b.x > a.x)
           end as slope_bytes,
           case when s.present >= %(threshold)s * cardinality(s.days)
                 and s.present_before >= %(threshold)s * s.expected_before
                then s.mean / nullif(s.mean_before, 0) - 1 end as growth,
           case when s.level = 'fleet' then s.input else
               md5(concat_ws(';', %(formula)s::text, s.input, s.present, hash_array_extended(s.days, 0),
                             coalesce(s.mean_before::text, '-'), s.present_before, s.expected_before))
           end as input_hash
      from series s
)

-- write: after `result`. What is as it was is not touched; what no longer belongs to the inputs goes
, gone as (
    delete from sync_assets.fleet_period p
     where p.fleet = %(fleet)s and (p.period, p.starts) = (select i.period, i.starts from input i)
       and not exists (select from result r where r.level = p.level and r.instance = p.instance
                          and r.database = p.database and r.incarnation = p.incarnation)
    returning 1
), put as (
    insert into sync_assets.fleet_period as p
        (fleet, period, starts, ends, level, instance, database, incarnation, status, expected_days, present_days,
         missing_days, missing_instances, completeness, first_bytes, last_bytes, min_bytes, max_bytes, mean_bytes,
         p95_bytes, change_bytes, slope_bytes, growth, input_hash)
    select %(fleet)s, i.period, i.starts, i.ends, r.* from result r cross join input i
    on conflict (fleet, period, starts, level, instance, database, incarnation) do update
       set (status, expected_days, present_days, missing_days, missing_instances, completeness, first_bytes, last_bytes,
            min_bytes, max_bytes, mean_bytes, p95_bytes, change_bytes, slope_bytes, growth, input_hash, computed_at) =
           (excluded.status, excluded.expected_days, excluded.present_days, excluded.missing_days,
            excluded.missing_instances, excluded.completeness, excluded.first_bytes, excluded.last_bytes,
            excluded.min_bytes, excluded.max_bytes, excluded.mean_bytes, excluded.p95_bytes, excluded.change_bytes,
            excluded.slope_bytes, excluded.growth, excluded.input_hash, clock_timestamp())
     where (p.input_hash, p.growth) is distinct from (excluded.input_hash, excluded.growth)
    returning 1
)
select (select count(*) from result), (select count(*) from put), (select count(*) from gone)

-- read: after `result`, in place of `write`: the rows of databases, for days, whose rows are not stored
select r.*, now() from result r
 where r.level = 'database' and (%(instance)s::text is null or r.instance = %(instance)s)
 order by r.instance, r.database, r.incarnation

-- rows: of a period, the fleet first
select level, instance, database, incarnation, status, expected_days, present_days, missing_days, missing_instances,
       completeness, first_bytes, last_bytes, min_bytes, max_bytes, mean_bytes, p95_bytes, change_bytes, slope_bytes,
       growth, input_hash, computed_at
  from sync_assets.fleet_period
 where fleet = %(fleet)s and period = %(period)s and starts = %(starts)s
   and (%(level)s::text is null or level = %(level)s) and (%(instance)s::text is null or instance = %(instance)s)
 order by array_position(array['fleet', 'instance', 'database'], level), instance, database, incarnation

-- history: the fleet's rows of one kind of period, or those of an instance or a database, oldest first
select starts, level, instance, database, incarnation, status, expected_days, present_days, missing_days,
       missing_instances, completeness, first_bytes, last_bytes, min_bytes, max_bytes, mean_bytes, p95_bytes,
       change_bytes, slope_bytes, growth, input_hash, computed_at
  from sync_assets.fleet_period
 where fleet = %(fleet)s and period = %(period)s and instance = %(instance)s and database = %(database)s
 order by starts, incarnation

-- points: known totals of the instances that belong to the fleet on the last day, which is included
select i.instance, i.volume_bytes, c.day, c.total_bytes
  from sync_assets.fleet_instance i
  join sync_assets.fleet_capacity c
    on c.fleet = i.fleet and c.instance = i.instance and c.unknown_databases = 0
   and c.day > %(last)s - %(days)s::int and c.day <= %(last)s
 where i.fleet = %(fleet)s
   and exists (select from sync_assets.fleet_span s where s.fleet = i.fleet and s.instance = i.instance
                  and s.adopted_on <= %(last)s and (s.retired_on is null or s.retired_on > %(last)s))
 order by i.instance, c.day

-- forget_forecasts: of instances that are not named
delete from sync_assets.fleet_forecast where fleet = %(fleet)s and instance <> all (%(instances)s::text[])

-- put_forecast: of one instance
insert into sync_assets.fleet_forecast
    (fleet, instance, as_of, days, last_bytes, slope, slope_low, slope_high, volume_bytes, days_to_full, full_soonest, full_latest)
values (%(fleet)s, %(instance)s, %(as_of)s, %(days)s, %(last_bytes)s, %(slope)s, %(slope_low)s, %(slope_high)s,
        %(volume_bytes)s, %(days_to_full)s, %(full_soonest)s, %(full_latest)s)
on conflict (fleet, instance) do update
   set (as_of, days, last_bytes, slope, slope_low, slope_high, volume_bytes, days_to_full, full_soonest, full_latest, computed_at) =
       (excluded.as_of, excluded.days, excluded.last_bytes, excluded.slope, excluded.slope_low, excluded.slope_high,
        excluded.volume_bytes, excluded.days_to_full, excluded.full_soonest, excluded.full_latest, clock_timestamp())

-- forecasts: of all instances
select instance, as_of, days, last_bytes, slope, slope_low, slope_high, volume_bytes, days_to_full, full_soonest, full_latest
  from sync_assets.fleet_forecast where fleet = %(fleet)s order by instance
