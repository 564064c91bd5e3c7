"""The engines that compute: the only modules that touch compiled code.

Nothing is imported here: a program that needs no projector loads none.
"""
