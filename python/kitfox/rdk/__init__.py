"""The calls of the RDK's Python modules, over KitFox: cells written for the board run on a PC.

`kitfox.rdk.install` registers the original module names. A `.kfx` file stands where the `.bin` was; it may also lie
beside it under the same stem. What these modules mean is described in docs/PYTHON.md; values are those of a CPU.
"""
