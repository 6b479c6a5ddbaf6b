"""A grid of protocols, methods and seeds -> runs -> tables that say what their differences are worth.

In the order of a benchmark: `grid_file` reads what is asked into a `grid`, `search` draws settings; `cells` makes one
run of it, `runner` all of them, `cell_index` and `kept` remember which there are; `gathering` reads their scores,
`comparison`, `ranks` and `contrasts` compare them, `summary` puts them into tables, `pages` and `latex` write these;
`standing` says how far it is.
"""
