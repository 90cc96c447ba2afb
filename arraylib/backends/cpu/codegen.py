"""LLVM's code generator, entered by several threads at once.

llvmlite takes one lock round each of its calls. LLVM itself asks for less: threads may generate
code at one time where each has a context and a target machine of its own (LLVM Programmer's Manual,
"Threads and LLVM"). So the functions that take long are called here past that lock, each module
with its own context. ctypes lets go of Python's lock meanwhile.

A binding that lacks one of these functions, or declares it otherwise than we know it, is used
through its own calls, under its lock; what comes out is the same.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

_POINTER, _TEXT, _NUMBER = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int
_OUT = ctypes.POINTER(ctypes.c_void_p)

# By their names after LLVMPY_: the type of the result, those of the operands.
_PROTOTYPES: dict[str, tuple[Any, ...]] = {
    "ContextCreate": (_POINTER,), "ContextDispose": (None, _POINTER),
    "ParseAssembly": (_POINTER, _POINTER, _TEXT, _OUT), "DisposeModule": (None, _POINTER),
    "VerifyModule": (_NUMBER, _POINTER, _OUT), "DisposeString": (None, _POINTER),
    "TargetMachineEmitToMemory": (_POINTER, _POINTER, _POINTER, _NUMBER, _OUT),
    "GetBufferStart": (_POINTER, _POINTER), "GetBufferSize": (ctypes.c_size_t, _POINTER),
    "DisposeMemoryBuffer": (None, _POINTER)}
_LONG = frozenset({"ParseAssembly", "VerifyModule", "TargetMachineEmitToMemory"})


@functools.cache
def _functions(binding: Any) -> SimpleNamespace | None:
    """The binding's functions without its lock; None where it is not as we know it.

    Short calls keep Python's lock: to get it back may take a thread some milliseconds.
    """
    try:
        path = binding.ffi.lib._name
        brief, long = ctypes.PyDLL(path), ctypes.CDLL(path)
        found = dict[str, Any]()
        for name, (result, *operands) in _PROTOTYPES.items():
            if not _is_declared(getattr(binding.ffi.lib, f"LLVMPY_{name}"), result, operands):
                return None
            function = getattr(long if name in _LONG else brief, f"LLVMPY_{name}")
            function.restype, function.argtypes = result, operands
            found[name] = function
    except (AttributeError, OSError):
        return None
    return SimpleNamespace(**found)


def _is_declared(theirs: Any, result: Any, operands: Sequence[Any]) -> bool:
    """Whether the binding calls a function with operands and for a result of the same kinds.

    Operands that it does not declare at all are taken to be ours.
    """
    if theirs.argtypes is not None and (
            list(map(_is_pointer, theirs.argtypes)) != list(map(_is_pointer, operands))):
        return False
    return _is_pointer(theirs.restype) == _is_pointer(result)


def _is_pointer(type: Any) -> bool:
    """Whether a type of ctypes is an address, rather than a number or nothing."""
    return type in (_POINTER, _TEXT) or hasattr(type, "contents")


def generate(binding: Any, machine: Any, text: str) -> bytes | None:
    """The object file of a module's text, by a target machine that no other thread uses meanwhile.

    None where this cannot be done, or the text is no module: the binding's own calls say why.
    """
    functions = _functions(binding)
    if functions is None:
        return None
    context = functions.ContextCreate()
    try:
        return _generate(functions, context, machine, text.encode())
    finally:
        functions.ContextDispose(context)


def _generate(functions: SimpleNamespace, context: int, machine: Any, text: bytes) -> bytes | None:
    message = ctypes.c_void_p()
    module = functions.ParseAssembly(context, text, ctypes.byref(message))
    try:
        if not module or functions.VerifyModule(module, ctypes.byref(message)):
            return None
        _forget(functions, message)  # an empty one
        buffer = functions.TargetMachineEmitToMemory(machine, module, 1, ctypes.byref(message))
        return _taken(functions, buffer) if buffer else None
    finally:
        _forget(functions, message)
        if module:
            functions.DisposeModule(module)


def _taken(functions: SimpleNamespace, buffer: int) -> bytes:
    """The content of a buffer, which is then given back."""
    content = ctypes.string_at(functions.GetBufferStart(buffer), functions.GetBufferSize(buffer))
    functions.DisposeMemoryBuffer(buffer)
    return content


def _forget(functions: SimpleNamespace, message: ctypes.c_void_p) -> None:
    if message.value:
        functions.DisposeString(message)
        message.value = None
