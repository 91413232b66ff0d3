"""What ``./mosaic`` does before the command line can run: the environment, the pinned packages, Azurite.

Runs on the standard library of Python 3.13 alone, since nothing else is there yet. In reading order:

- ``__main__``     decides whether anything is to be done, then hands over to ``mosaic_ops.cli``;
- ``pins``         which pinned files a command needs, and what has been installed of them;
- ``azurite``      Node and Azurite under ``.mosaic/``;
- ``browser``      Chromium for the console's tests, where a command drives it;
- ``environment``  makes it so, step by step, under a lock;
- ``jobs``         runs the programs that do the work and shows their progress.
"""
