{% set text = 'varchar' %}
{% set no_break_space = 'CHR(160)' %}
{% macro days(a, b) %}({{ b }} - {{ a }}){% endmacro %}
{% macro month_number(x) %}12 * YEAR({{ x }}) + MONTH({{ x }}){% endmacro %}
{% macro whole(a, b) %}({{ a }}) // {{ b }}{% endmacro %}
{% macro holds(x) %}{{ x }}{% endmacro %}
