"""
One
===
"""

print(1)
