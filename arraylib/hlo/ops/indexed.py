"""Operations whose operands are indices: slices at run time, gather, scatter, sort."""
