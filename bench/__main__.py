"""`python -m bench`: every bench, one after the other."""

from bench import functions

if __name__ == "__main__":
    functions.main()
