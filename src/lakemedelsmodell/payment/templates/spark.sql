{% set text = 'string' %}
{% set no_break_space = 'CHAR(160)' %}
{% macro days(a, b) %}DATEDIFF({{ b }}, {{ a }}){% endmacro %}
{% macro month_number(x) %}12 * YEAR({{ x }}) + MONTH({{ x }}){% endmacro %}
{% macro whole(a, b) %}({{ a }}) div {{ b }}{% endmacro %}
{% macro holds(x) %}{{ x }}{% endmacro %}
