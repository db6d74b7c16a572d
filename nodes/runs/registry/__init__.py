"""What a panel knows of training runs: the ones of this process and the ones on the disk.

In: a root folder of run folders and the trainer's events. Out: plain values for JSON. It knows
nothing of servers and pages.
"""
