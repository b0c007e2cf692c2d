"""`python -m cobot_pay.cli` is `cobot-pay`."""

from cobot_pay.cli.main import main

raise SystemExit(main())
