"""Factors of matrices and systems of equations: blocks, and products of matrices between them.

How a matrix is divided is decided by recursion in Python (`algorithms`), when a program is written.
It leaves a *tape*, a list of steps on parts of matrices: products by the library of matrix
products, and small blocks by the code of `leaves`. Native code follows the tape (`follow`), once
for each matrix of a batch; a batch of many small matrices instead has one in each lane (`lanes`).
"""
