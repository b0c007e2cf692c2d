"""`python -m cobot_meter` is the same as `cobot-meter`."""

from cobot_meter.cli.main import main

if __name__ == "__main__":
    main()
