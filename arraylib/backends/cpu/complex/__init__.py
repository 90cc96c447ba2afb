"""Operations on complex numbers in registers: pairs of real and imaginary parts."""
