"""What suits the nodes of a graph before it runs: values for their widgets, from what is connected.

In: a prompt, as the page would queue it. Out: by node, the values that its inputs would get if they
were left out, and what its words mean here.
"""
