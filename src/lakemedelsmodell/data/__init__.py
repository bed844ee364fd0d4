"""A half-year's data: four tables in any common dress, and the cohort read from them."""
