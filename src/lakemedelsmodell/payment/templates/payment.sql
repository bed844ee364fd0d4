{% import dialect ~ '.sql' as d %}
{% set tsql = dialect == 'tsql' %}
{% set state = namespace(begun=false) %}
{% macro day(x) %}CAST('{{ x.isoformat() }}' AS date){% endmacro %}
{% macro ref(name) %}{{ '#' ~ name if tsql else name }}{% endmacro %}
{% macro step(name, last=false) %}
{% if tsql %}
DROP TABLE IF EXISTS #{{ name }};
SELECT * INTO #{{ name }} FROM (
{{ caller() }}) AS made;

{% else %}
{{ 'WITH ' if not state.begun }}{{ name }} AS (
{{ caller() }}){{ ',' if not last }}

{% set state.begun = true %}
{% endif %}
{% endmacro %}
{% macro thousandths(x) %}CAST(SIGN({{ x }}) * FLOOR(ABS({{ x }}) * 1000 + 0.5) AS bigint){% endmacro %}
{% macro nearest(n, q) %}CAST(SIGN({{ n }}) * ({{ d.whole('2 * ABS(' ~ n ~ ') + ' ~ q, 2 * q) }}) AS bigint){% endmacro %}
{% set unit = 'listed_months' if snapshot else 'listed_days' %}
{% set add_on_months = add_ons | length > 0 %}
-- Payment to primary-care centres for {{ month.strftime('%Y-%m') }}, in öre: one row per centre and component.
--
--   model         {{ table.model }}, amounts valid from {{ table.valid_from or 'not said' }}
{% if add_on_months %}
--   conditions    {{ table.condition_set or 'own list' }}, rule "{{ table.rule }}", read from {{ lookback }}
--                 (twelve months before the half-year of the month paid)
{% endif %}
{% if snapshot %}
--   months        a whole month for everyone whom a centre lists on {{ month.isoformat() }}
{% else %}
--   months        listed days ÷ {{ days_in_month }}; each row is rounded to the öre, halves away from zero
{% endif %}
--   dialect       {{ title }}
{% if tsql %}
--                 checked by translation and by its grammar, never run on a real SQL Server: try it on a copy first
{% endif %}
--
-- It reads {{ 'four' if add_on_months else 'three' }} tables and changes nothing; an account that may read them{{ ' (and use tempdb)' if tsql }} is enough.
-- Nothing is rescaled: frozen kronor × listed months. All sums are of whole numbers.
--
-- YOUR OWN NAMES. The steps person, listing, centre{{ ' and dispensing' if add_on_months }} are the only ones that read
-- your tables. Put your table and column names there; all later steps stay as they are. What the columns mean:
--   persons       person_id; sex K/M (or 2/1); birth_month as text YYYY-MM; death_date, first day no longer alive
--   listings      person_id, centre_id; start_date; end_date, first day no longer listed, NULL while listed
--   centres       centre_id{{ '; cni, the care-need index' if per_cni is not none }}
{% if add_on_months %}
--   dispensings   person_id, date, atc; packages, negative for a correction{{ '; ddd of the whole row; dose_dispensed' if listed_rule }}
{% endif %}
--
-- THE RESULT. A centre is paid the sum of ore over its rows. kind age_sex: one row per age band and sex.
{% if add_on_months %}
-- kind {{ table.kind }}: one row per add-on.
{% endif %}
{% if per_cni is not none %}
-- kind cni: one row per centre.
{% endif %}
-- kind check: the data are wrong (persons counts how often): do not pay before there are no such rows.
-- The rows tell how many persons stand behind each amount, few as they may be: keep them where the data are kept.

-- Your tables -----------------------------------------------------------------------------------

{% call step('person') %}
  SELECT
    person_id,
    CASE CAST(sex AS {{ d.text }}) WHEN '1' THEN 'M' WHEN '2' THEN 'K' ELSE UPPER(CAST(sex AS {{ d.text }})) END AS sex,
    CAST(CONCAT(birth_month, '-01') AS date) AS birth_month,  -- the first of the month; of a year alone, 1 July
    CAST(death_date AS date) AS death_date
  FROM persons
{% endcall %}
{% call step('listing') %}
  SELECT person_id, centre_id, CAST(start_date AS date) AS start_date, CAST(end_date AS date) AS end_date
  FROM listings
{% endcall %}
{% call step('centre') %}
  SELECT centre_id{{ ', cni' if per_cni is not none }}
  FROM centres
{% endcall %}
{% if add_on_months %}
{% call step('dispensing') %}
  SELECT
    person_id, atc, CAST(date AS date) AS bought_on,
    {{ thousandths('packages') }} AS packages{{ ',' if listed_rule }}  -- in thousandths
{% if listed_rule %}
    {{ thousandths('COALESCE(ddd, 0)') }} AS ddd,  -- in thousandths
    CASE WHEN {{ d.holds('dose_dispensed') }} THEN 1 ELSE 0 END AS dosed  -- no such column: write 0
{% endif %}
  FROM dispensings
  WHERE date >= {{ day(lookback.start) }} AND date < {{ day(lookback.end) }}
{% endcall %}
{% endif %}
-- Who is listed where ---------------------------------------------------------------------------

{% if snapshot %}
-- Everyone born, alive and listed on the first of the month.
{% call step('listed') %}
  SELECT
    l.person_id, l.centre_id, p.sex, 1 AS units,
    {{ month_number }} - ({{ d.month_number('p.birth_month') }}) AS months_lived
  FROM {{ ref('listing') }} AS l
  JOIN {{ ref('person') }} AS p ON p.person_id = l.person_id
  JOIN {{ ref('centre') }} AS c ON c.centre_id = l.centre_id
  WHERE l.start_date <= {{ day(month) }} AND (l.end_date IS NULL OR l.end_date > {{ day(month) }})
    AND p.birth_month <= {{ day(month) }}
    AND (p.death_date IS NULL OR p.death_date > {{ day(month) }})
{% endcall %}
{% else %}
-- The part of each listing that lies in the month, between birth and death: [from_day, to_day).
{% call step('stretch') %}
  SELECT
    l.person_id, l.centre_id, p.sex, p.birth_month,
    CASE WHEN p.birth_month > {{ day(month) }} AND p.birth_month > l.start_date THEN p.birth_month
         WHEN l.start_date > {{ day(month) }} THEN l.start_date
         ELSE {{ day(month) }} END AS from_day,
    CASE WHEN p.death_date < {{ day(following) }} AND (l.end_date IS NULL OR p.death_date < l.end_date)
           THEN p.death_date
         WHEN l.end_date < {{ day(following) }} THEN l.end_date ELSE {{ day(following) }} END AS to_day
  FROM {{ ref('listing') }} AS l
  JOIN {{ ref('person') }} AS p ON p.person_id = l.person_id
  JOIN {{ ref('centre') }} AS c ON c.centre_id = l.centre_id
{% endcall %}
-- Listed days per person and centre.
{% call step('listed') %}
  SELECT
    person_id, centre_id, sex, SUM({{ d.days('from_day', 'to_day') }}) AS units,
    {{ month_number }} - ({{ d.month_number('birth_month') }}) AS months_lived
  FROM {{ ref('stretch') }}
  WHERE from_day < to_day
  GROUP BY person_id, centre_id, sex, birth_month
{% endcall %}
{% endif %}
{% if add_on_months %}
-- Who has which condition -----------------------------------------------------------------------

-- Which codes count for which conditions, worked out on the distinct codes only. Upper case, without blanks and dots.
{% call step('code') %}
  SELECT k.written, k.atc, p.name
  FROM (
    SELECT DISTINCT atc AS written, UPPER(REPLACE(REPLACE(REPLACE(atc, ' ', ''), {{ d.no_break_space }}, ''), '.', '')) AS atc
    FROM {{ ref('dispensing') }}
  ) AS k
  JOIN (VALUES
{{ prefixes | rows }}
  ) AS p(name, prefix) ON k.atc LIKE CONCAT(p.prefix, '%')
{% if excluded %}
  WHERE NOT EXISTS (
    SELECT 1 FROM (VALUES
{{ excluded | rows }}
    ) AS x(name, prefix)
    WHERE x.name = p.name AND k.atc LIKE CONCAT(x.prefix, '%')
  )
{% endif %}
  GROUP BY k.written, k.atc, p.name
{% endcall %}
-- What is left per person, code and date when corrections are deducted; in thousandths.
{% call step('purchase') %}
  SELECT
    d.person_id, c.atc, d.bought_on, CAST(SUM(d.packages) AS bigint) AS packages{{ ',' if listed_rule }}
{% if listed_rule %}
    CAST(SUM(d.ddd) AS bigint) AS ddd,
    MAX(CASE WHEN d.packages > 0 AND d.dosed = 0 THEN 1 ELSE 0 END) AS loose,
    MAX(CASE WHEN d.packages > 0 AND d.dosed = 1 THEN 1 ELSE 0 END) AS dosed,
    MAX(CASE WHEN d.packages <= 0 THEN 1 ELSE 0 END) AS corrected
{% endif %}
  FROM {{ ref('dispensing') }} AS d
  JOIN (SELECT DISTINCT written, atc FROM {{ ref('code') }}) AS c ON c.written = d.atc
  GROUP BY d.person_id, c.atc, d.bought_on
{% endcall %}
{% if listed_rule %}
-- The dates that count: those with something left. Dose-dispensing is one date per person, code and month, its first.
{% call step('counted') %}
  SELECT person_id, atc, packages, ddd,
    CASE WHEN packages > 0 AND loose = 1 THEN bought_on END AS bought_on
  FROM {{ ref('purchase') }}
  UNION ALL
  SELECT person_id, atc, 0 AS packages, 0 AS ddd, MIN(bought_on) AS bought_on
  FROM {{ ref('purchase') }}
  WHERE packages > 0 AND dosed = 1 AND (loose = 0 OR corrected = 0)
  GROUP BY person_id, atc, {{ d.month_number('bought_on') }}
{% endcall %}
-- Per person and condition: first and last date, {{ 'dates' if many_dates else 'one date or two (and more)' }}, DDD and packages.
{% call step('marked') %}
  SELECT
    t.person_id, c.name, MIN(t.bought_on) AS first_on, MAX(t.bought_on) AS last_on,
    {{ 'COUNT(DISTINCT t.bought_on)' if many_dates else 'CASE WHEN MIN(t.bought_on) < MAX(t.bought_on) THEN 2 ELSE 1 END' }} AS dates,
    CAST(SUM(t.ddd) AS bigint) AS ddd, CAST(SUM(t.packages) AS bigint) AS packages
  FROM {{ ref('counted') }} AS t
  JOIN (SELECT DISTINCT atc, name FROM {{ ref('code') }}) AS c ON c.atc = t.atc
  GROUP BY t.person_id, c.name
  HAVING MIN(t.bought_on) IS NOT NULL
{% endcall %}
-- The thresholds: dates, days from first to last, DDD and packages (in thousandths).
{% call step('found') %}
  SELECT m.person_id, m.name
  FROM {{ ref('marked') }} AS m
  JOIN (VALUES
{{ limits | rows }}
  ) AS f(name, min_dates, min_days_apart, min_ddd, min_packages) ON f.name = m.name
  WHERE m.dates >= f.min_dates AND {{ d.days('m.first_on', 'm.last_on') }} >= f.min_days_apart
    AND m.ddd >= f.min_ddd AND m.packages >= f.min_packages
{% endcall %}
{% else %}
-- One purchase of one of its codes is enough.
{% call step('found') %}
  SELECT DISTINCT p.person_id, c.name
  FROM {{ ref('purchase') }} AS p
  JOIN (SELECT DISTINCT atc, name FROM {{ ref('code') }}) AS c ON c.atc = p.atc
  WHERE p.packages > 0
{% endcall %}
{% endif %}
{% set found = namespace(name='found') %}
{% for level in levels %}
-- Conditions that require others: all of them must be found.
{% call step('met_' ~ loop.index) %}
  SELECT f.person_id, n.name
  FROM {{ ref(found.name) }} AS f
  JOIN (VALUES
{{ level.needs | rows }}
  ) AS n(name, other, needed) ON n.other = f.name
  GROUP BY f.person_id, n.name, n.needed
  HAVING COUNT(*) = n.needed
{% endcall %}
{% call step('found_' ~ loop.index) %}
  SELECT f.person_id, f.name
  FROM {{ ref(found.name) }} AS f
  WHERE f.name NOT IN ({{ level.names | map('quoted') | join(', ') }})
    OR EXISTS (SELECT 1 FROM {{ ref('met_' ~ loop.index) }} AS m WHERE m.person_id = f.person_id AND m.name = f.name)
{% if level.made %}
  UNION ALL
  SELECT person_id, name
  FROM {{ ref('met_' ~ loop.index) }}
  WHERE name IN ({{ level.made | map('quoted') | join(', ') }})
{% endif %}
{% endcall %}
{% set found.name = 'found_' ~ loop.index %}
{% endfor %}
-- Conditions that yield: dropped where the other one is found.
{% call step('held') %}
  SELECT f.person_id, f.name
  FROM {{ ref(found.name) }} AS f
{% if yields %}
  WHERE NOT EXISTS (
    SELECT 1
    FROM {{ ref(found.name) }} AS o
    JOIN (VALUES
{{ yields | rows }}
    ) AS y(name, other) ON y.other = o.name
    WHERE o.person_id = f.person_id AND y.name = f.name
  ){{ " AND f.name NOT IN (" ~ (markers | map('quoted') | join(', ')) ~ ")" if markers }}
{% elif markers %}
  WHERE f.name NOT IN ({{ markers | map('quoted') | join(', ') }})
{% endif %}
{% endcall %}
{% if table.kind == 'highest' %}
-- Only the highest add-on of a person is paid; of equal ones the first in the table.
{% call step('paid') %}
  SELECT h.person_id, MIN(a.place) AS place
  FROM {{ ref('held') }} AS h
  JOIN (VALUES
{{ add_ons | rows }}
  ) AS a(name, place, ore) ON a.name = h.name
  GROUP BY h.person_id
{% endcall %}
{% elif table.kind == 'count' %}
-- The number of conditions of each person.
{% call step('paid') %}
  SELECT person_id, CASE WHEN COUNT(*) >= 4 THEN '4+' ELSE CAST(COUNT(*) AS {{ d.text }}) END AS name
  FROM {{ ref('held') }}
  GROUP BY person_id
{% endcall %}
{% endif %}
{% endif %}
-- What is paid ----------------------------------------------------------------------------------

-- Persons and months behind each component of each centre; amounts in öre per listed month.
{% call step('component') %}
  SELECT
    l.centre_id, 'age_sex' AS kind, a.name, a.sex, a.age_from, a.ore AS ore_per_month,
    COUNT(*) AS persons, CAST(SUM(l.units) AS bigint) AS units{{ ', CAST(' ~ cni_parts ~ ' AS bigint) AS cni_parts' if per_cni is not none }}
  FROM {{ ref('listed') }} AS l
  LEFT JOIN (VALUES
{{ cells | rows }}
  ) AS a(band_start, sex, name, age_from, ore)
    ON a.sex = l.sex
    AND a.band_start = CASE WHEN l.months_lived >= {{ last_band }} THEN {{ last_band }} ELSE l.months_lived - l.months_lived % 60 END
  GROUP BY l.centre_id, a.name, a.sex, a.age_from, a.ore
{% if add_on_months %}
  UNION ALL
  SELECT
    l.centre_id, '{{ table.kind }}' AS kind, a.name, NULL AS sex, NULL AS age_from, a.ore AS ore_per_month,
    COUNT(*) AS persons, CAST(SUM(l.units) AS bigint) AS units{{ ', ' ~ cni_parts if per_cni is not none }}
  FROM {{ ref('listed') }} AS l
  JOIN {{ ref('held' if table.kind == 'condition' else 'paid') }} AS h ON h.person_id = l.person_id
  JOIN (VALUES
{{ add_ons | rows }}
  ) AS a(name, place, ore) ON {{ 'a.place = h.place' if table.kind == 'highest' else 'a.name = h.name' }}
  GROUP BY l.centre_id, a.name, a.ore
{% endif %}
{% if per_cni is not none %}
  UNION ALL
  SELECT
    l.centre_id, 'cni' AS kind, 'centre_cni' AS name, NULL AS sex, NULL AS age_from, {{ per_cni }} AS ore_per_month,
    COUNT(*) AS persons, CAST(SUM(l.units) AS bigint) AS units,
    CAST(FLOOR(c.cni * {{ cni_parts }} + 0.5) AS bigint) AS cni_parts
  FROM {{ ref('listed') }} AS l
  JOIN {{ ref('centre') }} AS c ON c.centre_id = l.centre_id
  GROUP BY l.centre_id, c.cni
{% endif %}
{% endcall %}
{% set months_paid = 'units * ore_per_month' ~ (' * cni_parts' if per_cni is not none else '') %}
{% set parts = (1 if snapshot else days_in_month) * (cni_parts if per_cni is not none else 1) %}
-- Öre, and what is wrong with the data.
{% call step('result', last=true) %}
  SELECT centre_id, kind, name, sex, age_from, persons, units AS {{ unit }}, ore_per_month,
    {{ months_paid if parts == 1 else nearest('parts', parts) }} AS ore
  FROM {{ ref('component') if parts == 1 else '(SELECT *, ' ~ months_paid ~ ' AS parts FROM ' ~ ref('component') ~ ') AS c' }}
  UNION ALL
  SELECT NULL, 'check', problem, NULL, NULL, occurrences, NULL, NULL, NULL
  FROM (
    SELECT 'age and sex without an amount' AS problem, COALESCE(SUM(persons), 0) AS occurrences
    FROM {{ ref('component') }}
    WHERE ore_per_month IS NULL
    UNION ALL
    SELECT 'persons listed for more than the month', COUNT(*)
    FROM (SELECT person_id FROM {{ ref('listed') }} GROUP BY person_id
          HAVING SUM(units) > {{ 1 if snapshot else days_in_month }}) AS twice
    UNION ALL
    SELECT 'listings of somebody who is not in persons', COUNT(*)
    FROM {{ ref('listing') }} AS l
    WHERE NOT EXISTS (SELECT 1 FROM {{ ref('person') }} AS p WHERE p.person_id = l.person_id)
    UNION ALL
    SELECT 'listings at a centre that is not in centres', COUNT(*)
    FROM {{ ref('listing') }} AS l
    WHERE NOT EXISTS (SELECT 1 FROM {{ ref('centre') }} AS c WHERE c.centre_id = l.centre_id)
{% if per_cni is not none %}
    UNION ALL
    SELECT 'centres without a care-need index', COUNT(*)
    FROM {{ ref('component') }}
    WHERE cni_parts IS NULL
{% endif %}
{% if add_on_months %}
    UNION ALL
    SELECT 'months of the look-back without purchases',
      12 - COUNT(DISTINCT {{ d.month_number('bought_on') }})
    FROM {{ ref('purchase') }}
    UNION ALL
    SELECT 'months of the look-back with most purchases by persons nobody lists', COUNT(*)
    FROM (SELECT {{ d.month_number('p.bought_on') }} AS month_number
          FROM {{ ref('purchase') }} AS p
          LEFT JOIN (SELECT DISTINCT person_id FROM {{ ref('listing') }}) AS l ON l.person_id = p.person_id
          GROUP BY {{ d.month_number('p.bought_on') }}
          HAVING 2 * COUNT(l.person_id) < COUNT(*)) AS strange
{% endif %}
  ) AS checked
  WHERE occurrences > 0
{% endcall %}
-- Each centre and component. For what a centre is paid in all, put instead:
--   SELECT centre_id, SUM(ore) AS ore FROM {{ ref('result') }} WHERE kind <> 'check' GROUP BY centre_id ORDER BY centre_id;
SELECT * FROM {{ ref('result') }}
ORDER BY centre_id, kind, age_from, sex, name;
