{% set text = 'text' %}
{% set no_break_space = 'CHR(160)' %}
{% macro days(a, b) %}({{ b }} - {{ a }}){% endmacro %}
{% macro month_number(x) %}CAST(12 * EXTRACT(YEAR FROM {{ x }}) + EXTRACT(MONTH FROM {{ x }}) AS integer){% endmacro %}
{% macro whole(a, b) %}({{ a }}) / {{ b }}{% endmacro %}
{% macro holds(x) %}{{ x }}{% endmacro %}
