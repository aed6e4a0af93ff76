import sys

from pipeline.io.errors import InputError

try:
    from pipeline.cli.main import main
except InputError as error:  # a method that C2A_METHODS names and that cannot be loaded
    sys.exit(f"error: {error}")

main()
