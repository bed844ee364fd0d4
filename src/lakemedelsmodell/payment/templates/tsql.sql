{% set text = 'varchar(40)' %}
{% set no_break_space = 'CHAR(160)' %}
{% macro days(a, b) %}DATEDIFF(day, {{ a }}, {{ b }}){% endmacro %}
{% macro month_number(x) %}12 * YEAR({{ x }}) + MONTH({{ x }}){% endmacro %}
{% macro whole(a, b) %}(({{ a }}) - ({{ a }}) % {{ b }}) / {{ b }}{% endmacro %}
{% macro holds(x) %}{{ x }} = 1{% endmacro %}
