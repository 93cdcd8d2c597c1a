"""``python -m loadtests``."""

from loadtests.run import main

if __name__ == "__main__":
    main()
