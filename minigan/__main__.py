"""`python -m minigan` is the program `minigan`."""

from minigan.cli.main import main

if __name__ == "__main__":
    main()
