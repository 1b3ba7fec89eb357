"""The SQL of `benchmarks.fleet_aggregate`: a year of sizes, and the periods by hand."""

from __future__ import annotations

from typing import LiteralString

# Sizes grow by up to 0.3 % a day, with noise, from 1 MB to 100 GB; one day of fifty of each instance is missing.
FILL: tuple[LiteralString, ...] = (
    """insert into sync_assets.fleet_instance (fleet, instance, engine, volume_bytes)
       select 'f', 'instance-' || to_char(n, 'FM00000'), 'mysql', 10^13
         from generate_series(1, %(instances)s::int) n""",
    """insert into sync_assets.fleet_span (fleet, instance, adopted_on)
       select fleet, instance, %(first)s from sync_assets.fleet_instance""",
    """insert into sync_assets.fleet_database_size (fleet, instance, day, database, incarnation, bytes)
       select 'f', i.instance, %(first)s + d, 'database_' || n, '',
              (b.base * (1 + b.rate * d + 0.01 * random()))::bigint
         from (select instance, row_number() over () as k from sync_assets.fleet_instance) i
        cross join generate_series(1, %(databases)s::int) n
        cross join lateral (select exp(ln(1e6) + random() * (ln(1e11) - ln(1e6))) + 0 * (n + k) as base,
                                   0.003 * random() + 0 * (n + k) as rate) b
        cross join generate_series(0, %(until)s - %(first)s - 1) d
        where hashint8(i.k * 1000 + d) %% 50 <> 0""",
    """insert into sync_assets.fleet_capacity (fleet, instance, day, observed_at, run_id, total_bytes, databases)
       select fleet, instance, day, day + interval '3 hours', 'filled', sum(bytes), count(*)
         from sync_assets.fleet_database_size group by fleet, instance, day""",
)

TABLE: LiteralString = """
create table if not exists by_hand (
    kind text, starts date, level text, instance text, database text, incarnation text, present int,
    first_bytes bigint, last_bytes bigint, min_bytes bigint, max_bytes bigint, mean_bytes float8, p95_bytes float8,
    change_bytes bigint, slope_bytes float8, growth float8,
    primary key (kind, starts, level, instance, database, incarnation))"""

HAND: LiteralString = """
insert into by_hand
with sample as (
    select 'database' as level, instance, database, incarnation, day, bytes
      from sync_assets.fleet_database_size where fleet = 'f' and day < date_trunc(%(kind)s, %(until)s::timestamp)
    union all
    select 'instance', instance, '', '', day, total_bytes
      from sync_assets.fleet_capacity where fleet = 'f' and day < date_trunc(%(kind)s, %(until)s::timestamp)
    union all
    select 'fleet', '', '', '', day, sum(total_bytes)::bigint
      from sync_assets.fleet_capacity where fleet = 'f' and day < date_trunc(%(kind)s, %(until)s::timestamp)
     group by day having count(*) = (select count(*) from sync_assets.fleet_instance)
), period as materialized (
    select date_trunc(%(kind)s, day::timestamp)::date as starts, level, instance, database, incarnation,
           count(*)::int as n, array_agg(day) as xs, array_agg(bytes) as ys, min(day) as first, max(day) as last,
           min(bytes) as least, max(bytes) as most, avg(bytes)::float8 as mean
      from sample group by 1, 2, 3, 4, 5
)
select %(kind)s, starts, level, instance, database, incarnation, n,
       ys[array_position(xs, first)], ys[array_position(xs, last)], least, most, mean,
       (select percentile_cont(0.95) within group (order by y) from unnest(ys) y),
       case when n > 1 then ys[array_position(xs, last)] - ys[array_position(xs, first)] end,
       (select percentile_cont(0.5) within group (order by (b.y - a.y)::float8 / (b.x - a.x))
          from unnest(xs, ys) a(x, y) join unnest(xs, ys) b(x, y) on b.x > a.x),
       mean / nullif(lag(mean) over (partition by level, instance, database, incarnation order by starts), 0) - 1
  from period"""

COMPARE: LiteralString = """
with ours as (select * from sync_assets.fleet_period where period = %(kind)s and present_days > 0),
hand as (select * from by_hand where kind = %(kind)s)
select count(*), count(*) filter (where o.present_days is distinct from h.present
        or (o.first_bytes, o.last_bytes, o.min_bytes, o.max_bytes, o.change_bytes)
           is distinct from (h.first_bytes, h.last_bytes, h.min_bytes, h.max_bytes, h.change_bytes)
        or abs(o.mean_bytes - h.mean_bytes) > 1e-6 * h.mean_bytes or abs(o.p95_bytes - h.p95_bytes) > 1e-6 * h.p95_bytes
        or abs(o.slope_bytes - h.slope_bytes) > 1e-6 * greatest(abs(h.slope_bytes), 1)
        or abs(o.growth - h.growth) > 1e-9)
  from ours o full join hand h using (starts, level, instance, database, incarnation)"""
