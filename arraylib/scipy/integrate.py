"""Integrals of samples: `from arraylib.scipy import integrate`."""

from arraylib.numpy import trapezoid as trapezoid
