"""`python -m kubeops.cli`: the console script, wherever it is not on the PATH."""

from kubeops.cli.program import main

if __name__ == "__main__":
    main()
