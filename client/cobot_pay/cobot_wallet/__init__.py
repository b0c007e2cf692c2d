"""Our wallets as a cobot's own: `plugins: {external: [cobot_pay.cobot_wallet]}`.

cobot finds `create_plugin` in `cobot_pay.cobot_wallet.plugin`.
"""
