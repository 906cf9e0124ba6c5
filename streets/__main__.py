"""`python -m streets`: draws the embedded data set."""

from streets.dataset import main

if __name__ == "__main__":
    main()
