"""`python -m mdtool`, which is how torchrun starts it: `torchrun --nproc-per-node 2 -m mdtool train`."""

from mdtool.cli.app import main

if __name__ == "__main__":
    main()
