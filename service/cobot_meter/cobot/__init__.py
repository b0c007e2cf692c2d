"""The plugin with which a cobot sells its work: `plugins.external: [cobot_meter.cobot]`."""
