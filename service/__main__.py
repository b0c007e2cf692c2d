"""`python -m service` is the same as `cobot-meter`."""

from service.cli.main import main

if __name__ == "__main__":
    main()
