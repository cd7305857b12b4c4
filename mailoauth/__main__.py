"""`python -m mailoauth` is `mailoauth`."""

from mailoauth.cli import main

raise SystemExit(main())
