"""The line with as little work in it as it can have: a tiny picture an order, which is only decoded.

What is left is what Winnow itself costs: acceptance, ledger, routing, verdict, delivery, journals and bus.
"""
