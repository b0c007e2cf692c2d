"""A cobot that buys: `plugins: {external: [cobot_pay.cobot]}`, `provider: cobot-meter`.

cobot finds `create_plugin` in `cobot_pay.cobot.plugin`; this package imports nothing, so that the
settings and tools can be used where cobot is not installed.
"""
