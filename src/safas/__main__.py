"""`python -m safas` is the `safas` command."""

from safas.cli import main

raise SystemExit(main())
